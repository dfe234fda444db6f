"""A social post: as long as its platform allows, by the platform's own way of counting.

The model writes the words; link, hashtags and call to action are put behind them as they were given, so they are exact. A
post that is too long is asked for again, shorter, at most twice.
"""

from collections.abc import Generator, Sequence
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from jobs.errors import CheckFailed
from jobs.generation import Completion, Message, Prompt, SamplingParams
from jobs.kinds.platforms import LIMITS, Platform
from jobs.kinds.templating import Templates

TRIES: Final = 3
WORDS: Final = {"x": 30, "bluesky": 35, "threads": 50, "mastodon": 50, "instagram": 70, "linkedin": 100, "facebook": 80}

Hashtag = Annotated[str, StringConstraints(pattern=r"^#?\w{1,100}$")]


class SocialPostRequest(BaseModel):
    """What to post about, and where."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topic: str | None = Field(default=None, min_length=1, max_length=2_000, description="What the post is about.")
    source_text: str | None = Field(
        default=None, min_length=1, max_length=50_000, description="A text that the post is made from."
    )
    platform: Platform = Field(description="Where it will be posted; its limits are kept.")
    tone: str | None = Field(default=None, min_length=1, max_length=200, description="Such as friendly or expert.")
    hashtags: tuple[Hashtag, ...] = Field(default=(), max_length=30, description="Put at the end, as they are.")
    link: str | None = Field(default=None, pattern=r"^https?://\S+$", max_length=2_000, description="Put at the end.")
    call_to_action: str | None = Field(default=None, min_length=1, max_length=200, description="The last sentence.")

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if self.topic is None and self.source_text is None:
            raise ValueError("topic or source_text is needed")
        most = LIMITS[self.platform].hashtags
        if len(self.hashtags) > most:
            raise ValueError(f"{self.platform} takes at most {most} hashtags")
        return self


class SocialPost(BaseModel):
    """A post, ready to be posted."""

    model_config = ConfigDict(frozen=True)

    text: str = Field(description="All of it, with hashtags, link and call to action.")
    hashtags: tuple[str, ...] = Field(description="The hashtags in it, each with its #.")
    length: int = Field(description="Its length as the platform counts.")


class SocialPostKind:
    """The kind `social_post`."""

    name = "social_post"
    request_type = SocialPostRequest
    output_type = SocialPost

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    def compose(self, request: BaseModel) -> Generator[Sequence[Prompt], Sequence[Completion], SocialPost]:
        """Ask, and ask again while the post is too long."""
        if not isinstance(request, SocialPostRequest):
            raise TypeError(type(request))
        limit = LIMITS[request.platform]
        words, before, length = WORDS[request.platform], None, 0
        for n in range(TRIES):
            prompt = self._prompt(request, n, words, before)
            (answer,) = yield [prompt]
            post = _assembled(request, answer.text)
            length = limit.length(post.text)
            if length <= limit.most:
                return post.model_copy(update={"length": length})
            words, before = max(5, words // 2), prompt.label
        raise CheckFailed(
            "post_too_long",
            f"{length} characters, also after {TRIES - 1} more tries; {request.platform} takes {limit.most}",
        )

    def expected_tokens(self, request: BaseModel) -> int:
        """About one and a half for each word."""
        return WORDS[getattr(request, "platform", "x")] * 3 // 2

    def _prompt(self, request: SocialPostRequest, n: int, words: int, before: str | None) -> Prompt:
        system = self._templates.render("social_post_system.j2")
        user = self._templates.render(
            "social_post_user.j2",
            topic=request.topic,
            source_text=request.source_text,
            platform=request.platform,
            tone=request.tone,
            words=words,
            again=n > 0,
        )
        return Prompt(
            messages=(Message("system", system.text), Message("user", user.text)),
            params=SamplingParams(max_tokens=words * 5 // 2 + 10, temperature=0.7, top_p=0.9, repetition_penalty=1.1),
            label="post" if n == 0 else f"post, try {n + 1}",
            replaces=before,
            template_sha256=user.sha256,
        )


def _assembled(request: SocialPostRequest, written: str) -> SocialPost:
    """The post: the model's words, without quotes and hashtags of its own, then what was given."""
    words = [word for word in written.strip().strip('"').split() if not word.startswith("#")]
    body = whole_sentences(" ".join(words))
    if not body:
        raise CheckFailed("empty_output", "the model wrote no post")
    hashtags = tuple(tag if tag.startswith("#") else f"#{tag}" for tag in request.hashtags)
    parts = [body, request.call_to_action, request.link, " ".join(hashtags)]
    return SocialPost(text="\n\n".join(part for part in parts if part), hashtags=hashtags, length=0)


def whole_sentences(text: str) -> str:
    """The text without a last sentence that was cut off; all of it when no sentence is whole."""
    end = max(text.rfind(mark) for mark in ".!?…")
    return text[: end + 1].strip() if end > 0 else text.strip()

"""A social post, at most as long as its platform allows, counted as that platform counts.

The model writes the words. The row's call to action, link and hashtags are put after these words unchanged. Links and hashtags
that the model made up are taken out. A post that is too long or empty, or that was cut off within its first sentence, is
asked for again, shorter; a post that a check refuses is asked for again with what was wrong. It is asked for three times at most,
unless the settings say another number.
"""

import re
from collections.abc import Generator, Mapping, Sequence
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from jobs.checks.checker import UNCHECKED, Checker
from jobs.checks.contract import Contract
from jobs.errors import CheckFailed
from jobs.generation import Completion, Prompt, SamplingParams
from jobs.kinds.asking import asked_until_kept
from jobs.writing.asking_again import label_of_try, params_of_try
from jobs.writing.cleaning import CleanedOutput, Draft
from jobs.writing.evidence import Brief
from jobs.writing.fields import Line, OtherNames, Text
from jobs.writing.hashtags import HASHTAG, without_hashtags
from jobs.writing.labels import POST, TITLE
from jobs.writing.links.markdown_links import MARKDOWN_LINK
from jobs.writing.links.path_ends import end_of_path
from jobs.writing.links.web_links import LINK
from jobs.writing.platforms import LIMITS, Platform
from jobs.writing.prose import whole_sentences
from jobs.writing.templates import Templates

WORDS: Final = {"x": 30, "bluesky": 35, "threads": 50, "mastodon": 50, "instagram": 70, "linkedin": 100, "facebook": 80}
"""Platform -> how many words the model is asked for at most in the first prompt."""

MIN_ROOM: Final = 40
"""Link, hashtags and call to action must leave the model's words at least this length, as the platform counts. If they leave
less, the row is refused.
"""

WORD_LENGTH: Final = 8
"""The assumed length of a word and the space after it, in characters. It turns the length that is left for the model's words
into a number of words to ask for.
"""

_BOLD: Final = re.compile(r"(?<![0-9A-Za-z)])\*\*(?=[^\s*])([^*\n]{1,1000})(?<=\S)\*\*(?!\d)")

_GONE: Final = "\ue000"
"""A private-use character of Unicode, which stands for a link that was taken out."""

_EMPTIED: Final = re.compile(rf"<{_GONE}>|\[{_GONE}\]| ?\({_GONE}\)| ?\uff08{_GONE}\uff09")
"""Matches brackets that held only a link that was taken out."""

_OTHER_PLATFORMS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("twitter", "twitter.com", "x.com", "x (twitter)", "twitter (x)", "x (formerly twitter)"), "x"),
    **dict.fromkeys(("fb", "facebook.com", "facebook page"), "facebook"),
    **dict.fromkeys(("ig", "insta", "instagram.com"), "instagram"),
    **dict.fromkeys(("linkedin.com", "linkedin page"), "linkedin"),
    **dict.fromkeys(("bsky", "bsky.app", "blue sky"), "bluesky"),
    **dict.fromkeys(("threads.net", "threads.com", "meta threads"), "threads"),
    "mastodon.social": "mastodon",
}
"""Other names that people use for a platform -> the platform."""

Hashtag = Annotated[str, StringConstraints(pattern=r"^#?\w+$", max_length=101)]


def _hashtags(given: Any) -> Any:
    """Split a text, or each text of a list, into hashtags: `#food #tacos` gives two hashtags, and so does `food, tacos`.

    If words have neither a # nor a comma between them, they stay one text, because they may be one hashtag or several. Such a
    text is refused later. A value of another type is returned unchanged.
    """
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, list | tuple):
        return given
    found: list[Any] = []
    for one in given:
        text = one.replace("\N{FULLWIDTH NUMBER SIGN}", "#") if isinstance(one, str) else None
        pieces = (
            [one]
            if text is None or text.isalnum() or not text.strip()
            else re.split(r"[,;|\r\n\uff0c\uff1b\u3001]|(?<=[^\s#])\s*(?=#)", text)
        )
        found += [
            piece.strip() if isinstance(piece, str) else piece for piece in pieces if piece is one or piece.strip()
        ]
    return tuple(found)


class SocialPostRequest(BaseModel):
    """The request of a post: its topic or source text, and its platform."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topic: Text | None = Field(default=None, max_length=2_000, description="What the post is about.")
    source_text: Text | None = Field(default=None, max_length=50_000, description="A text to make the post from.")
    platform: Annotated[Platform, OtherNames(_OTHER_PLATFORMS)] = Field(
        description="Where it will be posted; the post keeps its limits."
    )
    tone: Text | None = Field(default=None, max_length=200, description="The tone, such as friendly or expert.")
    hashtags: Annotated[tuple[Hashtag, ...], BeforeValidator(_hashtags)] = Field(
        default=(), max_length=30, description="Hashtags to put at the end, with or without #."
    )
    link: str | None = Field(
        default=None, pattern=r"^https?://\S+$", max_length=2_000, description="A link to put after the text."
    )
    call_to_action: Line | None = Field(
        default=None, max_length=200, description="A sentence to put after the model's words."
    )

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if self.topic is None and self.source_text is None:
            raise ValueError("topic or source_text is needed")
        limit = LIMITS[self.platform]
        if set(limit.unpostable).intersection(self.ending):
            raise ValueError(
                f"{self.platform} takes no post with a byte order mark: remove it from link and call_to_action"
            )
        if limit.max_hashtags is not None and len(self.hashtags) > limit.max_hashtags:
            raise ValueError(f"{self.platform} takes at most {limit.max_hashtags} hashtags: remove some")
        if (left := limit.max_length - limit.length(self.ending)) < MIN_ROOM:
            fixed = "link, hashtags and call_to_action"
            raise ValueError(
                f"{fixed} leave {max(0, left)} of {limit.max_length} characters on {self.platform}: shorten them"
            )
        return self

    @property
    def ending(self) -> str:
        """The text after the model's words: call to action, link and hashtags."""
        parts = (self.call_to_action, self.link, " ".join(self.tags))
        return "".join(f"\n\n{part}" for part in parts if part)

    @property
    def tags(self) -> tuple[str, ...]:
        """The hashtags, each with its #."""
        return tuple(tag if tag.startswith("#") else f"#{tag}" for tag in self.hashtags)


class SocialPost(CleanedOutput):
    """A post, ready to be posted."""

    text: str = Field(min_length=1, description="The whole post, with call to action, link and hashtags.")
    hashtags: tuple[str, ...] = Field(description="The hashtags at its end, each with its #.")
    length: int = Field(ge=1, description="Its length, as the platform counts.")


class SocialPostKind:
    """The kind `social_post`."""

    name = "social_post"
    request_type = SocialPostRequest
    output_type = SocialPost
    contract = Contract(
        texts={"text": "plain"}, checks=("max_length", "wrapper", "invented", "readability"), source="source_text"
    )
    example: Mapping[str, Any] = {
        "topic": "Our bakery now opens on Sundays at eight",
        "platform": "mastodon",
        "hashtags": ["bakery", "sunday"],
        "link": "https://example.com/sundays",
    }

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    def compose(
        self, request: BaseModel, checker: Checker = UNCHECKED
    ) -> Generator[Sequence[Prompt], Sequence[Completion], SocialPost]:
        """Ask for a post until an answer can be posted, and return the post. Raises CheckFailed after the last try."""
        if not isinstance(request, SocialPostRequest):
            raise TypeError(type(request))
        limit, removed = LIMITS[request.platform], dict[str, Sequence[str]]()
        room = limit.max_length - limit.length(request.ending)
        most = min(WORDS[request.platform], room // WORD_LENGTH)
        shorter, prompts = 0, list[Prompt]()

        def ask(_: int, number: int, faults: Sequence[str]) -> Prompt:
            prompts.append(self._prompt(request, number, max(5, most >> shorter), faults if checker.checks else ()))
            return prompts[-1]

        def read(_: int, prompt: Prompt, answer: Completion) -> SocialPost:
            nonlocal shorter
            shorter += 1
            words_of_model, removed[prompt.label] = _words(request, prompt, answer)
            text = words_of_model + request.ending
            length = limit.length(text)
            if not limit.fits(text):
                tries = f"{checker.tries} tries" if checker.tries > 1 else "one try"
                message = f"the post has {length} characters after {tries}; {request.platform} takes {limit.max_length}"
                raise CheckFailed("post_too_long", message)
            shorter -= 1
            return SocialPost(text=text, hashtags=request.tags, length=length)

        def review(posts: Sequence[SocialPost]) -> Mapping[int, Sequence[str]]:
            found = checker.faults(posts[0].model_dump(mode="json"), prompts=prompts[-1].instructions)
            return {0: [one.message for one in found]}

        (post,) = yield from asked_until_kept(1, ask, read, review, checker.tries)
        return post.with_removed(removed)

    def expected_tokens(self, request: BaseModel) -> int:
        """Return one and a half tokens for each word."""
        return WORDS[getattr(request, "platform", "x")] * 3 // 2

    def _prompt(self, request: SocialPostRequest, number: int, words: int, faults: Sequence[str]) -> Prompt:
        messages, sha256 = self._templates.messages(
            "social_post_system.j2",
            "social_post_user.j2",
            topic=request.topic,
            source_text=request.source_text,
            platform=LIMITS[request.platform].name,
            tone=request.tone,
            words=words,
            again=number > 1,
            faults=faults,
        )
        params = SamplingParams(max_tokens=words * 3 + 20, temperature=0.7, top_p=0.9, repetition_penalty=1.1)
        return Prompt(
            messages=messages,
            params=params_of_try(params, number),
            label=label_of_try("post", number),
            replaces=label_of_try("post", number - 1) if number > 1 else None,
            template_sha256=sha256,
            quotes=tuple(faults),
        )


def _words(request: SocialPostRequest, prompt: Prompt, answer: Completion) -> tuple[str, list[str]]:
    """Return the model's words as plain text, and the parts that were taken off.

    Hashtags that the topic or the source text has stay. Of all others, those at the end of a line that belong to no sentence
    are taken out, and the rest lose their #. A link is kept only if it stands in the topic or the source text and is not the
    row's `link`.

    Raises CheckFailed if no words are left, or if the answer was cut off and has no whole sentence.
    """
    given = f"{request.topic} {request.source_text}"
    brief = Brief("\n".join(value for value in (request.topic, request.source_text) if value))
    draft = _begun(brief, prompt, answer)
    text = _BOLD.sub(r"\1", MARKDOWN_LINK.sub(lambda link: _noted(draft, link, link[1]), draft.text))
    if request.link and not LINK.fullmatch(request.link):  # LINK ends early in this link, at letters such as Japanese
        text = text.replace(request.link, "")
    text = _without_made_up_links(text, given, request.link, draft)
    text = _EMPTIED.sub("", text).replace(_GONE, "")
    text = text.translate(dict.fromkeys(map(ord, LIMITS[request.platform].unpostable)))
    tags = {tag.casefold() for tag in HASHTAG.findall(given)} - {tag[1:].casefold() for tag in request.tags}
    text = without_hashtags(text, tags, draft.note)
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(" ".join(line.split()) for line in text.splitlines())).strip()
    draft.text = text
    draft.drop_quotes(brief)
    if not re.search(r"\w", draft.text):
        raise CheckFailed("empty_output", "the model wrote no post")
    if answer.finish_reason == "length":
        draft.cut_to(whole_sentences(draft.text))
        if not re.search(r"\w", draft.text):
            raise CheckFailed("output_incomplete", "the post was cut off before the end of its first sentence")
    return draft.text, draft.removed


def _without_made_up_links(text: str, given: str, own: str | None, draft: Draft) -> str:
    """Replace each link that is not in `given`, and each that is the row's `own`, by `_GONE`, and note it in `draft`."""
    whole: dict[str, list[str]] = {}
    for link in LINK.finditer(given):
        if link[0] != own:
            end = end_of_path(given, *link.span())
            whole.setdefault(link[0].rstrip("/"), []).append(given[link.start() : end].rstrip("/"))
    parts, place = list[str](), 0
    for link in LINK.finditer(text):
        start, end = link.start(), end_of_path(text, *link.span())
        known = whole.get(link[0].rstrip("/"), [])
        if start < place or (known and (end == link.end() or any(text.startswith(one, start) for one in known))):
            continue
        draft.note(text[start:end])
        parts += [text[place:start], _GONE]
        place = end
    return "".join([*parts, text[place:]])


def _begun(brief: Brief, prompt: Prompt, answer: Completion) -> Draft:
    """Return the completion as a draft, without the labels, fences and quotes that the model put around the post."""
    draft = Draft(answer.text)
    draft.drop_json(brief, POST)
    draft.drop_fence()
    draft.drop_announcement(brief, POST, unnamed=False)
    draft.drop_fence()
    draft.drop_json(brief, POST)
    first, _, rest = draft.text.partition("\n")
    if rest.strip() and brief.repeats(first, prompt):
        draft.cut_to(rest.strip())
    draft.drop_around(brief, POST, TITLE)
    return draft


def _noted(draft: Draft, found: re.Match[str], kept: str) -> str:
    """Note a link that is taken out, and return `kept`, the part of it that stays."""
    draft.note(found[0])
    return kept

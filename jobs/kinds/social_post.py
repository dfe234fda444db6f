"""A social post, at most as long as its platform allows, counted as that platform counts.

The model writes the words. The row's call to action, link and hashtags are put after these words unchanged. Links and hashtags
that the model made up are taken out. A post that is too long or empty, or that was cut off within its first sentence, is
asked for again, shorter; a post that a check refuses is asked for again with what was wrong. It is asked for three times at most,
unless the settings say another number.

With `variants`, several posts are asked for side by side, each with another way to begin. One that is like another
(jobs/checks/text/variants_alike.py) is asked for again, and the prompt names the others. What is still alike, or cannot be
published, after the last try is left out; the check `variants_alike` then finds that there are too few.

With `thread`, the model writes one text, which is divided into posts without a model (jobs/kinds/posts/thread.py).
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, Field

from jobs.checks.checker import UNCHECKED, Checker
from jobs.checks.contract import Contract
from jobs.checks.text import variants_alike
from jobs.errors import CheckFailed
from jobs.generation import Completion, Prompt, SamplingParams
from jobs.kinds.asking import asked_until_kept
from jobs.kinds.posts.request import SocialPostRequest
from jobs.kinds.posts.thread import divided
from jobs.kinds.posts.words import words_of
from jobs.writing.asking_again import label_of_try, params_of_try
from jobs.writing.cleaning import CleanedOutput
from jobs.writing.platforms import LIMITS
from jobs.writing.templates import Templates

__all__ = ["WORDS", "SocialPost", "SocialPostKind", "SocialPostRequest"]

WORDS: Final = {"x": 30, "bluesky": 35, "threads": 50, "mastodon": 50, "instagram": 70, "linkedin": 100, "facebook": 80}
"""Platform -> how many words the model is asked for at most in the first prompt."""

WORD_LENGTH: Final = 8
"""The assumed length of a word and the space after it, in characters. It turns the length that is left for the model's words
into a number of words to ask for.
"""

OPENINGS: Final = (
    "the news itself",
    "a question to the reader",
    "what the reader gains from it",
    "an invitation",
    "a surprising detail",
    "a short exclamation",
    "the person or place that it is about",
    "the reason for it",
    "what was before",
    "what the reader can do now",
)
"""How each variant is asked to begin, so that the variants differ from the first try on."""


class SocialPost(CleanedOutput):
    """A post, ready to be posted; the first one of several variants, or of a thread."""

    text: str = Field(
        min_length=1,
        description="The whole post, with call to action, link and hashtags; the first of variants or of a thread.",
    )
    hashtags: tuple[str, ...] = Field(
        description="The hashtags at its end, or at the end of the thread, each with its #."
    )
    length: int = Field(ge=1, description="Its length, as the platform counts.")
    variants: tuple[str, ...] | None = Field(
        default=None, exclude_if=lambda given: given is None, description="If several were asked for: all variants."
    )
    thread: tuple[str, ...] | None = Field(
        default=None,
        exclude_if=lambda given: given is None,
        description="If it was asked for: all posts of the thread.",
    )
    lengths: tuple[int, ...] | None = Field(
        default=None,
        exclude_if=lambda given: given is None,
        description="The length of each variant, or of each post of the thread.",
    )


@dataclass(frozen=True, slots=True)
class _Written:
    """What an answer came to: the model's words, and the posts made of them; one, or those of a thread."""

    words: str
    posts: Sequence[str]


class SocialPostKind:
    """The kind `social_post`."""

    name = "social_post"
    request_type = SocialPostRequest
    output_type = SocialPost
    contract = Contract(
        texts={"text": "plain", "variants": "plain", "thread": "plain"},
        checks=("max_length", "wrapper", "invented", "readability", "variants_alike"),
        source="source_text",
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
        """Ask for posts until they can be posted, and return them. Raises CheckFailed if none can after the last try."""
        if not isinstance(request, SocialPostRequest):
            raise TypeError(type(request))
        posts = _Posts(request, checker, self._templates)
        written = yield from asked_until_kept(request.variants, posts.ask, posts.read, posts.review, checker.tries)
        return posts.output(written)

    def expected_tokens(self, request: BaseModel) -> int:
        """Return one and a half tokens for each word of all variants, or of the thread."""
        words = WORDS[getattr(request, "platform", "x")]
        count = (request.posts or request.variants) if isinstance(request, SocialPostRequest) else 1
        return words * count * 3 // 2


class _Posts:
    """The posts of one row while they are written."""

    def __init__(self, request: SocialPostRequest, checker: Checker, templates: Templates) -> None:
        self._request = request
        self._checker = checker
        self._templates = templates
        self._limit = LIMITS[request.platform]
        self._alike_limits = checker.limits("variants_alike") if checker.checks else variants_alike.CHECKS[0].limits
        self._most = min(WORDS[request.platform], request.room // WORD_LENGTH) * (request.posts or 1)
        self._shorter: dict[int, int] = {}
        self._prompts: dict[int, Prompt] = {}
        self._tries: dict[int, int] = {}
        self._others: Mapping[int, Sequence[str]] = {}
        self._removed: dict[str, Sequence[str]] = {}
        self._error: CheckFailed | None = None

    def ask(self, n: int, number: int, faults: Sequence[str]) -> Prompt:
        """Make the prompt of a post."""
        request, others = self._request, self._others.get(n, ())
        faults = faults if self._checker.checks or request.posts else ()
        words = max(5 * (request.posts or 1), self._most >> self._shorter.get(n, 0))
        messages, sha256 = self._templates.messages(
            "social_post_system.j2",
            "social_post_user.j2",
            topic=request.topic,
            source_text=request.source_text,
            platform=self._limit.name,
            tone=request.tone,
            words=words,
            posts=request.posts,
            opening=OPENINGS[n % len(OPENINGS)] if request.variants > 1 else None,
            again=number > 1 and not others,
            faults=faults,
            others=others,
        )
        params = SamplingParams(max_tokens=words * 3 + 20, temperature=0.7, top_p=0.9, repetition_penalty=1.1)
        label = "post" if request.variants == 1 else f"post {n + 1}"
        self._tries[n] = number
        self._prompts[n] = Prompt(
            messages=messages,
            params=params_of_try(params, number),
            label=label_of_try(label, number),
            replaces=label_of_try(label, number - 1) if number > 1 else None,
            template_sha256=sha256,
            quotes=(*faults, *others),
        )
        return self._prompts[n]

    def read(self, n: int, prompt: Prompt, answer: Completion) -> _Written | None:
        """Read an answer. None: it cannot be used, the tries for it are over, and other variants may be there.

        Raises CheckFailed if it cannot be used otherwise.
        """
        try:
            words, self._removed[prompt.label] = words_of(self._request, prompt, answer)
            return _Written(words, self._posts_of(n, words))
        except CheckFailed as error:
            self._shorter[n] = self._shorter.get(n, 0) + 1
            if self._request.variants == 1 or self._tries[n] < self._checker.tries:
                raise
            self._error = self._error or error
            return None

    def _posts_of(self, n: int, words: str) -> Sequence[str]:
        request, limit = self._request, self._limit
        if request.posts:
            count = None if request.thread is True else request.posts
            return divided(words, limit, count, request.ending, numbered=request.thread_numbers)
        text = words + request.ending
        if not limit.fits(text):
            tries = f"{self._checker.tries} tries" if self._checker.tries > 1 else "one try"
            message = f"the post has {limit.length(text)} characters after {tries}; {request.platform} takes {limit.max_length}"
            raise CheckFailed("post_too_long", message)
        return [text]

    def review(self, written: Sequence[_Written | None]) -> Mapping[int, Sequence[str]]:
        """Return what is wrong with each post: what the checks refuse, or that it is like one before it."""
        found = {n: self._faults(n, one) for n, one in enumerate(written) if one}
        kept = self._different(written, [n for n, faults in found.items() if not faults])
        for n, one in enumerate(written):
            if one and not found[n] and n not in kept:
                like = next(reason for k in kept if (reason := self._likeness(one, written[k])))
                found[n] = [f"it is like another post that is there already: {like}"]
        self._others = {
            n: [one.words for k in kept if (one := written[k])] for n, faults in found.items() if faults and kept
        }
        return found

    def _faults(self, n: int, one: _Written) -> Sequence[str]:
        """Return what the checks refuse. A thread is judged as one text, since a sentence may stand in two of its posts."""
        instructions = self._prompts[n].instructions
        if self._request.posts:
            as_text = {"platform": None, "thread": None}
            found = self._checker.faults({"text": one.words}, request=as_text, prompts=instructions)
        else:
            found = self._checker.faults({"text": one.posts[0]}, request={"variants": 1}, prompts=instructions)
        return [fault.message for fault in found]

    def _likeness(self, one: _Written, other: _Written | None) -> str | None:
        if other is None or self._alike_limits is None:
            return None
        return variants_alike.likeness(one.words, other.words, self._alike_limits)

    def _different(self, written: Sequence[_Written | None], among: Sequence[int]) -> Sequence[int]:
        """Return the numbers of the posts that are like none before them."""
        kept: list[int] = []
        for n in among:
            if (one := written[n]) and not any(self._likeness(one, written[k]) for k in kept):
                kept.append(n)
        return kept

    def output(self, written: Sequence[_Written | None]) -> SocialPost:
        """Make the output. Variants that are alike are left out, and so are those that a check refuses, unless all are.

        Raises CheckFailed if no answer could be read.
        """
        read = [n for n, one in enumerate(written) if one]
        if not read:
            raise self._error or CheckFailed("empty_output", "the model wrote no post")
        if self._request.variants > 1:
            sound = [n for n in read if not self._faults(n, written[n])]  # type: ignore[arg-type]
            read = list(self._different(written, sound or read))
        posts = [post for n in read if (one := written[n]) for post in one.posts]
        lengths = tuple(map(self._limit.length, posts))
        output = SocialPost(
            text=posts[0],
            hashtags=self._request.tags,
            length=lengths[0],
            variants=tuple(posts) if self._request.variants > 1 else None,
            thread=tuple(posts) if self._request.posts else None,
            lengths=lengths if self._request.variants > 1 or self._request.posts else None,
        )
        return output.with_removed(self._removed)

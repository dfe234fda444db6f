"""The request of a social post: its topic or source text, its platform, and what is put after the words of the model."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from jobs.kinds.parts.post_thread import FEWEST, MOST, numbering
from jobs.writing.fields import Line, OtherNames, Text
from jobs.writing.platforms import LIMITS, Platform

MIN_ROOM: Final = 40
"""Link, hashtags and call to action must leave the model's words at least this length, as the platform counts. If they leave
less, the row is refused.
"""

MOST_VARIANTS: Final = 10

USUAL_POSTS: Final = 5
"""A thread whose number of posts is left open is asked for with the words of this many posts."""

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

_TRUTH: Final = {"true": True, "yes": True, "false": False, "no": False, "": None}
"""Cell of a CSV -> the value of `thread`."""

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


def _thread(given: Any) -> int | bool | None:
    """Read the number of posts of a thread, or true or false; a cell of a CSV is a text. Raises ValueError for other values."""
    value = given.strip().casefold() if isinstance(given, str) else given
    if isinstance(value, str):
        value = _TRUTH[value] if value in _TRUTH else int(value) if value.isdecimal() and len(value) < 4 else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or isinstance(value, bool) or (isinstance(value, int) and FEWEST <= value <= MOST):
        return value
    raise ValueError(
        f"a thread has {FEWEST} to {MOST} posts: give such a number, or true for as many as the text needs"
    )


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

    variants: int = Field(
        default=1, ge=1, le=MOST_VARIANTS, description="How many posts to write that differ from each other."
    )
    thread: Annotated[Annotated[int, Field(ge=FEWEST, le=MOST)] | bool | None, BeforeValidator(_thread)] = Field(
        default=None,
        description="Divides the text into a thread of this many posts; true: of as many as it needs. For X, Bluesky, Mastodon "
        "and Threads.",
    )
    thread_numbers: bool = Field(
        default=False, description="Whether each post of a thread ends with its number: (1/5)."
    )

    @field_validator("hashtags")
    @classmethod
    def _not_too_many(cls, hashtags: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        platform = info.data.get("platform")
        most = LIMITS[platform].max_hashtags if platform else None
        if most is not None and len(hashtags) > most:
            raise ValueError(f"{platform} takes at most {most} hashtags: remove some")
        return hashtags

    @field_validator("thread")
    @classmethod
    def _can_thread(cls, thread: int | bool | None, info: ValidationInfo) -> int | bool | None:
        if thread is None or thread is False or (platform := info.data.get("platform")) is None:
            return thread
        if not LIMITS[platform].threads:
            able = ", ".join(name for name, limit in LIMITS.items() if limit.threads)
            raise ValueError(f"{platform} has no threads: leave thread out, or take one of {able}")
        if info.data.get("variants", 1) > 1:
            raise ValueError("a thread has no variants: leave thread or variants out")
        return thread

    @field_validator("thread_numbers")
    @classmethod
    def _has_posts(cls, numbered: bool, info: ValidationInfo) -> bool:
        if numbered and "thread" in info.data and not info.data["thread"]:
            raise ValueError("only the posts of a thread have numbers: give thread too, or leave thread_numbers out")
        return numbered

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if self.topic is None and self.source_text is None:
            raise ValueError("topic or source_text is needed")
        limit = LIMITS[self.platform]
        if set(limit.unpostable).intersection(self.ending):
            raise ValueError(
                f"{self.platform} takes no post with a byte order mark: remove it from link and call_to_action"
            )
        if (left := self.room) < MIN_ROOM:
            fixed = "link, hashtags and call_to_action"
            raise ValueError(
                f"{fixed} leave {max(0, left)} of {limit.max_length} characters on {self.platform}: shorten them"
            )
        return self

    @property
    def room(self) -> int:
        """The length that is left for the model's words in the post that has the ending."""
        numbers = numbering(MOST, MOST) if self.thread_numbers else ""
        limit = LIMITS[self.platform]
        return limit.max_length - limit.length(numbers + self.ending)

    @property
    def posts(self) -> int | None:
        """How many posts the thread is asked for with; None if no thread is asked for."""
        if self.thread is True:
            return USUAL_POSTS
        return self.thread or None

    @property
    def ending(self) -> str:
        """The text after the model's words: call to action, link and hashtags."""
        parts = (self.call_to_action, self.link, " ".join(self.tags))
        return "".join(f"\n\n{part}" for part in parts if part)

    @property
    def tags(self) -> tuple[str, ...]:
        """The hashtags, each with its #."""
        return tuple(tag if tag.startswith("#") else f"#{tag}" for tag in self.hashtags)

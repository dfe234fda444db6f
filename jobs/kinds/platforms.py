"""How long a post may be on each platform, and how that platform counts.

Sources, each read in 2026: X counts by weight, as twitter-text 3 does (developer.x.com, "Counting characters"); Bluesky by
grapheme clusters (the lexicon app.bsky.feed.post: 300 graphemes and 3,000 bytes); Mastodon by characters, a link being 23
(docs.joinmastodon.org, "Posting"); Threads, Instagram, LinkedIn and Facebook by characters (their help pages).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import regex

Platform = Literal["x", "linkedin", "facebook", "instagram", "threads", "bluesky", "mastodon"]

LINK_LENGTH: Final = 23
_LINK: Final = re.compile(r"https?://[^\s]+")
_CLUSTER: Final = regex.compile(r"\X")
_EMOJI: Final = regex.compile(r"\p{Extended_Pictographic}|\p{Regional_Indicator}|\u20e3")
_LIGHT: Final = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))
"""The ranges of code points that weigh 1 on X; all others weigh 2."""


def graphemes(text: str) -> int:
    """Characters as a reader sees them: extended grapheme clusters (Unicode Annex 29)."""
    return len(_CLUSTER.findall(text))


def weighted(text: str) -> int:
    """Length on X: a link counts 23, an emoji 2, a code point 1 or 2 by its range."""
    links = _LINK.findall(text)
    clusters = _CLUSTER.findall(_LINK.sub("", text))
    return LINK_LENGTH * len(links) + sum(2 if _EMOJI.search(c) else sum(map(_weight, c)) for c in clusters)


def with_short_links(text: str) -> int:
    """Length on Mastodon: each link counts 23."""
    return LINK_LENGTH * len(_LINK.findall(text)) + graphemes(_LINK.sub("", text))


def _weight(character: str) -> int:
    return 1 if any(first <= ord(character) <= last for first, last in _LIGHT) else 2


@dataclass(frozen=True, slots=True)
class Limit:
    """The longest post, by `length`, and the most hashtags."""

    most: int
    length: Callable[[str], int]
    hashtags: int = 10


LIMITS: Final[Mapping[str, Limit]] = {
    "x": Limit(280, weighted),
    "linkedin": Limit(3_000, len),
    "facebook": Limit(63_206, len),
    "instagram": Limit(2_200, len, hashtags=30),
    "threads": Limit(500, len, hashtags=1),
    "bluesky": Limit(300, graphemes),
    "mastodon": Limit(500, with_short_links),
}

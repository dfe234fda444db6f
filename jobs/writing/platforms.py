"""Platforms: how long a post may be on each platform, and how the platform counts the length.

Sources, read in 2026:
- X: twitter-text, config/v3.json (ranges of code points have weights, all emoji have one, all links have another; NFC first).
- Bluesky: the lexicon app.bsky.feed.post (300 grapheme clusters and 3,000 bytes of UTF-8).
- Mastodon: docs.joinmastodon.org, "Posting to your profile" (500 characters; a link counts 23, a mention counts as its name).
- Threads: Meta's Threads API, "Posts" (500 characters; an emoji counts as its bytes in UTF-8; only one hashtag becomes a topic).
- Instagram (2,200, and 30 hashtags), LinkedIn (3,000) and Facebook (63,206) speak of "characters". Their own counters count
  UTF-16 units, so most emoji count 2. This is also the cautious reading.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import regex

Platform = Literal["x", "linkedin", "facebook", "instagram", "threads", "bluesky", "mastodon"]

LINK_LENGTH: Final = 23
"""A link of any length counts as this many characters on X and Mastodon."""

LINK: Final = re.compile(r"https?://[^\s<>\"]*[^\s<>\"'.,;:!?)\]}…*_]", re.IGNORECASE)
"""Matches a link that has a scheme, without the punctuation of the sentence around the link."""

_DOMAIN: Final = re.compile(
    r"(?<![\w@$#./-])((?:[a-z0-9][a-z0-9-]*\.)+)([a-z]{2,})(?![\w@-])(/\S*[\w/=-])?", re.IGNORECASE
)
_GENERIC: Final = (
    *("com", "net", "org", "info", "biz", "edu", "gov", "int", "mil", "mobi", "name", "pro", "co", "tv"),
    *(
        "academy",
        "agency",
        "app",
        "art",
        "blog",
        "cloud",
        "design",
        "dev",
        "digital",
        "email",
        "events",
        "jobs",
        "life",
    ),
    *("link", "live", "media", "news", "online", "page", "shop", "site", "social", "space", "store", "studio", "tech"),
    *("today", "website", "world", "xyz"),
)
"""The most used generic top-level domains. (co and tv are countries' domains that X treats as generic.) X itself knows all."""

_MENTION: Final = re.compile(r"(?<![\w/])(@\w+)@[a-z0-9.-]*[a-z0-9]", re.IGNORECASE)
_CLUSTER: Final = regex.compile(r"\X")
_EMOJI: Final = regex.compile(r"(?![©®](?!\ufe0f))\p{Extended_Pictographic}|\p{Regional_Indicator}{2}|\u20e3")
_LIGHT: Final = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))
"""Ranges of code points that weigh 1 on X. All other code points weigh 2."""


def graphemes(text: str) -> int:
    """Count the characters as a reader sees them: extended grapheme clusters (Unicode Annex 29)."""
    return len(_CLUSTER.findall(text))


def x_length(text: str) -> int:
    """Return the length on X, after NFC: a link counts 23, an emoji 2, any other code point 1 or 2 by its range.

    A sequence of joined emoji counts as one emoji here. If no font has the sequence, X counts the parts instead.
    """
    pieces = LINK.split(unicodedata.normalize("NFC", text))
    links, length = len(pieces) - 1, 0
    for piece in pieces:
        bare = [domain for domain in _DOMAIN.finditer(piece) if _becomes_link(domain)]
        links += len(bare)
        length += _weight(piece) - sum(_weight(domain[0]) for domain in bare)
    return LINK_LENGTH * links + length


def mastodon_length(text: str) -> int:
    """Return the length on Mastodon in grapheme clusters. A link counts 23, and the server of a mention does not count."""
    pieces = LINK.split(text)
    return LINK_LENGTH * (len(pieces) - 1) + sum(graphemes(_MENTION.sub(r"\1", piece)) for piece in pieces)


def threads_length(text: str) -> int:
    """Return the length on Threads in code points, except that an emoji counts as many as it has bytes in UTF-8."""
    return sum(len(c.encode()) if _EMOJI.search(c) else len(c) for c in _CLUSTER.findall(text))


def utf16_units(text: str) -> int:
    """Return the length in UTF-16 code units, as a browser counts."""
    return len(text.encode("utf-16-le")) // 2


def _becomes_link(domain: re.Match[str]) -> bool:
    """Whether X makes a link of a domain without a scheme.

    It does if the top-level domain is generic. If it is a country's, it does so too, unless the domain is just `name.cc`
    without a path.
    """
    labels, top, path = domain[1], domain[2].lower(), domain[3]
    if top in _GENERIC:
        return True
    return len(top) == 2 and (path is not None or labels.count(".") > 1)


def _weight(text: str) -> int:
    return sum(2 if _EMOJI.search(c) else sum(map(_weight_of_character, c)) for c in _CLUSTER.findall(text))


def _weight_of_character(character: str) -> int:
    return 1 if any(first <= ord(character) <= last for first, last in _LIGHT) else 2


@dataclass(frozen=True, slots=True)
class Limit:
    """The limits of a platform. A limit that is None does not exist.

    Attributes:
        name: The platform's name as people write it.
        max_length: The greatest length of a post, measured by the function `length`.
        max_bytes: A post has at most this many bytes in UTF-8.
        max_hashtags: A post has at most this many hashtags.
    """

    name: str
    max_length: int
    length: Callable[[str], int]
    max_bytes: int | None = None
    max_hashtags: int | None = None

    def fits(self, text: str) -> bool:
        """Whether the platform takes a post with this text."""
        within_bytes = self.max_bytes is None or len(text.encode()) <= self.max_bytes
        return within_bytes and self.length(text) <= self.max_length


LIMITS: Final[Mapping[Platform, Limit]] = {
    "x": Limit("X", 280, x_length),
    "linkedin": Limit("LinkedIn", 3_000, utf16_units),
    "facebook": Limit("Facebook", 63_206, utf16_units),
    "instagram": Limit("Instagram", 2_200, utf16_units, max_hashtags=30),
    "threads": Limit("Threads", 500, threads_length),
    "bluesky": Limit("Bluesky", 300, graphemes, max_bytes=3_000),
    "mastodon": Limit("Mastodon", 500, mastodon_length),
}

"""Platforms: how long a post may be on each platform, and how the platform counts the length.

All limits stand in the one table `LIMITS`, each with its source and the day on which it was looked up; docs/kinds.md shows the
same table. How the platforms count:

- X: after NFC, each range of code points, emoji and links have a weight (twitter-text).
- Bluesky: grapheme clusters, and bytes of UTF-8; links count as they are (the lexicon of a post).
- Mastodon: grapheme clusters; a link with a scheme counts 23, a mention counts as its name (the validator of its server).
- Threads: characters; an emoji counts as its bytes in UTF-8. Only one hashtag becomes a topic, the others stay text.
- Instagram, LinkedIn and Facebook speak of "characters". Their own counters count UTF-16 units, so most emoji count 2. This is
  also the cautious reading.
"""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

import regex

from jobs.writing.characters import clusters, graphemes, utf16_units
from jobs.writing.links.domains import UNPOSTABLE
from jobs.writing.links.mastodon_links import shortened_for_count
from jobs.writing.links.x_links import end_on_x, x_links
from jobs.writing.x_emoji import x_emoji

Platform = Literal["x", "linkedin", "facebook", "instagram", "threads", "bluesky", "mastodon"]

LINK_LENGTH: Final = 23
"""A link of any length counts as this many characters on X and Mastodon."""

_EMOJI: Final = regex.compile(r"(?![©®](?!\ufe0f))\p{Extended_Pictographic}|\p{Regional_Indicator}{2}|\u20e3")
_LIGHT: Final = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))
"""Ranges of code points that weigh 1 on X. All other code points weigh 2."""


def x_length(text: str) -> int:
    """Return the length on X, after NFC: a link counts 23, an emoji 2, any other code point 1 or 2 by its range."""
    text = unicodedata.normalize("NFC", text)
    links = {link.start: link for link in x_links(text)}
    emoji = x_emoji(text)
    position = length = 0
    while position < len(text):
        if position in links:
            position, in_character = end_on_x(links[position], text)
            length += LINK_LENGTH + 2 * in_character
        elif position in emoji:
            length, position = length + 2, emoji[position]
        else:
            length, position = length + _weight(text[position]), position + 1
    return length


def mastodon_length(text: str) -> int:
    """Return the length on Mastodon in grapheme clusters. A link counts 23, and the server of a mention does not count."""
    return graphemes(shortened_for_count(text, LINK_LENGTH))


def threads_length(text: str) -> int:
    """Return the length on Threads in code points, except that an emoji counts as many as it has bytes in UTF-8."""
    return sum(len(c.encode()) if _EMOJI.search(c) else len(c) for c in clusters(text))


def _weight(character: str) -> int:
    return 1 if any(first <= ord(character) <= last for first, last in _LIGHT) else 2


@dataclass(frozen=True, slots=True)
class Limit:
    """The limits of a platform. A limit that is None does not exist.

    Attributes:
        name: The platform's name as people write it.
        max_length: The greatest length of a post, measured by the function `length`.
        length: Returns the length of a text in the platform's own units.
        unit: What the platform counts, in words.
        looked_up: The day on which the limits were looked up.
        source: Where the limits stand: a page, or a package with its version and file.
        max_bytes: A post has at most this many bytes in UTF-8.
        max_hashtags: A post has at most this many hashtags.
        unpostable: A post has none of these characters.
        threads: Whether people post threads there: posts that answer each other, each within the limit.
    """

    name: str
    max_length: int
    length: Callable[[str], int]
    unit: str
    looked_up: date
    source: str
    max_bytes: int | None = None
    max_hashtags: int | None = None
    unpostable: str = ""
    threads: bool = False

    def fits(self, text: str) -> bool:
        """Whether the platform takes a post with this text."""
        within_bytes = self.max_bytes is None or len(text.encode()) <= self.max_bytes
        return within_bytes and 0 < self.length(text) <= self.max_length and not set(self.unpostable).intersection(text)


_LOOKED_UP: Final = date(2026, 11, 30)

LIMITS: Final[Mapping[Platform, Limit]] = {
    "x": Limit(
        "X",
        280,
        x_length,
        "weighted characters: a link 23, an emoji 2, an ideograph 2",
        _LOOKED_UP,
        "npm twitter-text 3.1.0, configuration version 3",
        unpostable=UNPOSTABLE,
        threads=True,
    ),
    "linkedin": Limit(
        "LinkedIn",
        3_000,
        utf16_units,
        "UTF-16 units",
        _LOOKED_UP,
        "guides of services that post there, such as ayrshare.com; LinkedIn names no number in its own",
    ),
    "facebook": Limit(
        "Facebook",
        63_206,
        utf16_units,
        "UTF-16 units",
        _LOOKED_UP,
        "guides of services that post there; Facebook announced the number in 2011",
    ),
    "instagram": Limit(
        "Instagram",
        2_200,
        utf16_units,
        "UTF-16 units",
        _LOOKED_UP,
        "Instagram Graph API, IG User Media (length); Instagram's announcement of 18 December 2025 (hashtags)",
        max_hashtags=5,
    ),
    "threads": Limit(
        "Threads",
        500,
        threads_length,
        "characters; an emoji as its bytes in UTF-8",
        _LOOKED_UP,
        "developers.facebook.com, Threads API, Posts",
        threads=True,
    ),
    "bluesky": Limit(
        "Bluesky",
        300,
        graphemes,
        "grapheme clusters",
        _LOOKED_UP,
        "npm @atproto/api 0.19.19, lexicon app.bsky.feed.post",
        max_bytes=3_000,
        threads=True,
    ),
    "mastodon": Limit(
        "Mastodon",
        500,
        mastodon_length,
        "grapheme clusters: a link 23, a mention without its server",
        _LOOKED_UP,
        "github.com/mastodon/mastodon, app/validators/status_length_validator.rb; a server may allow more",
        threads=True,
    ),
}
"""Platform -> its limits."""

"""The search of twitter-text: where scheme, domain, port, path and query of a possible link stand in a text.

X and Mastodon use this search, each with its own classes of characters (`Rules`) and its own rules for which matches are links.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from jobs.writing.links.domains import UNPOSTABLE, Label, labels

_BEFORE: Final = re.compile(rf"[^A-Za-z0-9@\uFF20$#\uFF03{UNPOSTABLE}]")
_PORT: Final = re.compile(r":[0-9]+")


@dataclass(frozen=True, slots=True)
class Link:
    """A link: the position of its first character, and its text."""

    start: int
    text: str


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules in which platforms differ.

    Attributes:
        label: Matches a run of the characters that a label of a domain may have, with hyphens and underscores.
        scheme: Matches a scheme with its colon and slashes, up to the end of the text.
        longest_scheme: The length of the longest scheme.
        end_of_path: Takes a text and a position, and returns the end of the path that begins there; None if there is none.
        end_of_query: Takes the same arguments, and returns the end of the query that begins there; None if there is none.
        in_utf16: Whether the search goes by UTF-16 units, so that a domain may begin with the second half of a character.
    """

    label: re.Pattern[str]
    scheme: re.Pattern[str]
    longest_scheme: int
    end_of_path: Callable[[str, int], int | None]
    end_of_query: Callable[[str, int], int | None]
    in_utf16: bool


@dataclass(frozen=True, slots=True)
class Match:
    """A match of twitter-text's pattern.

    Attributes:
        before: The character before the match; empty at the beginning of the text.
        scheme: The scheme with its colon and slashes; empty if there is none.
        domain: The domain. Its first character may be the second half of a pair of UTF-16 units.
        start: The position of the domain.
        end_of_domain: The position behind the domain.
        has_path: Whether a path, if only a slash, follows domain and port.
        end: The position behind port, path and query.
    """

    before: str
    scheme: str
    domain: str
    start: int
    end_of_domain: int
    has_path: bool
    end: int


def matches(text: str, rules: Rules) -> Iterator[Match]:
    """Yield the matches of twitter-text's pattern. Matches never overlap, even those that are no links, as in twitter-text."""
    position = 0
    for label in labels(text, rules.label):
        for scheme, start, half in _starts(text, label, position, rules):
            end = label.end_from(start)
            if end is not None and text[start] not in "_-":
                match = _with_path(text, scheme, start, end, half, rules)
                yield match
                position = match.end
                break


def _starts(text: str, label: Label, position: int, rules: Rules) -> Iterator[tuple[str, int, bool]]:
    """Yield the scheme and the position of each possible domain in a label, from `position` on, in the order of twitter-text's
    search.

    If a domain may begin with the second half of a character, the third value is true for it.
    """
    scheme = rules.scheme.search(text, max(0, label.start - rules.longest_scheme), label.start)
    if scheme and (scheme.start() == 0 or (scheme.start() > position and _BEFORE.match(text, scheme.start() - 1))):
        yield scheme[0], label.start, False
    if label.start == position == 0 and not (rules.in_utf16 and text[0] > "\uffff"):
        if label.stop > 1 and _BEFORE.match(text):
            yield "", 1, False
        yield "", 0, False
    for start in range(label.start, label.stop):
        if start > position and _BEFORE.match(text, start - 1):
            yield "", start, False
        elif rules.in_utf16 and start >= position and text[start] > "\uffff":
            yield "", start, True


def _with_path(text: str, scheme: str, start: int, end_of_domain: int, half: bool, rules: Rules) -> Match:
    end = port.end() if (port := _PORT.match(text, end_of_domain)) else end_of_domain
    path = rules.end_of_path(text, end)
    end = path or end
    end = rules.end_of_query(text, end) or end
    first = chr(0xDC00 + (ord(text[start]) & 0x3FF)) if half else text[start]
    before = "" if half else text[max(0, start - len(scheme) - 1) : start - len(scheme)]
    return Match(before, scheme, first + text[start + 1 : end_of_domain], start, end_of_domain, path is not None, end)

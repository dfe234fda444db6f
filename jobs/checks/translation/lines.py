"""Pairs each line of a translation with its line of the source."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from jobs.checks.signs.addresses import addresses
from jobs.checks.signs.markup import blanked, code, markdown, tags
from jobs.checks.signs.placeholders import placeholders

LONGEST_SHOWN: Final = 80
"""A message quotes at most this many characters of a text."""


def shown(text: str) -> str:
    """Return a text as a message quotes it, shortened if it is long."""
    return repr(text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…")


class Line(NamedTuple):
    """A line of the source, its line in the translation, and the position where the line begins in the translation."""

    source: str
    target: str
    start: int


def line_pairs(source: str, target: str) -> Iterator[Line]:
    """Yield the lines in pairs. If the texts have different numbers of lines, the whole texts are one pair."""
    sources, targets = source.splitlines(keepends=True), target.splitlines(keepends=True)
    if len(sources) != len(targets):
        yield Line(source, target, 0)
        return
    start = 0
    for one, other in zip(sources, targets, strict=True):
        yield Line(one.rstrip("\r\n"), other.rstrip("\r\n"), start)
        start += len(other)


@lru_cache(maxsize=8)
def prose_only(text: str, form: str, language: str | None) -> str:
    """Return a text with placeholders, addresses, tags and code, which no translator changes, replaced by as many spaces.

    Args:
        text: The text.
        form: Its form: `plain` or `markdown`.
        language: Its language.
    """
    places = [(one.start, one.end) for one in placeholders(text, None, language)]
    places += [(one.start, one.end) for one in addresses(text)]
    places += [(one.start, one.end) for one in (*tags(text), *code(text))]
    if form == "markdown":
        places += [(one.start, one.end) for one in markdown(text) if one.what in ("code", "link")]
    return blanked(text, places) if places else text

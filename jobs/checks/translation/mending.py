"""Mends, without a model, the faults of white space and end marks that end_punctuation and whitespace_edges find."""

from collections.abc import Iterable
from typing import Final

from jobs.checks.signs.end_marks import Class, End, end_of, mark_in
from jobs.checks.translation.end_punctuation import UNMARKED, agree
from jobs.checks.translation.lines import line_pairs
from jobs.checks.translation.whitespace_edges import alike, edges
from jobs.writing.words.words import primary

_ORDER: Final[tuple[Class, ...]] = ("ellipsis", "question", "exclamation", "stop", "colon", "semicolon")


def mended(source: str, target: str, language: str | None, source_language: str | None = None) -> str:
    """Return a translation with the white space and the end marks of its source; its language decides how a mark is written.

    A mark that the source lacks is removed only if it is a full stop. A blank target stays as it is.
    """
    return with_edges(source, with_end_marks(source, target, language, source_language))


def with_edges(source: str, target: str) -> str:
    """Return a translation with the white space at the beginning and end of its source."""
    if not target.strip():
        return target
    (before, after), (found_before, found_after) = edges(source), edges(target)
    start = found_before if alike(before) == alike(found_before) else before
    end = found_after if alike(after) == alike(found_after) else after
    return start + target.strip() + end


def with_end_marks(source: str, target: str, language: str | None, source_language: str | None = None) -> str:
    """Return a translation whose lines end with the same marks as the lines of its source."""
    if not {primary(source_language), primary(language)}.isdisjoint(UNMARKED):
        return target
    lines = list(line_pairs(source, target))
    pieces, position = [], 0
    for line in lines:
        ended = line.target
        if any(map(str.isalpha, line.source)) and any(map(str.isalpha, line.target)):
            ended = _line_mended(line.source, line.target, language, source_language)
        pieces += [target[position : line.start], ended]
        position = line.start + len(line.target)
    return "".join([*pieces, target[position:]])


def _line_mended(source: str, target: str, language: str | None, source_language: str | None) -> str:
    wanted, found = end_of(source, source_language), end_of(target, language)
    if agree(wanted, found, target, language):
        return target
    if not wanted.classes:
        return target[: found.start] + target[found.end :] if found.classes == {"stop"} else target
    mark = "".join(mark_in(language, one) for one in _ordered(wanted.classes))
    if found.classes:
        return target[: found.start] + mark + target[found.end :]
    return _appended(source, target, wanted, found, mark)


def _appended(source: str, target: str, wanted: End, found: End, mark: str) -> str:
    """Return the line with the mark added: before the closing quotes and tags if the source has it there, else at its end."""
    if source[wanted.end :].strip():
        return target[: found.end] + mark + target[found.end :]
    end = len(target.rstrip())
    return target[:end] + mark + target[end:]


def _ordered(classes: Iterable[Class]) -> list[Class]:
    """Return the classes of a mark in the order in which they are written: `?!`."""
    return [one for one in _ORDER if one in classes]

"""Cuts a text into units: the lines that have words, or the whole text if it is a segment.

Blank lines, indentation, and lines of signs, numbers or marks alone stay as they are. In Markdown, blocks of code and the signs
at the beginning of a line stay too. A line does not end within a mark or within an argument of an ICU message.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from jobs.checks.signs.icu import CHOOSING, IcuError, is_icu, parse
from jobs.checks.signs.markup import Mark as Markup
from jobs.checks.signs.markup import blanked, markdown
from jobs.kinds.translating.request import TranslationRequest
from jobs.marks.building import has_words
from jobs.marks.grammar import find_marks
from jobs.marks.mark import Mark, apart
from jobs.writing.prose import FENCE

_INDENT: Final = re.compile(r"\s*")
_BEGINNING: Final = re.compile(r"\s*(?:#{1,6}\s+|[-*+]\s+(?:\[[ xX]\]\s+)?|\d{1,9}[.)]\s+|>\s*)*")
_BLANK: Final = "\x1a"
"""Stands for a character of code while marks are looked for, so that no mark begins there."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit in three parts: what stands before its words, the words, and the end. Without words, `before` holds all of it.

    `marks` are the marks in `words`, placed from its beginning. `is_message` says that the words are an ICU message or a line of
    one, which is to be cut into its sentences.
    """

    before: str
    words: str = ""
    after: str = ""
    marks: tuple[Mark, ...] = ()
    is_message: bool = False


def marks_of(request: TranslationRequest) -> tuple[Mark, ...]:
    """Return the marks of a text: those that the row gives, else those that are found, and the names that stay."""
    marks, text = _marks_of(request), request.text
    names = request.terms.name_places(text)
    kept = [Mark(*place, text[slice(*place)]) for place in names if not _overlaps(place, marks)]
    return tuple(sorted([*marks, *kept], key=lambda mark: mark.start)) if kept else marks


def _overlaps(place: tuple[int, int], marks: Sequence[Mark]) -> bool:
    """Whether a place lies in a mark, or partly. The marks are in their order."""
    n = bisect_right(marks, place[0], key=lambda mark: mark.start)
    return (n > 0 and marks[n - 1].end > place[0]) or (n < len(marks) and marks[n].start < place[1])


def _marks_of(request: TranslationRequest) -> tuple[Mark, ...]:
    given = request.given_marks
    if given is not None:
        return given
    text, code = request.text, list[Markup]()
    if request.format == "markdown":
        inline = markdown(text)
        code = [mark for mark in inline if mark.what == "code"]
        links = [_link(text, one) for one in inline if one.what == "link"]
    else:
        links = []
    shown = blanked(text, [(one.start, one.end) for one in code]) if code else text
    if code and len(shown) == len(text):
        shown = "".join(_BLANK if one == " " and text[n] != " " else one for n, one in enumerate(shown))
    found = [one for one in find_marks(shown, language=request.source_language) if _BLANK not in one.text]
    spans = [Mark(one.start, one.end, text[one.start : one.end]) for one in code if not _is_block(text, one.start)]
    return apart([*spans, *links, *found])


def units_of(request: TranslationRequest) -> list[Unit]:
    """Return the units of a text. Joined, they are the whole text again."""
    text, marks = request.text, marks_of(request)
    if request.format == "segment":
        return [_unit(text, 0, len(_INDENT.match(text)[0]), marks, request)]  # type: ignore[index]  # matches always
    kept = [(one.start, one.end) for one in marks]
    messages = _messages(text) if request.marks is None and is_icu(text) else []
    if messages:
        kept = sorted([*kept, *messages])
    units, fence, at = list[Unit](), "", 0
    pattern = _BEGINNING if request.format == "markdown" else _INDENT
    first = 0
    for position, line in _lines(text, kept):
        mark = match[1] if request.format == "markdown" and (match := FENCE.match(line)) else ""
        if fence or mark:
            closes = fence and line.strip() and set(line.strip()) == {fence[0]} and len(line.strip()) >= len(fence)
            fence = "" if closes else fence or mark
            units.append(Unit(line))
            continue
        while first < len(marks) and marks[first].end <= position:
            first += 1
        beginning = pattern.match(line)
        start = beginning.end() if beginning else 0
        if first < len(marks) and position <= marks[first].start < position + start:
            start = marks[first].start - position
        at = first
        while at < len(marks) and marks[at].start < position + len(line):
            at += 1
        unit = _unit(line, position, start, marks[first:at], request)
        units.append(replace(unit, is_message=True) if messages and unit.words else unit)
    return units


def _link(text: str, found: Markup) -> Mark:
    """Return the mark of the target of a link; of a definition such as `[label]: address`, which has no words, all of it."""
    start = found.start
    if found.key.startswith("[") and "]: " in found.key:
        line = text.rfind("\n", 0, start) + 1
        start = line + len(text[line:start]) - len(text[line:start].lstrip())
    return Mark(start, found.end, text[start : found.end])


def _is_block(text: str, start: int) -> bool:
    """Whether code that begins here is a block in fences, and not a span in a line."""
    return (
        FENCE.match(text, text.rfind("\n", 0, start) + 1) is not None
        and not text[text.rfind("\n", 0, start) + 1 : start].strip()
    )


def _unit(line: str, position: int, start: int, marks: Sequence[Mark], request: TranslationRequest) -> Unit:
    end = len(line.rstrip())
    if marks:
        end = max(end, min(len(line), marks[-1].end - position))
    words = line[start:end]
    shift = position + start
    placed = tuple(Mark(one.start - shift, one.end - shift, one.text, one.role) for one in marks if one.start >= shift)
    if not has_words(words, placed):
        return Unit(line)
    is_message = request.marks is None and is_icu(words)
    return Unit(line[:start], words, line[end:], placed, is_message)


def _lines(text: str, kept: Sequence[tuple[int, int]]) -> Iterator[tuple[int, str]]:
    """Yield the lines with their places. A line goes on where a line break lies within a place of `kept`."""
    position, start, n, until = 0, 0, 0, 0
    for line in text.splitlines(keepends=True):
        position += len(line)
        while n < len(kept) and kept[n][0] < position:
            until = max(until, kept[n][1])
            n += 1
        if position >= until or position == len(text):
            yield start, text[start:position]
            start = position


def _messages(text: str) -> list[tuple[int, int]]:
    """Return the places of the arguments that choose between forms, if the text is a valid ICU message."""
    try:
        return [(one.start, one.end) for one in parse(text).arguments if one.type in CHOOSING]
    except IcuError:
        return []

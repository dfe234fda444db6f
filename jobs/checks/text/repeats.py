"""Finds a text that repeats itself: it has too many runs of four words that occurred before, or a sentence twice.

Code, tables, data and headings are left out. The refrain of a poem may be repeated, and a text that is made from a source may
repeat what its source repeats.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import regex

from jobs.checks import masks, reading
from jobs.checks.check import Broken, Check, Limits, Piece, Subject
from jobs.checks.data import is_data
from jobs.checks.quoting import shortened
from jobs.findings import Severity

RUN: Final = 4
"""The number of words in a run. In a script without spaces, two signs count as a word."""

_FEWEST_RUNS: Final = 20
"""A text with fewer runs than this is not judged by its share of repeated runs."""

_FEWEST_WORDS: Final = 4
_FEWEST_WORDS_OF_ITEM: Final = 8
"""A shorter sentence, or a shorter item of a list, may stand twice: `It depends.`"""

_IN_A_ROW: Final = 3
"""The same sentence, of any length, must not stand this many times in a row."""

_VERSE_SHARE: Final = 50
"""Percent of the runs of a poem or a song that may be repeated, because of its refrain."""

_VERSE_WIDTH: Final = 70
_ITEM: Final = regex.compile(r"[ \t>]*+(?:[-*+\u2022\u2013]|\d{1,3}[.)]|[a-z][.)])[ \t]+")
_MARKS: Final = " #*_>-.!?\u3002\uff01\uff1f\u0964"
_WIDEST_MARK: Final = 12
_NO_PROSE: Final = regex.compile(r"^[ \t>]*+(?:#{1,6}[ \t]|\|).*+$", regex.MULTILINE)


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    for piece in subject.pieces:
        if is_data(piece.text):
            continue
        verse = _is_verse(piece.prose)
        yield from _sentences(subject, piece, verse)
        yield from _runs(subject, piece, max(limits["percent"], _VERSE_SHARE) if verse else limits["percent"])


def _runs(subject: Subject, piece: Piece, most: float) -> Iterator[Broken]:
    words = [key for line, keys in piece.lines if not _NO_PROSE.match(line) for key in keys]
    size = RUN * 2 if piece.is_unspaced else RUN
    runs = _runs_of(words, size)
    percent = _repeated(runs)
    if percent <= most:
        return
    if subject.source and percent <= most + _repeated(_runs_of(_words(subject.source), size)):
        return
    repeated = Counter(runs).most_common(1)[0][0]
    message = f"{percent:.0f} % of the runs of {size} words stood before, such as {repeated!r}"
    yield Broken(message, round(percent, 1), most, None)


def _words(text: str) -> Sequence[str]:
    return reading.keys(_NO_PROSE.sub("", text))


def _runs_of(words: Sequence[str], size: int) -> Sequence[str]:
    """Return the runs of words as texts, since the garbage collector would look at each of a thousand tuples."""
    return list(map(" ".join, zip(*(words[n:] for n in range(size)), strict=False)))


def _repeated(runs: Sequence[str]) -> float:
    """Return the percent of runs of words that occurred before."""
    return 100 * (len(runs) - len(set(runs))) / len(runs) if len(runs) >= _FEWEST_RUNS else 0.0


def _sentences(subject: Subject, piece: Piece, verse: bool) -> Iterator[Broken]:
    seen: dict[str, int] = {}
    before, in_a_row = "", 1
    again: dict[str, tuple[int, int]] = {}
    for start, end in piece.spans:
        text = piece.prose[start:end]
        key = " ".join(text.casefold().split()).strip(_MARKS)
        if _NO_PROSE.match(text) or not any(map(str.isalpha, key)):
            continue
        mark = _ITEM.match(text)
        if mark:
            key = " ".join(text[mark.end() :].casefold().split()).strip(_MARKS)
        item = mark or _follows_mark(piece.prose, start)
        in_a_row = in_a_row + 1 if key == before else 1
        before = key
        seen[key] = seen.get(key, 0) + 1
        if seen[key] == 1 or key in again:
            continue
        fewest = _FEWEST_WORDS_OF_ITEM if item else _FEWEST_WORDS
        if in_a_row >= _IN_A_ROW or (not verse and _length(key) >= fewest):
            again[key] = (start, end)
    if not again:
        return
    given = _sentence_counts(subject.source) if subject.source else Counter[str]()
    repeats_of_source = sum(count - 1 for count in given.values())
    for key, (start, end) in again.items():
        if seen[key] - 1 > repeats_of_source:
            words = shortened(piece.text[start:end])
            yield Broken(f"{words!r} stands {seen[key]} times", seen[key], 1, piece.place(start, end))


def _follows_mark(text: str, start: int) -> bool:
    """Whether the mark of a list item stands before a position. It is asked because sentencex takes `1.` for a sentence."""
    before = max(0, start - _WIDEST_MARK)
    line = text.rfind("\n", before, start) + 1
    return (line > 0 or before == 0) and _ITEM.fullmatch(text, line, start) is not None


def _sentence_counts(text: str) -> Counter[str]:
    return Counter(text[start:end].casefold() for start, end in masks.sentence_spans(text))


def _length(text: str) -> int:
    """Return the number of words; two signs of a script without spaces are one."""
    words = reading.words(text)
    return (len(words) + 1) // 2 if reading.is_unspaced(text) else len(words)


def _is_verse(text: str) -> bool:
    """Whether most lines are short, stand in stanzas and are not items of a list, as in a poem or a song."""
    lines = text.splitlines()
    filled = [line for line in lines if line.strip()]
    if len(filled) < 4 or any(len(line) > _VERSE_WIDTH for line in filled):
        return False
    stanzas = sum(bool(one.strip()) and bool(two.strip()) for one, two in pairwise(lines))
    items = sum(_ITEM.match(line) is not None or line.lstrip().startswith(("|", "#")) for line in filled)
    different = len({line.strip().casefold() for line in filled})
    return stanzas * 2 >= len(filled) and items * 4 < len(filled) and different * 2 >= len(filled)


CHECKS: Final = (
    Check(
        "repetition",
        Severity.FAIL,
        "Too many runs of four words stood in the text before (percent), or a sentence stands twice.",
        _find,
        {"percent": 15},
        general=True,
    ),
)

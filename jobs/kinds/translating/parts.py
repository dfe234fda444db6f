"""Cuts a unit into parts that a model is asked for side by side, and puts their translations together again.

Most units are one part. A long unit is cut into sentences that fit together, a segment also at its blank lines, and an ICU
message into its sentences, one for each form. What encloses a part, such as a tag around all of it, is not shown to the model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import regex

from jobs.checks.masks import sentence_spans
from jobs.checks.signs.icu import IcuError
from jobs.kinds.translating.units import Unit
from jobs.marks.building import has_words
from jobs.marks.icu_messages import IcuSentences, TooManyForms
from jobs.marks.mark import Mark, Role
from jobs.writing.words.words import primary

MOST_CHARACTERS: Final = 1_200
"""A part has at most this many characters, about 300 tokens, which models made for translation read well. A longer sentence is
cut at a clause or a space.
"""

MOST_IDEOGRAPHS: Final = 400
"""The same for a text in a script without spaces."""

MOST_BEFORE: Final = 300
"""At most this many characters of the text before a part are shown."""

_UNSPACED: Final = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
_UNSPACED_LANGUAGES: Final = frozenset({"zh", "ja", "yue"})
_PARAGRAPH: Final = regex.compile(r"\n[ \t\r]*\n\s*")
_CLAUSE: Final = regex.compile(r"[,;:\u3001\uff0c\uff1b\u060c](?=\s|[^\x00-\x7f])\s*|\s[\u2013\u2014]\s")
_SPACE: Final = regex.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a unit: what stands before its text, the text with its marks, what stands behind it, and the source before it."""

    lead: str
    text: str
    tail: str
    marks: tuple[Mark, ...] = ()
    before: str = field(default="", compare=False)

    @property
    def is_asked(self) -> bool:
        """Whether the part has words for a model."""
        return has_words(self.text, self.marks)


class UnitParts:
    """The parts of a unit.

    Args:
        unit: The unit.
        source_language: The language of the source.
        target_language: The language of the translation.
    """

    def __init__(self, unit: Unit, source_language: str, target_language: str) -> None:
        self.unit = unit
        self._target_language = target_language
        self._icu: IcuSentences | None = None
        if unit.is_message:
            try:
                self._icu = IcuSentences(unit.words, target_language, source_language)
            except (IcuError, TooManyForms):
                self._icu = None
        if self._icu is not None:
            self.parts = [_trimmed(one.text, one.marks) for one in self._icu.sentences]
        else:
            self.parts = list(_cut(unit, source_language))

    @property
    def is_message(self) -> bool:
        """Whether the parts are the sentences of an ICU message."""
        return self._icu is not None

    def write(self, texts: Sequence[str]) -> str:
        """Return the unit with a text for each part. Raises Damaged if the sentences do not make a message."""
        whole = [part.lead + text + part.tail for part, text in zip(self.parts, texts, strict=True)]
        if self._icu is not None:
            return self._icu.write(whole)
        return "".join(self._with_gaps(whole))

    def spans(self, texts: Sequence[str]) -> list[tuple[int, int]]:
        """Return where each part lies in the unit that `write` returns. In a message each part has all of it."""
        if self._icu is not None:
            return [(0, len(self.write(texts)))] * len(self.parts)
        position, found = 0, []
        for one in self._with_gaps(
            [part.lead + text + part.tail for part, text in zip(self.parts, texts, strict=True)]
        ):
            found.append((position, position + len(one)))
            position += len(one)
        return found

    def _with_gaps(self, whole: Sequence[str]) -> Iterator[str]:
        """Yield the parts with the space between sentences that the target language writes. A unit of which every part came back
        unchanged keeps its own.
        """
        if whole == [part.lead + part.text + part.tail for part in self.parts]:
            yield from whole
            return
        unspaced = primary(self._target_language) in _UNSPACED_LANGUAGES
        for n, one in enumerate(whole):
            part = self.parts[n]
            is_last = n + 1 == len(whole)
            gap = part.tail[len(part.tail.rstrip()) :]
            if is_last or "\n" in gap:
                yield one
            elif unspaced and not gap.strip(" "):
                yield one[: len(one) - len(gap)] if gap else one
            else:
                yield one if gap else f"{one} "


def _cut(unit: Unit, language: str) -> Iterator[Part]:
    """Yield the parts of a unit that is no ICU message."""
    text, before, start = unit.words, "", 0
    for end in [*_ends(text, unit.marks, language), len(text)]:
        marks = [one for one in unit.marks if start <= one.start and one.end <= end]
        shifted = [Mark(one.start - start, one.end - start, one.text, one.role) for one in marks]
        part = _trimmed(text[start:end], _alone_if_cut(shifted))
        yield Part(part.lead, part.text, part.tail, part.marks, before)
        before = last_sentence(part.text, part.marks, language)
        start = end


def _alone_if_cut(marks: Sequence[Mark]) -> list[Mark]:
    """Return marks of which those whose other half lies in another part stand alone."""
    opened: list[int] = []
    paired: set[int] = set()
    for n, mark in enumerate(marks):
        if mark.role is Role.OPENS:
            opened.append(n)
        elif mark.role is Role.CLOSES and opened:
            paired |= {opened.pop(), n}
    return [
        Mark(one.start, one.end, one.text) if one.role in (Role.OPENS, Role.CLOSES) and n not in paired else one
        for n, one in enumerate(marks)
    ]


def _trimmed(text: str, marks: Sequence[Mark]) -> Part:
    """Return a part without the white space around it, and without marks that enclose all of it."""
    start, end = 0, len(text)
    inner = list(marks)
    while True:
        while start < end and text[start].isspace() and not (inner and inner[0].start <= start):
            start += 1
        while end > start and text[end - 1].isspace() and not (inner and inner[-1].end >= end):
            end -= 1
        if not _enclosed(inner, start, end):
            break
        start, end = inner[0].end, inner[-1].start
        inner = inner[1:-1]
    placed = tuple(Mark(one.start - start, one.end - start, one.text, one.role) for one in inner)
    return Part(text[:start], text[start:end], text[end:], placed)


def _enclosed(marks: Sequence[Mark], start: int, end: int) -> bool:
    """Whether the first mark opens at the start what the last mark closes at the end."""
    if len(marks) < 2 or marks[0].start != start or marks[-1].end != end:
        return False
    if marks[0].role is not Role.OPENS or marks[-1].role is not Role.CLOSES:
        return False
    depth = 0
    for mark in marks[:-1]:
        depth += {Role.OPENS: 1, Role.CLOSES: -1}.get(mark.role, 0)
        if depth == 0:
            return False
    return depth == 1


def _ends(text: str, marks: Sequence[Mark], language: str) -> list[int]:
    """Return the positions at which a unit is cut, each behind white space, and none within a mark."""
    most = (
        MOST_IDEOGRAPHS if _UNSPACED.search(text) and len(_UNSPACED.findall(text)) * 2 > len(text) else MOST_CHARACTERS
    )
    paragraphs = [one.end() for one in _PARAGRAPH.finditer(text) if one.end() < len(text)]
    if len(text) <= most and not paragraphs:
        return []
    places = [(one.start, one.end) for one in marks]
    ends: list[int] = []
    start = 0
    for end in [*_outside(paragraphs, places), len(text)]:
        if end - start > most:
            ends += _fitting(text, start, end, places, most, language)
        if end < len(text):
            ends.append(end)
        start = end
    return ends


def _fitting(
    text: str, start: int, end: int, places: Sequence[tuple[int, int]], most: int, language: str
) -> Iterator[int]:
    """Yield where a long paragraph is cut: as late as fits, best behind a sentence, else behind a clause or a space."""
    part = text[start:end]
    spans = sentence_spans(part, language)
    levels = [
        _outside([start + following for following, _ in spans[1:]], places),
        _outside([start + one.end() for one in _CLAUSE.finditer(part)], places),
        _outside([start + one.end() for one in _SPACE.finditer(part)], places),
        _outside(range(start + 1, end), places) if _UNSPACED.search(part) else [],
    ]
    at = [0] * len(levels)
    while end - start > most:
        chosen = 0
        for n, level in enumerate(levels):
            while at[n] < len(level) and level[at[n]] <= start + most:
                at[n] += 1
            if at[n] and level[at[n] - 1] > start:
                chosen = level[at[n] - 1]
                break
        if not chosen:  # one word or mark that is longer than a part: the next place behind it is taken
            chosen = min((level[at[n]] for n, level in enumerate(levels) if at[n] < len(level)), default=end)
        if chosen >= end:
            return
        yield chosen
        start = chosen


def _outside(positions: Sequence[int], places: Sequence[tuple[int, int]]) -> list[int]:
    """Return those positions that lie in no mark. Both are in their order."""
    found, n = [], 0
    for one in positions:
        while n < len(places) and places[n][1] <= one:
            n += 1
        if n == len(places) or one <= places[n][0]:
            found.append(one)
    return found


def last_sentence(text: str, marks: Sequence[Mark], language: str) -> str:
    """Return the last sentence of a source as context: without its marks, and at most MOST_BEFORE characters of it."""
    parts, position = [], 0
    for mark in marks:
        parts += [text[position : mark.start], "" if mark.role in (Role.OPENS, Role.CLOSES) else "…"]
        position = mark.end
    shown = "".join([*parts, text[position:]])[-2_000:]
    spans = sentence_spans(shown, language)
    last = shown[spans[-1][0] : spans[-1][1]] if spans else ""
    if len(last) > MOST_BEFORE:
        cut = last[-MOST_BEFORE:]
        last = cut[cut.find(" ") + 1 :]
    return last

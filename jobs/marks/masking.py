"""Masking: hides the marks of a text behind short signs for a model, and puts the marks back into its answer.

A model keeps a word that it does not know better than `{{user.first_name}}`, which it translates. Marks side by side, such as
`</b></a>`, share one sign. The signs are made of letters (`XQA`, `XQB`, …) for models that know only words, or are characters of
the private use area (U+E000 and on) for models that keep any character.

An answer is taken only if it holds each sign once, if what opens comes before what closes it, and if the placeholders without a
number keep their order. All other answers are damaged, and say what is wrong.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from jobs.marks.mark import Mark, Role

Style = Literal["letters", "private"]

_FIRST_PRIVATE: Final = 0xE000
_LAST_PRIVATE: Final = 0xF8FF
_PREFIXES: Final = ("XQ", "QX", "ZQ", "QZ", "XZQ", "QXZ", "ZXQ", "QZX", "XQZX", "QXZQ")


class Damaged(ValueError):
    """A translation does not keep the marks of its source. `str()` says which, in one sentence."""


@dataclass(frozen=True, slots=True)
class Masked:
    """A text with signs in place of its marks. `signs` are the signs in their order, `marks` the marks behind each."""

    text: str
    signs: tuple[str, ...]
    marks: tuple[tuple[Mark, ...], ...]

    def restore(self, answer: str) -> str:
        """Return an answer with the marks in place of the signs. Letters of a sign may have changed their case.

        Raises:
            Damaged: A sign is missing or stands twice, or the order of the marks is wrong.
        """
        if not self.signs:
            return answer
        by_sign = {sign.casefold(): n for n, sign in enumerate(self.signs)}
        pattern = re.compile("|".join(map(re.escape, self.signs)), re.IGNORECASE)
        found = list(pattern.finditer(answer))
        order = [by_sign[match[0].casefold()] for match in found]
        counts = Counter(order)
        for n, group in enumerate(self.marks):
            if counts[n] != 1:
                shown = "".join(mark.text for mark in group)
                raise Damaged(
                    f"the translation lost {shown!r}" if not counts[n] else f"{shown!r} stands more than once"
                )
        check_order(self._all(), [mark for n in order for mark in self.marks[n]])
        parts, position = [], 0
        for match, n in zip(found, order, strict=True):
            parts += [answer[position : match.start()], _with_gaps(self.marks[n])]
            position = match.end()
        return "".join([*parts, answer[position:]])

    def _all(self) -> list[Mark]:
        return [mark for group in self.marks for mark in group]


def mask(text: str, marks: Sequence[Mark], style: Style = "letters") -> Masked:
    """Return the text with signs in place of its marks. The marks are in their order and do not overlap."""
    groups = [tuple(group) for group in _side_by_side(marks)]
    signs = list(_signs(text, len(groups), style))
    parts, position = [], 0
    for sign, group in zip(signs, groups, strict=True):
        parts += [text[position : group[0].start], sign]
        position = group[-1].end
    return Masked("".join([*parts, text[position:]]), tuple(signs), tuple(groups))


def _side_by_side(marks: Sequence[Mark]) -> Iterator[list[Mark]]:
    group: list[Mark] = []
    for mark in marks:
        if group and mark.start != group[-1].end:
            yield group
            group = []
        group.append(mark)
    if group:
        yield group


def _with_gaps(group: Sequence[Mark]) -> str:
    return "".join(mark.text for mark in group)


def _signs(text: str, count: int, style: Style) -> Iterator[str]:
    """Yield signs that do not stand in the text, and of which none is the beginning of another."""
    if style == "private":
        free = (chr(n) for n in range(_FIRST_PRIVATE, _LAST_PRIVATE + 1) if chr(n) not in text)
        for _, sign in zip(range(count), free, strict=False):
            yield sign
        if count > _LAST_PRIVATE - _FIRST_PRIVATE + 1:
            raise ValueError(f"a text has {count} marks, and only 6,400 can be masked")
        return
    capitals = text.upper()
    prefix = next((one for one in _PREFIXES if one not in capitals), "")
    length = 1
    while 24**length < count:
        length += 1
    extra = 0
    while not prefix or prefix in capitals:  # a hostile text holds all prefixes: a longer one is made
        extra += 1
        prefix = "XQ" + "".join("ZX"[int(bit)] for bit in f"{extra:b}")
    for n in range(count):
        yield prefix + "".join("ABCDEFGHIJKLMNOPRSTUVWYZ"[n // 24**k % 24] for k in reversed(range(length)))


def split_at_marks(text: str, marks: Sequence[Mark]) -> list[str | Mark]:
    """Return a translation cut into literal text and the marks of its source, by the texts of the marks.

    Where several marks fit, the one is taken that comes next in the source, else the longest. A mark is found at most as often
    as it stands in the source, and what is found beyond that is literal text.
    """
    if not marks:
        return [text]
    left = list(marks)
    pattern = re.compile("|".join(map(re.escape, sorted({mark.text for mark in marks}, key=len, reverse=True))))
    parts: list[str | Mark] = []
    position = search = 0
    while (match := pattern.search(text, search)) is not None:
        at = match.start()
        fitting = [mark for mark in left if text.startswith(mark.text, at)]
        if not fitting:
            search = at + 1
            continue
        mark = left[0] if fitting[0] is left[0] else max(fitting, key=lambda one: len(one.text))
        left.remove(mark)
        parts += [text[position:at], mark]
        position = search = at + len(mark.text)
    return [*parts, text[position:]]


def check_kept(text: str, marks: Sequence[Mark]) -> list[str | Mark]:
    """Return a translation cut at its marks, as `split_at_marks` does.

    Raises:
        Damaged: A mark is missing, or the order of the marks is wrong.
    """
    parts = split_at_marks(text, marks)
    found = [part for part in parts if isinstance(part, Mark)]
    missing = Counter(mark.text for mark in marks) - Counter(mark.text for mark in found)
    for shown in missing:
        raise Damaged(f"the translation lost {shown!r}")
    check_order(marks, found)
    return parts


def check_order(wanted: Sequence[Mark], found: Sequence[Mark]) -> None:
    """Check the order of the marks of a translation.

    Raises:
        Damaged: A mark closes what was not opened, or a mark without a number stands in another place.
    """
    ordered = [[mark.text for mark in side if mark.role is Role.ORDERED] for side in (wanted, found)]
    for before, after in zip(*ordered, strict=True):
        if before != after:
            raise Damaged(f"{after!r} stands where the source has {before!r}: marks without a number keep their order")
    if _pairs(found) != _pairs(wanted):
        shown = next((mark.text for mark in found if mark.role is Role.CLOSES), "")
        raise Damaged(f"the tags around {shown!r} are not in order: each closes what the last open one began")


def _pairs(marks: Sequence[Mark]) -> Counter[tuple[str, str]] | None:
    """Return how often each mark that opens has each mark that closes; None if they do not nest."""
    opened: list[str] = []
    pairs: Counter[tuple[str, str]] = Counter()
    for mark in marks:
        if mark.role is Role.OPENS:
            opened.append(mark.text)
        elif mark.role is Role.CLOSES:
            if not opened:
                return None
            pairs[opened.pop(), mark.text] += 1
    return None if opened else pairs

"""Finds numbers that a translation lost, changed or made up. pofilter, Phrase and Xbench have this check.

Numbers are compared by their values, whatever their digits and separators (jobs/checks/signs/numerals.py). A number in figures
may be a word on the other side, or stand in Roman numerals (`19th century`, `XIXe siècle`) or in Chinese ones (`三`). If the
number words of a language are not known here, small numbers are not reported.
"""

# ruff: noqa: RUF001 - digits of other scripts

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import regex

from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.checks.signs.icu import is_icu
from jobs.checks.signs.number_words import number_words
from jobs.checks.signs.numerals import Numeral, numerals, same_digits, split_at_spaces, with_all_readings
from jobs.checks.translation.lines import LONGEST_SHOWN, prose_only
from jobs.findings import Severity

_ROMAN: Final = regex.compile(
    r"(?<![\w])(?=[IVXLCDM])M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?=\P{Lu}|$)"
)
_ROMAN_VALUES: Final = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_CHINESE: Final = regex.compile(r"([〇零一二三四五六七八九十百千两兩廿]{1,12}+)([万萬億亿兆成割]?)")
_CHINESE_DIGITS: Final = {sign: n for n, sign in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
_CHINESE_POWERS: Final = {"": 1, "成": 10, "割": 10, "万": 10**4, "萬": 10**4, "億": 10**8, "亿": 10**8, "兆": 10**12}
_CHINESE_UNITS: Final = {"十": 10, "百": 100, "千": 1000}
TEENS_END: Final = 19
"""A number above this one is written with a word for tens, hundreds or thousands."""

ARTICLES_END: Final = 2
"""Numbers up to this one may stand for an article, `both`, `twice`, or the dual of Arabic."""


_COLON_TIME: Final = regex.compile(r"(?<![\d:.,])([01]?\d|2[0-3]):([0-5]\d)(?![\d:])")
_POINT_TIME: Final = regex.compile(r"([01]?\d|2[0-3])\.([0-5]\d)")
_BASES: Final = frozenset(["2", "8", "10", "16", "２", "８", "１０", "１６"])
_OF_BASE: Final = regex.compile(r"\s?(?:進|进|진(?!행))")
"""Matches what follows a number in the name of a system of numbers in Japanese, Chinese and Korean."""

HALF_DAY: Final = 12
"""Hours by which `8:30 pm` and `20.30` differ."""

MOST_LEFT: Final = 1_000
"""If so many numbers differ, the words beside them (`1.5 million`, `3 pm`) are not read, to save time."""


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    if subject.source is None or not subject.pieces or is_icu(subject.source):
        return
    piece = subject.pieces[0]
    source = prose_only(subject.source, piece.form, subject.source_language)
    target = prose_only(piece.text, piece.form, piece.language)
    lost, added = unmatched(source, target)
    if not lost and not added:
        return
    if len(lost) + len(added) < MOST_LEFT:
        lost, added = _without_times(_read(lost, source), source, _read(added, target), target)
        added, lost = _without_times(added, target, lost, source)
    small = int(limits["small"])
    lost_left = _unexplained(lost, target, piece.language, small, alone=not added)
    added_left = _unexplained(added, source, subject.source_language, small, alone=not lost)
    lost_left, added_left = _without_articles(lost_left, added_left)
    lost_left, added_left = _without_bases(lost_left, source), _without_bases(added_left, target)
    for one in lost_left:
        number = _cut(subject.source[one.start : one.end])
        yield Broken(f"the number {number} of the source is not in the translation", None, number)
    for one in added_left:
        number = _cut(piece.text[one.start : one.end])
        yield Broken(f"the number {number} is not in the source", number, None, piece.place(one.start, one.end))


def _without_bases(numbers: Sequence[Numeral], text: str) -> list[Numeral]:
    """Return the numbers that name no system of numbers, as in `10進` for decimal, which other languages write as a word."""
    return [one for one in numbers if not (text[one.start : one.end] in _BASES and _OF_BASE.match(text, one.end))]


def _cut(number: str) -> str:
    return number if len(number) <= LONGEST_SHOWN else number[: LONGEST_SHOWN - 1] + "…"


def unmatched(source: str, target: str) -> tuple[list[Numeral], list[Numeral]]:
    """Return the numbers in figures of the source that the target lacks, and those of the target that the source lacks."""
    if same_digits(source, target):
        return [], []
    lost, added = _paired(numerals(source), numerals(target))
    if lost and added and len(lost) + len(added) < MOST_LEFT:
        lost, added = _paired(_read(lost, source), _read(added, target))
        lost, added = _paired(lost, added, with_soft=True)
    if lost and added and any(one.is_spaced for one in (*lost, *added)):
        lost, added = (
            [part for one in side for part in (split_at_spaces(one, text) if one.is_spaced else [one])]
            for side, text in ((lost, source), (added, target))
        )
        lost, added = _paired(lost, added, with_soft=True)
    return lost, added


def _read(numbers: Sequence[Numeral], text: str) -> list[Numeral]:
    return [with_all_readings(one, text) for one in numbers]


def _paired(
    source: Sequence[Numeral], target: Sequence[Numeral], *, with_soft: bool = False
) -> tuple[list[Numeral], list[Numeral]]:
    """Pair numbers that have a reading in common, beginning with equal first readings. Return the unpaired numbers of both sides.

    The numbers of months are paired only `with_soft`, in a last step, since a month may be a name on the other side.
    """
    left, still_open = list(source), dict.fromkeys(range(len(target)))
    for by_main in (True, False):
        if left and still_open:
            left = _pair_by(left, target, still_open, by_main=by_main, with_soft=with_soft)
    return left, [target[n] for n in still_open]


def _pair_by(
    source: list[Numeral], target: Sequence[Numeral], still_open: dict[int, None], *, by_main: bool, with_soft: bool
) -> list[Numeral]:
    """Pair numbers by their readings, remove the paired ones from `still_open`, and return the unpaired numbers of the source."""
    by_reading: dict[str, list[int]] = {}
    for n in reversed(still_open):
        if with_soft or not target[n].is_soft:
            for reading in (target[n].main,) if by_main else target[n].readings:
                by_reading.setdefault(reading, []).append(n)
    left: list[Numeral] = []
    for one in source:
        for reading in (one.main,) if by_main else sorted(one.readings):
            places = by_reading.get(reading, [])
            while places and places[-1] not in still_open:
                places.pop()
            if places and (with_soft or not one.is_soft):
                del still_open[places.pop()]
                break
        else:
            left.append(one)
    return left


def _unexplained(
    numbers: Sequence[Numeral], other: str, language: str | None, small: int, *, alone: bool
) -> list[Numeral]:
    """Return the numbers that the other text has neither as a word nor in Roman or Chinese numerals.

    `alone` means that all numbers of the other text are paired. Then the other text may have a month's name for its number, and,
    if its number words are not known here, a word for a small number.
    """
    if not numbers:
        return []
    spelled = _spelled(other)
    words = number_words(language)
    counts = [len(pattern.findall(other)) for pattern in words] if words else []
    left = []
    for one in numbers:
        value = one.value
        if value == 0 or (one.is_soft and alone):
            continue
        if (reading := next((reading for reading in one.readings if spelled[reading] > 0), None)) is not None:
            spelled[reading] -= 1
            continue
        if counts and (value is None or value > ARTICLES_END):
            size = 0 if value is not None and value <= TEENS_END else 1
            if counts[size] > 0:
                counts[size] -= 1
                continue
        if not counts and alone and value is not None and value <= small:
            continue
        left.append(one)
    return left


def _without_articles(lost: list[Numeral], added: list[Numeral]) -> tuple[list[Numeral], list[Numeral]]:
    """Pair decades (`1990s`, `'90`), and leave out 1 and 2 unless the other side has numbers left too."""
    decades = {one.value % 100: one for one in lost if one.value and 1800 <= one.value <= 2099 and one.value % 10 == 0}
    for other in list(added):
        if other.value is not None and other.value in decades:
            lost.remove(decades.pop(other.value))
            added.remove(other)
    if not (_articles(lost) and added) and not (_articles(added) and lost):
        lost, added = ([one for one in side if one.value is None or one.value > ARTICLES_END] for side in (lost, added))
    return lost, added


def _without_times(
    ones: list[Numeral], text: str, others: list[Numeral], other_text: str
) -> tuple[list[Numeral], list[Numeral]]:
    """Leave out the times with a colon of a text that the other one writes with a point: `8:30` and `8.30`, also `20.30`."""
    points = [
        (other, int(time[1]), time[2])
        for other in others
        if (time := _POINT_TIME.fullmatch(other_text, other.start, other.end)) is not None
    ]
    for time in _COLON_TIME.finditer(text) if points else ():
        parts = [one for one in ones if time.start() <= one.start and one.end <= time.end()]
        same = next(
            (point for point in points if point[2] == time[2] and (int(time[1]) - point[1]) % HALF_DAY == 0), None
        )
        if parts and same is not None:
            points.remove(same)
            others = [other for other in others if other is not same[0]]
            ones = [one for one in ones if one not in parts]
    return ones, others


def _articles(numbers: Sequence[Numeral]) -> bool:
    return any(one.value is not None and one.value <= ARTICLES_END for one in numbers)


def _spelled(text: str) -> Counter[str]:
    """Count the numbers in Roman and in Chinese numerals in a text."""
    found: Counter[str] = Counter()
    if not text.isascii():
        found.update(str(chinese_value(match[1]) * _CHINESE_POWERS[match[2]]) for match in _CHINESE.finditer(text))
    found.update(str(_roman_value(match[0])) for match in _ROMAN.finditer(text) if match[0])
    return found


def chinese_value(numeral: str) -> int:
    """Return the value of a number below ten thousand in Chinese numerals: `三十五` and `三五` are 35."""
    numeral = numeral.replace("廿", "二十")
    if not any(sign in _CHINESE_UNITS for sign in numeral):
        return int("".join(str(_CHINESE_DIGITS[sign]) for sign in numeral))
    value = digit = 0
    for sign in numeral:
        if sign in _CHINESE_UNITS:
            value, digit = value + max(1, digit) * _CHINESE_UNITS[sign], 0
        else:
            digit = _CHINESE_DIGITS[sign]
    return value + digit


def _roman_value(numeral: str) -> int:
    values = [_ROMAN_VALUES[sign] for sign in numeral]
    return sum(-value if value < max(values[n + 1 :], default=0) else value for n, value in enumerate(values))


CHECKS: Final = (
    Check(
        "numbers_changed",
        Severity.FAIL,
        "The translation has the numbers of its source, in the form of its language.",
        _find,
        {"small": 12},
    ),
)

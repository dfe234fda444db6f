"""Finds the numbers in figures in a text, with any digits, separators and units of counting.

`1,000.5`, `1 000,5`, `1.000,5` and `१०००.५` are one number. A numeral may be read in several ways: `1.000` is a thousand in
German and one in English, `3 pm` is also 15, and `1.5 million` is also 1,500,000. Two numerals are equal if they have a reading
in common.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import regex

_SPACES: Final = " \u00a0\u202f\u2009\u2007"
_POINTS: Final = ".,'\u2019\u066b\u066c\uff0c\uff0e"
_BIDI: Final = "\u200e\u200f\u061c"
_ROW: Final = re.compile(rf"[0-9](?:(?:\.[ \u00a0](?=\d)|[{_BIDI}]?[{_POINTS}{_SPACES}/-]?[{_BIDI}]?)[0-9])*+")
"""Matches digits in a row with separators; they may be one number or several. Arabic and Hebrew write marks of direction beside
the separators of a date, and Czech, Hungarian and Korean write a space behind its points.
"""

_NUMERAL: Final = regex.compile(
    r"(?P<idiom>(?<![\d.,/])24/7(?![\d/]))|(?P<fraction>(?<![\d.,/])\d{1,2}/\d{1,2}(?![\d/]))|"
    r"(?P<date>(?<![\d.])\d{1,4}+(?P<mark>[./-])\d{1,2}+(?P=mark)(?:\d{4}|\d{1,2})(?![\d]|[./-]\d)|"
    r"(?<!\d[.]?[ ]?)(?:\d{1,2}[.][ \u00a0]\d{1,2}[.][ \u00a0]\d{4}|\d{4}[.][ \u00a0]\d{1,2}[.][ \u00a0]\d{1,2})(?!\d)|"
    rf"(?=\d{{1,4}}[./-]?[{_BIDI}])\d{{1,4}}+[{_BIDI}]*+(?P<sign>[./-])[{_BIDI}]*+\d{{1,2}}+[{_BIDI}]*+(?P=sign)"
    rf"[{_BIDI}]*+(?:\d{{4}}|\d{{1,2}})(?!\d))|"
    rf"(?P<spaced>(?<![\d{_POINTS}])\d{{1,3}}+(?:[{_SPACES}]\d{{3}}+(?!\d)){{1,8}}+(?:[.,\u066b]\d++)?)|"
    rf"(?P<plain>\d++(?:[{_POINTS}]\d++)*+)"
)
_SEPARATORS: Final = re.compile(rf"[{_POINTS}{_SPACES}]")
_FRACTIONS: Final = {
    "½": "1/2",
    "⅓": "1/3",
    "⅔": "2/3",
    "¼": "1/4",
    "¾": "3/4",
    "⅕": "1/5",
    "⅛": "1/8",
    "⅜": "3/8",
    "⅝": "5/8",
    "⅞": "7/8",
}
_UNITS: Final = {
    1: "十",
    2: "百 hundred",
    3: "千 k thousand tausend tsd mil mille mila тыс тис tysi tys tisíc bin duizend tusen tusind tuhat χιλιάδ ألف "
    "آلاف हज़ार हजार 천 ribu nghìn "
    "ngàn ezer mii",
    4: "万 萬 만 vạn",
    5: "lakh लाख",
    6: "mio mn mln m million milion milión milió millón millon milhão milhões milione milioni miljon миллион млн "
    "мільйон milyon miljoon "
    "εκατομμύρι مليون ملايين मिलियन juta triệu millió 百万 백만",
    7: "crore करोड़",
    8: "億 亿 억",
    9: "b bn billion milliard mrd mld md миллиард млрд мільярд miliard milyar miljard bilhão bilhões δισεκατομμύρι "
    "مليار अरब miliar tỷ tỉ 十亿 십억 "
    "milmillones",
    12: "兆 조 billion billón billones bilión bilião biliões trillion trilhão trilhões триллион 万亿",
}
"""Power of ten -> words for it; a word may be the beginning of an inflected one. `billion` differs by language."""

_POWERS: Final[dict[str, list[int]]] = {}
for _power, _words in _UNITS.items():
    for _word in _words.split():
        _POWERS.setdefault(_word, []).append(_power)
_SHORT: Final = frozenset(["k", "m", "b", "bn", "mn", "md", "bin", "mil", "mii"])
_AFTER: Final = regex.compile(
    rf"[{_SPACES}]?("
    + "|".join(
        word + (r"(?!\p{L})" if word in _SHORT else "") for word in sorted(_POWERS, key=lambda one: (-len(one), one))
    )
    + ")",
    regex.IGNORECASE,
)
_EASTERN: Final = frozenset("十百千万萬億亿兆만억천조")
_HALF_DAY: Final = regex.compile(
    r"(?:[:.]\d\d){0,2}\s?(?:p\.?\s?m\b|(?:μ\.?\s?μ)|م(?!\p{L})|apja)|(?:[:.]\d\d){0,2}\s(?:de la (?:tarde|noche)|da (?:tarde|"
    r"noite)|Uhr (?:abends|nachmittags)|вечера|дня)",
    regex.IGNORECASE,
)
_MORNING: Final = regex.compile(r"(?:[:.]\d\d){0,2}\s?a\.?\s?m\b", regex.IGNORECASE)
_MONTH_BEFORE: Final = regex.compile(r"(?<!\p{L})(?:tháng|thg)\.?\s$", regex.IGNORECASE)
_HALF_DAY_BEFORE: Final = regex.compile(r"(?:下午|晚上|午後|오후|傍晚|夜)\s?$")
_FIRST_YEARS: Final = {
    "令和": 2018,
    "平成": 1988,
    "昭和": 1925,
    "大正": 1911,
    "民國": 1911,
    "民国": 1911,
    "พ.ศ.": -543,
}
"""Era -> the year of the common era before its year 1."""

_ERA: Final = regex.compile(rf"({'|'.join(map(re.escape, _FIRST_YEARS))})\s?$")
_OTHER_DIGITS: Final = regex.compile(r"[\p{Nd}--[0-9]]", regex.V1)
YEAR_DIGITS: Final = 2
"""The first or last number of a date with so many digits may be a year without its century."""

MAX_DIGITS: Final = 60
"""More digits in a row than this are read in only one way, without units of counting."""


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number in figures: its place, and its readings, each as digits with a point before decimals (`1000.5`)."""

    start: int
    end: int
    readings: frozenset[str]
    main: str
    """The first reading: the number as it stands."""
    is_soft: bool = False
    """Whether it may be written as a word elsewhere: the number of a month, a part of a fraction, `24/7`."""
    is_spaced: bool = False
    """Whether spaces group its digits, so that it may also be several numbers."""

    @property
    def value(self) -> int | None:
        """Its value if it is a whole number of at most 9 digits; otherwise None."""
        return int(self.main) if self.main.isdigit() and len(self.main) < 10 else None


@lru_cache(maxsize=8)
def numerals(text: str) -> tuple[Numeral, ...]:
    """Return the numbers in figures of a text, in their order."""
    return tuple(_joined(list(_numerals(_ascii(text))), text))


def same_digits(text: str, other: str) -> bool:
    """Whether two texts have the same digits and separators in the same order, and therefore the same numbers."""
    return sorted(_ROW.findall(_ascii(text))) == sorted(_ROW.findall(_ascii(other)))


def split_at_spaces(numeral: Numeral, text: str) -> list[Numeral]:
    """Return the numbers that a numeral with spaces holds: `5 200` may be 5 and 200."""
    parts = regex.finditer(r"\d++(?:[.,]\d++)?", _ascii(text[numeral.start : numeral.end]))
    return [
        Numeral(numeral.start + part.start(), numeral.start + part.end(), frozenset(found), found[0])
        for part in parts
        if (found := _readings(part[0]))
    ]


def _ascii(text: str) -> str:
    """Return the text with ASCII digits and simple fractions, at the same places."""
    if text.isascii():
        return text
    return _OTHER_DIGITS.sub(lambda found: str(int(found[0])), text)


def _numerals(text: str) -> Iterator[Numeral]:
    for row in _ROW.finditer(text):
        if row[0].isdigit():
            yield _numeral(text, row.start(), row.end(), [_whole(row[0])], is_spaced=False)
            continue
        for match in _NUMERAL.finditer(text, *row.span()):
            is_whole = not (match["date"] or match["idiom"] or match["fraction"])
            readings = _readings(match[0]) if is_whole else []
            if readings:
                yield _numeral(text, match.start(), match.end(), readings, is_spaced=bool(match["spaced"]))
            else:
                yield from _parts(match)
    if not text.isascii() and any(sign in text for sign in _FRACTIONS):
        for position, sign in enumerate(text):
            for part in _FRACTIONS[sign].split("/") if sign in _FRACTIONS else ():
                yield Numeral(position, position + 1, frozenset((part,)), part, is_soft=True)


def _numeral(text: str, start: int, end: int, readings: list[str], *, is_spaced: bool) -> Numeral:
    is_month = len(readings[0]) < 3 and (
        text[end : end + 1] in ("月", "월") or _MONTH_BEFORE.search(text, max(0, start - 8), start) is not None
    )
    return Numeral(start, end, frozenset(readings), readings[0], is_month, is_spaced)


def _parts(match: regex.Match[str]) -> Iterator[Numeral]:
    """Yield the numbers in a date, in `24/7`, or in digits that are not one number, such as `3.11.2`."""
    for part in re.finditer(r"[0-9]++", match[0]):
        value = _whole(part[0])
        may_be_word = match["date"] is not None or match["fraction"] is not None
        is_soft = match["idiom"] is not None or (may_be_word and len(value) < 3 and int(value) <= 12)
        start = match.start() + part.start()
        is_edge = part.start() == 0 or part.end() == len(match[0])
        years = (f"19{part[0]}", f"20{part[0]}") if match["date"] and is_edge and len(part[0]) == YEAR_DIGITS else ()
        yield Numeral(start, start + len(part[0]), frozenset((value, *years)), value, is_soft)


def with_all_readings(numeral: Numeral, text: str) -> Numeral:
    """Return a numeral with the readings that follow from the words beside it: `1.5 million`, `3 pm`."""
    if len(numeral.main) > MAX_DIGITS:
        return numeral
    more = {*_with_units(text, numeral.end, numeral.readings)}
    more.update(_in_the_afternoon(text, numeral.start, numeral.end, numeral.main))
    more.update(_in_our_era(text, numeral))
    return replace(numeral, readings=numeral.readings | more)


def _whole(digits: str) -> str:
    return digits.lstrip("0") or "0"


def _decimal(whole: str, decimals: str) -> str:
    decimals = decimals.rstrip("0")
    return f"{_whole(whole)}.{decimals}" if decimals else _whole(whole)


def _readings(token: str) -> list[str]:
    """Return the readings of digits with separators; none if they are a list or a version, such as `3.11.2`."""
    parts = _SEPARATORS.split(token)
    marks = "".join(_SEPARATORS.findall(token))
    if not marks:
        return [_whole(token)]
    head, last = parts[0], parts[-1]
    grouped = 0 < len(head) <= 3 and len(last) == 3 and all(len(part) in (2, 3) for part in parts[1:-1])
    is_group_mark = len(set(marks)) == 1 and marks[0] != "\u066b"
    readings: list[str] = []
    if grouped and is_group_mark and (len(marks) > 1 or head.strip("0")):
        readings.append(_whole("".join(parts)))
    if len(marks) == 1 and marks not in ("'", "\u2019", "\u066c") and marks not in _SPACES:
        if not readings or last.strip("0"):
            readings.append(_decimal(head, last))
    elif len(marks) > 1 and len(set(marks[:-1])) == 1 and marks[-1] != marks[0]:
        inner = parts[1:-1]
        if len(head) <= 3 and len(inner[-1]) == 3 and all(len(part) in (2, 3) for part in inner):
            readings.append(_decimal("".join(parts[:-1]), last))
    return readings


def _shifted(number: str, places: int) -> str:
    whole, _, decimals = number.partition(".")
    return _decimal(whole + decimals[:places].ljust(places, "0"), decimals[places:])


def _with_units(text: str, end: int, readings: Iterable[str]) -> Iterator[str]:
    """Yield the readings multiplied by the unit of counting that follows: `1.5 million`, `150万`."""
    if (match := _AFTER.match(text, end)) is not None:
        for power in _POWERS.get(match[1].lower(), ()):
            for one in readings:
                yield _shifted(one, power)


def _in_the_afternoon(text: str, start: int, end: int, main: str) -> Iterator[str]:
    """Yield the hour on a clock of 24 hours, if the words beside it say afternoon: `3 pm`, `下午3点`."""
    if len(main) > 2 or not main.isdigit() or int(main) > 12:
        return
    if _HALF_DAY.match(text, end) or _HALF_DAY_BEFORE.search(text, max(0, start - 4), start):
        yield str(int(main) % 12 + 12)
    elif main == "12" and _MORNING.match(text, end):
        yield "0"


def _in_our_era(text: str, numeral: Numeral) -> Iterator[str]:
    """Yield the year of the common era, if the name of another era stands before the number: `令和6年` is 2024."""
    era = _ERA.search(text, max(0, numeral.start - 6), numeral.start)
    if era is not None and (year := numeral.value) is not None:
        yield str(year + _FIRST_YEARS[era[1]])


def _joined(found: list[Numeral], text: str) -> Iterator[Numeral]:
    """Yield the numerals, with rows such as `12万3456` as one number."""
    n = 0
    while n < len(found):
        one, n = found[n], n + 1
        while n < len(found) and found[n].start == one.end + 1 and text[one.end] in _EASTERN:
            following = found[n]
            if max(len(one.main), len(following.main)) > 15:
                break
            total = str(_largest(one, text) + _largest(following, text))
            one = Numeral(one.start, following.end, frozenset((total,)), total)
            n += 1
        yield one


def _largest(numeral: Numeral, text: str) -> int:
    """Return the largest reading that is a whole number; 0 if there is none."""
    readings = with_all_readings(numeral, text).readings
    return max((int(value) for value in readings if value.isdigit() and len(value) < MAX_DIGITS), default=0)

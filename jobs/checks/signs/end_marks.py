"""End marks: the mark with which a line ends, by its class, and how a language writes it."""

# ruff: noqa: RUF001 - marks of other scripts

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

from jobs.writing.words.words import primary

Class = Literal["stop", "question", "exclamation", "colon", "semicolon", "ellipsis"]

_CLASSES: Final[dict[Class, str]] = {
    "stop": ".。．｡।॥۔։።។။",
    "question": "?？؟\u037e՞፧⁇",
    "exclamation": "!！՜‼",
    "colon": ":：፦",
    "semicolon": ";；؛·\u0387",
    "ellipsis": "…⋯",
}
_CLASS_OF: Final = {sign: name for name, signs in _CLASSES.items() for sign in signs}
_MIXED: Final[dict[str, tuple[Class, Class]]] = {"⁈": ("question", "exclamation"), "⁉": ("question", "exclamation")}
MARKS: Final = frozenset("".join(_CLASSES.values()) + "".join(_MIXED))
_CLOSERS: Final = frozenset("\"'`*_~\uff02\ufe0f")
_CLOSING: Final = frozenset(("Pe", "Pf", "Pi", "So", "Cf", "Sk"))
"""Categories of Unicode: closing brackets and quotes, emoji, marks of direction. They may stand behind the end mark of a line."""

_TAG: Final = re.compile(r"</?[A-Za-z][^<>]*+>")
LONGEST_TAG: Final = 200
_WORD: Final = re.compile(r"[^\W_]([^\W_]|[.\u0300-\u036f])*$")
_ABBREVIATIONS: Final = frozenset(
    [
        "a.m",
        "p.m",
        "am",
        "pm",
        "inc",
        "ltd",
        "co",
        "corp",
        "etc",
        "e.g",
        "i.e",
        "mr",
        "mrs",
        "ms",
        "dr",
        "jr",
        "sr",
        "vs",
        "st",
        "no",
        "nr",
        "approx",
        "min",
        "max",
        "dept",
        "est",
        "u.s",
        "u.s.a",
        "u.k",
        "ph.d",
        "b.c",
        "a.d",
        "vol",
        "fig",
        "ed",
        "pp",
        "al",
        "bzw",
        "usw",
        "ca",
        "z.b",
        "d.h",
        "u.a",
        "inkl",
        "exkl",
        "evtl",
        "ggf",
        "zzgl",
        "str",
        "tel",
        "abs",
        "art",
        "mio",
        "mrd",
        "std",
        "uhr",
        "gmbh",
        "s.a",
        "s.l",
        "s.r.l",
        "s.p.a",
        "ee.uu",
        "ud",
        "uds",
        "sra",
        "pág",
        "cap",
        "núm",
        "aprox",
        "ecc",
        "pag",
        "sig",
        "dott",
        "p.es",
        "ex",
        "env",
        "mm",
        "m.p",
        "tzn",
        "itp",
        "itd",
        "np",
        "godz",
        "ul",
        "r.v",
        "c.k",
        "np.",
        "т.д",
        "т.п",
        "т.е",
        "др",
        "г",
        "гг",
        "в",
        "вв",
        "руб",
        "коп",
        "тыс",
        "млн",
        "млрд",
        "ул",
        "стр",
        "см",
        "мин",
        "сек",
        "кг",
        "κ.λπ",
        "π.χ",
        "μ.μ",
        "π.μ",
        "κ.ά",
        "vb",
        "örn",
        "sn",
        "yy",
        "osv",
        "bl.a",
        "t.ex",
        "kl",
        "ca",
        "mvh",
        "o.s.v",
        "f.eks",
        "jne",
        "esim",
        "klo",
        "ym",
        "mm",
        "stb",
        "kb",
        "pl",
        "a.s",
        "s.r.o",
        "apod",
        "atd",
        "tzv",
        "č",
        "tj",
        "popř",
    ]
)
_ENDS: Final[dict[Class, dict[str, str]]] = {
    "stop": dict.fromkeys(("zh", "ja", "yue"), "。")
    | dict.fromkeys(("hi", "bn", "mr", "ne", "pa", "as", "or", "sa"), "।")
    | {"ur": "۔", "hy": "։", "am": "።", "km": "។", "my": "။"},
    "question": dict.fromkeys(("zh", "ja", "yue"), "？")
    | dict.fromkeys(("ar", "fa", "ur", "ps", "ckb", "ug"), "؟")
    | {"el": ";"},
    "exclamation": dict.fromkeys(("zh", "ja", "yue"), "！"),
    "colon": dict.fromkeys(("zh", "ja", "yue"), "："),
    "semicolon": dict.fromkeys(("zh", "ja", "yue"), "；")
    | dict.fromkeys(("ar", "fa", "ur", "ps", "ckb", "ug"), "؛")
    | {"el": "·"},
    "ellipsis": dict.fromkeys(("zh", "yue"), "……"),
}
_USUAL: Final[dict[Class, str]] = {
    "stop": ".",
    "question": "?",
    "exclamation": "!",
    "colon": ":",
    "semicolon": ";",
    "ellipsis": "…",
}
_NARROW: Final = "\u202f"
_WIDE: Final = "\u00a0"


@dataclass(frozen=True, slots=True)
class End:
    """The end of a line: the place of its last mark, with the space before the mark, and the classes of the mark, if any."""

    start: int
    end: int
    classes: frozenset[Class]
    is_abbreviation: bool = False
    """Whether the mark is the full stop of an abbreviation or of an ordinal number, so that it need not end a sentence."""


def end_of(line: str, language: str | None) -> End:
    """Return the end of a line. Closing quotes, brackets, emphasis, tags and emoji behind the mark do not count."""
    end = _before_closers(line)
    start = end
    while start and (line[start - 1] in MARKS or (line[start - 1].isspace() and start < end)):
        start -= 1
    marks = line[start:end].strip()
    if not marks:
        return End(end, end, frozenset())
    signs = "".join(marks.split())
    classes = {_CLASS_OF[sign] for sign in signs if sign in _CLASS_OF} | {
        one for sign in signs for one in _MIXED.get(sign, ())
    }
    if signs.endswith(("...", "。。。")) or "ellipsis" in classes:
        classes = classes - {"stop"} | {"ellipsis"}
    if primary(language) == "el" and signs.endswith(";"):
        classes |= {"question"}  # the semicolon is the question mark of Greek
    word = _WORD.search(line[max(0, start - 40) : start])
    is_abbreviation = signs == "." and word is not None and _is_short(word[0])
    return End(start, end, frozenset(classes), is_abbreviation)


def _before_closers(line: str) -> int:
    """Return the position behind the last mark or letter of a line."""
    end = len(line)
    while end:
        sign = line[end - 1]
        if sign.isspace() or sign in _CLOSERS or (not sign.isalnum() and unicodedata.category(sign) in _CLOSING):
            end -= 1
        elif (
            sign == ">"
            and (start := line.rfind("<", max(0, end - LONGEST_TAG), end)) >= 0
            and _TAG.match(line, start, end)
        ):
            end = start
        else:
            break
    return end


def _is_short(word: str) -> bool:
    return (
        word.lower().strip(".") in _ABBREVIATIONS
        or word.isdigit()
        or (len(word) == 1 and word.isalpha() and word < "\u0900")
    )


def mark_in(language: str | None, wanted: Class) -> str:
    """Return the mark of a class as a language writes it, with the space that French puts before it."""
    tag = primary(language)
    mark = _ENDS[wanted].get(tag, _USUAL[wanted])
    if tag == "fr":
        region = (language or "").upper()
        if wanted == "colon":
            return _WIDE + mark
        if wanted in ("question", "exclamation", "semicolon") and "CA" not in region.split("-"):
            return _NARROW + mark
    return mark

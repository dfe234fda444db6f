"""Finds translations that are much shorter or longer than their source. pofilter, memoQ and Xbench have this check.

Languages need different numbers of characters for the same words, so both lengths are divided by the number that their language
needs for one character of English.
"""

import re
from collections.abc import Iterator
from typing import Final

from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.checks.signs.addresses import addresses
from jobs.checks.signs.icu import is_icu
from jobs.findings import Severity
from jobs.writing.characters import graphemes
from jobs.writing.words.words import primary

WIDTHS: Final = {
    "zh": 0.3,
    "yue": 0.3,
    "ja": 0.4,
    "ko": 0.5,
    "he": 0.8,
    "ar": 0.85,
    "fa": 0.9,
    "th": 0.85,
    "hi": 0.8,
    "mr": 0.8,
    "bn": 0.8,
    "ta": 0.9,
    "km": 0.9,
    "my": 0.9,
    "de": 1.15,
    "fr": 1.15,
    "es": 1.1,
    "it": 1.1,
    "pt": 1.1,
    "nl": 1.1,
    "el": 1.15,
    "ru": 1.1,
    "uk": 1.1,
    "pl": 1.1,
    "hu": 1.1,
    "ro": 1.1,
    "id": 1.1,
    "ms": 1.1,
}
"""Language -> the characters that it needs for one character of English; 1 for languages that are not listed."""


_MARKS: Final = re.compile("[\u0300-\u036f\u0483-\u0489\u0590-\u1cff\u200d\ufe0f\U0001f1e6-\U0001faff]")
"""Matches a sign that may combine with others. A text without such signs has as many characters as code points."""


def _characters(text: str) -> int:
    return graphemes(text) if _MARKS.search(text) else len(text)


def _without_addresses(text: str) -> str:
    """Return a text without links and addresses of mail, since no language writes them shorter than another."""
    for one in reversed(addresses(text)):
        text = text[: one.start] + text[one.end :]
    return text.strip()


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    if subject.source is None or not subject.pieces or is_icu(subject.source):
        return
    piece = subject.pieces[0]
    given, text = _without_addresses(subject.source), _without_addresses(piece.text)
    source = _characters(given) / WIDTHS.get(primary(subject.source_language), 1.0)
    target = _characters(text) / WIDTHS.get(primary(piece.language), 1.0)
    least, most = limits["min_ratio"], limits["max_ratio"]
    if source < limits["min_characters"]:
        return
    ratio = target / source
    if not least <= ratio <= most:
        word, limit = ("short", least) if ratio < least else ("long", most)
        yield Broken(
            f"the translation is too {word}: {ratio:.2f} times the length that is usual for its source "
            f"({_characters(text)} characters for {_characters(given)}, without addresses)",
            round(ratio, 2),
            limit,
        )


CHECKS: Final = (
    Check(
        "length_ratio",
        Severity.REVIEW,
        "The translation is about as long as its source, as the two languages go.",
        _find,
        {"min_ratio": 0.4, "max_ratio": 2.5, "min_characters": 20},
    ),
)

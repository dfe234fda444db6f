"""Finds lines of a translation that end with another mark than their source. Weblate, pofilter and Phrase have this check.

Marks are compared by class, so `?` may become `؟` or the Greek `;`. Languages that write no mark there are not judged: Thai
writes no full stop, and Armenian sets its question mark within the sentence. jobs/checks/translation/mending.py mends what is
found.
"""

from collections.abc import Iterator
from typing import Final

from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.checks.signs.end_marks import End, end_of
from jobs.checks.signs.icu import is_icu
from jobs.checks.signs.markup import blanked, markdown
from jobs.checks.translation.lines import line_pairs
from jobs.findings import Severity
from jobs.writing.words.words import primary

UNMARKED: Final = frozenset(("th", "lo", "bo", "my", "km", "hy", "am"))
"""Languages whose sentences often end without a mark, or with one elsewhere. Neither a source nor a target in them is judged."""


LONGEST_ABBREVIATION: Final = 5
"""A line of one word with this many characters, its full stop included, may be an abbreviation: `Sept.`, `juil.`"""


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    if subject.source is None or not subject.pieces or is_icu(subject.source):
        return
    piece = subject.pieces[0]
    if not {primary(subject.source_language), primary(piece.language)}.isdisjoint(UNMARKED):
        return
    source, target = subject.source, piece.text
    if piece.form == "markdown":
        source, target = (
            blanked(text, [(mark.start, mark.end) for mark in markdown(text) if mark.what in ("code", "link")])
            for text in (source, target)
        )
    for line in line_pairs(source, target):
        if not any(map(str.isalpha, line.source)):
            continue
        wanted, found = end_of(line.source, subject.source_language), end_of(line.target, piece.language)
        if not agree(wanted, found, line.target, piece.language, line.source):
            where = piece.place(line.start + found.start, line.start + found.end)
            if found.start == found.end:
                before = max(0, found.end - 1)
                where = piece.place(line.start + before, line.start + found.end)
            yield Broken(
                f"the line ends with {_named(found)}, its source with {_named(wanted)}",
                _named(found),
                _named(wanted),
                where,
            )


def agree(wanted: End, found: End, target: str, language: str | None, source: str = "") -> bool:
    """Whether the end of a line agrees with the end of its source.

    The full stop of a line of one short word is that of an abbreviation, such as of a month. Another language may write the word
    whole, or without a stop.
    """
    if wanted.classes & found.classes or wanted.classes == found.classes:
        return True
    if (wanted.is_abbreviation and not found.classes) or (found.is_abbreviation and not wanted.classes):
        return True
    if found.classes | wanted.classes == {"stop"} and _may_be_abbreviated(source, target):
        return True
    asks = primary(language) == "ja" and target[: found.start].endswith(("か", "の", "ね"))
    return asks and "question" in wanted.classes and found.classes <= {"stop"}


def _may_be_abbreviated(one: str, other: str) -> bool:
    """Whether both lines are one word, and the one with a full stop is as short as an abbreviation."""
    stopped, plain = sorted((one.strip(), other.strip()), key=lambda line: not line.endswith("."))
    is_short = len(stopped) <= LONGEST_ABBREVIATION and stopped[:-1].isalpha() and stopped.endswith(".")
    return is_short and plain.isalnum()


def _named(end: End) -> str:
    names = {
        "stop": "a full stop",
        "ellipsis": "an ellipsis",
        "exclamation": "an exclamation mark",
        "question": "a question mark",
    }
    return " and ".join(sorted(names.get(one, f"a {one}") for one in end.classes)) or "no mark"


CHECKS: Final = (
    Check(
        "end_punctuation",
        Severity.REVIEW,
        "Each line of the translation ends with a mark of the same class as its source.",
        _find,
    ),
)

"""Finds names and words of `do_not_translate` that stand in the source and not in the target.

A name stays in its own letters and case. The target may give it the endings of its language: `Facebooka` in Polish.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.checks.translation.lines import prose_only
from jobs.findings import Severity
from jobs.writing.terms.finder import SoughtTerm, TermFinder
from jobs.writing.terms.row_terms import row_terms
from jobs.writing.words.words import primary


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    del limits
    if subject.source is None or not subject.pieces:
        return
    terms = row_terms(subject.request, subject.source_language)
    piece = subject.pieces[0]
    if not terms.names:
        return
    source = prose_only(subject.source, piece.form, subject.source_language)
    for name in dict.fromkeys(source[start:end] for start, end in terms.name_places(source)):
        if not _finder(name, primary(piece.language)).find(piece.text):
            yield Broken(f"the translation has to keep {name!r} as it is", None, name)


@lru_cache(maxsize=4096)
def _finder(name: str, language: str) -> TermFinder:
    return TermFinder([SoughtTerm(name, case_sensitive=True)], language)


CHECKS: Final = (
    Check(
        "names_changed",
        Severity.FAIL,
        "Each name and word of `do_not_translate` that stands in the source stands in the text too.",
        _find,
    ),
)

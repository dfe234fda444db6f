"""Finds terms that a row, tenant or setting forbids. Weblate, Vale, textlint and Guardrails have lists of this kind too.

A term is found in any case, and only as whole words: `art` is not found in `start`. In scripts without spaces
between words it is found anywhere. With the limit `inflected`, which translations have, inflected forms are found too; without it
they must be listed as terms of their own.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Final

import regex

from jobs.checks.check import Broken, Check, Limits, Piece, Subject
from jobs.findings import Severity
from jobs.writing.terms.finder import SoughtTerm, TermFinder

FIELD: Final = "forbidden_terms"
"""The field of a request with the terms that its output must not have."""

_INSIDE: Final = r"[\p{L}\p{M}\p{N}_--[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]]"
_EDGE: Final = regex.compile(_INSIDE, regex.V1)


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    terms = tuple(dict.fromkeys((*_terms(subject.request.get(FIELD)), *limits["terms"])))
    if not terms:
        return
    for piece in subject.pieces:
        folded = _folded(piece.text)
        exact = set[tuple[int, int]]()
        for term in terms:
            if not (key := _folded(term)) or key not in folded:
                continue
            for found in _pattern(term).finditer(piece.text):
                yield Broken(f"{found[0]!r} is a forbidden term", found[0], term, piece.place(*found.span()))
                exact.add(found.span())
        if limits["inflected"]:
            yield from _inflected(piece, terms, exact)


def _inflected(piece: Piece, terms: tuple[str, ...], exact: AbstractSet[tuple[int, int]]) -> Iterator[Broken]:
    """Yield the inflected forms of terms that stand in a text at other places than the `exact` ones."""
    for one in _finder(terms, piece.language).find(piece.text):
        if not any(start < one.end and one.start < end for start, end in exact):
            found = piece.text[one.start : one.end]
            yield Broken(f"{found!r} is a forbidden term", found, terms[one.term], piece.place(one.start, one.end))


@lru_cache(maxsize=16)
def _finder(terms: tuple[str, ...], language: str | None) -> TermFinder:
    return TermFinder([SoughtTerm(term) for term in terms], language)


def _terms(given: object) -> Sequence[str]:
    if isinstance(given, str):
        return (given,)
    return [one for one in given if isinstance(one, str)] if isinstance(given, list | tuple) else ()


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


@lru_cache(maxsize=4_096)
def _pattern(term: str) -> "regex.Pattern[str]":
    """Return a pattern for a term in each Unicode form (composed or not), with any space between its words."""
    forms = dict.fromkeys(unicodedata.normalize(form, term) for form in ("NFC", "NFD", "NFKC"))
    either = "|".join(r"\s+".join(map(regex.escape, form.split())) for form in forms)
    words = term.strip()
    before = rf"(?<!{_INSIDE})" if _EDGE.match(words[0]) else ""
    after = rf"(?!{_INSIDE})" if _EDGE.match(unicodedata.normalize("NFC", words)[-1]) else ""
    return regex.compile(f"{before}(?:{either}){after}", regex.V1 | regex.IGNORECASE | regex.FULLCASE)


CHECKS: Final = (
    Check(
        "forbidden_term",
        Severity.FAIL,
        "A term stands in the output that the row or a setting forbids.",
        _find,
        {"terms": (), "inflected": False},
        general=True,
    ),
)

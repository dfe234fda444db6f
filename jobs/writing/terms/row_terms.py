"""The terms of one row: its glossary and its names, as they stand in its request, found together in a text.

A request has them in three fields. `glossary` has terms of the source, each with its translation, or with several that are
right. `do_not_translate` has names and words that stay as they are. `forbidden_terms` has what must not stand in the
translation. Where a name is part of a longer term of the glossary, the glossary counts: `Windows Update` has its own
translation.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

import orjson

from jobs.writing.terms.finder import Occurrence, SoughtTerm, TermFinder
from jobs.writing.words.words import primary

GLOSSARY: Final = "glossary"
NAMES: Final = "do_not_translate"
FORBIDDEN: Final = "forbidden_terms"
FIELDS: Final = (GLOSSARY, NAMES, FORBIDDEN)
"""The fields of a request that hold terms."""

MOST_TERM: Final = 200
"""A term has at most this many characters."""

MOST_TERMS: Final = 1_000
"""A row has at most this many terms in each of these fields."""


@dataclass(frozen=True)
class RowTerms:
    """The terms that a row has for its source. `glossary` has each term with the translations that are right, the best first."""

    glossary: Mapping[str, Sequence[str]]
    names: Sequence[str]
    language: str
    """The language of the source (`en`, not `en-GB`); empty if it is not known."""

    @cached_property
    def _finder(self) -> TermFinder:
        names = [SoughtTerm(name, case_sensitive=True, has_forms=False) for name in self.names]
        return TermFinder([*map(SoughtTerm, self.glossary), *names], self.language)

    @cached_property
    def _terms(self) -> Sequence[str]:
        return list(self.glossary)

    def glossary_in(self, text: str) -> Mapping[str, Sequence[str]]:
        """Return the terms of the glossary that stand in a text of the source, each with its translations."""
        return {} if not self.glossary else {self._terms[one.term]: self.targets(one) for one in self.places(text)}

    def places(self, text: str) -> list[Occurrence]:
        """Return where terms of the glossary stand in a text of the source."""
        return [one for one in self._finder.find(text) if one.term < len(self._terms)]

    def targets(self, place: Occurrence) -> Sequence[str]:
        """Return the translations of the term of a place, the best first."""
        return self.glossary[self._terms[place.term]]

    def name_places(self, text: str) -> list[tuple[int, int]]:
        """Return the start and end of each name that stands in a text of the source and is to stay as it is."""
        if not self.names:
            return []
        return [(one.start, one.end) for one in self._finder.find(text) if one.term >= len(self._terms)]


_NONE: Final = RowTerms({}, (), "")


def row_terms(request: Mapping[str, Any], language: str | None = None) -> RowTerms:
    """Return the terms of a request. `language` is that of the source; None: that of the request.

    Values of another type are left out, since a check may be given any request.
    """
    glossary, names = request.get(GLOSSARY), request.get(NAMES)
    if not glossary and not names:
        return _NONE
    pairs = tuple(
        (term, found)
        for term, target in (glossary.items() if isinstance(glossary, Mapping) else ())
        if (found := targets_of(target))
    )
    given = request.get("source_language") if language is None else language
    return _row_terms(pairs, texts_of(names), primary(given if isinstance(given, str) else None))


@lru_cache(maxsize=64)
def _row_terms(pairs: tuple[tuple[str, tuple[str, ...]], ...], names: tuple[str, ...], language: str) -> RowTerms:
    return RowTerms(dict(pairs), names, language)


def targets_of(target: object) -> tuple[str, ...]:
    """Return the translations of a term: the one of a text, or those of a list."""
    return texts_of((target,) if isinstance(target, str) else target)


def texts_of(given: object) -> tuple[str, ...]:
    """Return the texts of a list that have a sign other than white space; none for any other value."""
    if not isinstance(given, list | tuple):
        return ()
    return tuple(one for one in given if isinstance(one, str) and one.strip())


def terms_sha256(request: Mapping[str, Any]) -> str | None:
    """Return a hash of the terms of a request: of its glossary, names and forbidden terms. None if it has none.

    The hash does not depend on the order of the terms, nor on how a single translation is written: as a text or as a list.
    """
    glossary = request.get(GLOSSARY)
    pairs = glossary.items() if isinstance(glossary, Mapping) else ()
    told = [
        sorted((term, found) for term, target in pairs if (found := targets_of(target))),
        sorted(texts_of(request.get(NAMES))),
        sorted(texts_of(request.get(FORBIDDEN))),
    ]
    return hashlib.sha256(orjson.dumps(told)).hexdigest() if any(told) else None

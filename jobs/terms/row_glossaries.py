"""Gives each row of a translation the terms of its tenant that stand in its text, as intake takes the row in.

So a row holds all that decides its translation: it can be replayed when the glossary has changed, and the same row with another
glossary is another row. Only what stands in the text is copied, so a glossary may have a hundred thousand terms.

A row's own `glossary`, `do_not_translate` and `forbidden_terms` come before the tenant's terms, and these before those of the
setting `terms`: for one term, only the first of them counts.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from jobs.errors import RequestError
from jobs.settings import Settings
from jobs.tenants import TermFile, TermSettings
from jobs.terms.concept import Glossary
from jobs.terms.files import read_glossary
from jobs.terms.language_pair import Entry, PairBuilder, PairTerms, key_of_term
from jobs.terms.table_headers import language_tag
from jobs.terms.tables import Languages
from jobs.writing.terms.row_terms import FIELDS, FORBIDDEN, GLOSSARY, MOST_TERMS, NAMES, targets_of
from jobs.writing.terms.tokens import key_of

MOST_PAIRS: Final = 64
"""The terms of at most this many tenants and language pairs are kept in memory at once."""

_NEEDED: Final = frozenset((*FIELDS, "text", "source_language", "target_language"))


def takes_terms(fields: Collection[str]) -> bool:
    """Whether requests with these fields can be given terms."""
    return _NEEDED.issubset(fields)


class RowGlossaries:
    """The glossaries of the settings and of all tenants. A file is read when the first row needs it."""

    def __init__(self, settings: Settings) -> None:
        self._general = settings.terms
        self._tenants = {name: one.terms for name, one in settings.tenants.items()}
        self._files: dict[TermFile, Glossary] = {}
        self._pairs: dict[tuple[str, str, str], PairTerms] = {}

    @property
    def files(self) -> Mapping[str, str]:
        """The sha256 of each glossary file that was read, by its path."""
        return {str(file.path): one.sha256 for file, one in self._files.items()}

    def require(self, tenant: str) -> None:
        """Read the files of a tenant. Raises RequestError if one of them is not valid."""
        for terms in self._layers(tenant):
            self._read(terms.files)

    def applied(self, request: dict[str, Any], tenant: str) -> dict[str, Any]:
        """Return the request of a row with the terms that stand in its text; the request itself if there are none.

        Raises RequestError if a glossary is not valid.
        """
        pair = self.pair(tenant, request["source_language"], request["target_language"])
        if pair is None:
            return request
        found = pair.found_in(request["text"])
        if not (found or pair.forbidden):
            return request
        own = _Own(request) if any(map(request.get, FIELDS)) else _NOTHING
        new = found if own is _NOTHING else [*own.kept_of(found)]
        given: dict[str, Any] = {
            GLOSSARY: _filled(own.glossary, {one.source: one.written for one in new if one.targets}),
            NAMES: _listed(own.names, [one.source for one in new if one.is_kept]),
            FORBIDDEN: _listed(own.forbidden, own.without_rights([*_forbidden(new), *pair.forbidden], new)),
        }
        return request | {name: value for name, value in given.items() if value}

    def pair(self, tenant: str, source: str, target: str) -> PairTerms | None:
        """Return the terms of a tenant for a language pair; None if it has none. Raises RequestError if a file is not valid."""
        if tenant not in self._tenants:
            tenant = ""
        key = (tenant, source, target)
        if (known := self._pairs.get(key)) is None:
            layers = self._layers(tenant)
            if not layers:
                return None
            builder = PairBuilder(source, target)
            for terms in layers:
                builder.add_layer(self._read(terms.files), terms.do_not_translate)
            if len(self._pairs) >= MOST_PAIRS:
                self._pairs.pop(next(iter(self._pairs)))
            known = self._pairs[key] = builder.built()
        return known

    def _layers(self, tenant: str) -> Sequence[TermSettings]:
        """Return the settings that hold terms for a tenant, the general ones first."""
        own = self._tenants.get(tenant)
        return [one for one in (self._general, own) if one is not None and (one.files or one.do_not_translate)]

    def _read(self, files: Iterable[TermFile]) -> Sequence[Glossary]:
        for file in files:
            if file not in self._files:
                self._files[file] = read_glossary(file.path, languages_of(file.source_language, file.target_language))
        return [self._files[file] for file in files]


class _Own:
    """The terms that a row gives itself."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        self.glossary: Mapping[str, Any] = request.get(GLOSSARY) or {}
        self.names: Sequence[str] = request.get(NAMES) or ()
        self.forbidden: Sequence[str] = request.get(FORBIDDEN) or ()
        self.keys = {key_of_term(one) for one in (*self.glossary, *self.names)}
        """The keys of the terms of which the row says itself what becomes of them."""
        self._rights = {key_of(target) for one in self.glossary.values() for target in targets_of(one)}

    def kept_of(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Yield the entries of which the row says nothing itself, without translations and names that the row forbids."""
        wrong = {key_of(one) for one in self.forbidden}
        for one in entries:
            if one.key in self.keys or (one.is_kept and key_of(one.source) in wrong):
                continue
            targets = [target for target in one.targets if key_of(target) not in wrong]
            if targets or one.is_kept or not one.targets:
                yield one if len(targets) == len(one.targets) else replace(one, targets=targets)

    def without_rights(self, forbidden: list[str], given: Iterable[Entry]) -> list[str]:
        """Return the forbidden terms that are no right translation by the row's own glossary, nor of another term of the text."""
        rights = self._rights | {key_of(target) for one in given for target in one.targets}
        return [one for one in forbidden if key_of(one) not in rights] if rights else forbidden


_NOTHING: Final = _Own({})


def _forbidden(entries: Iterable[Entry]) -> Iterator[str]:
    for one in entries:
        yield from one.forbidden


def languages_of(source: str | None, target: str | None) -> Languages:
    """Return the languages that are given with a file. Raises RequestError if one is no tag of a known language."""
    tags = []
    for name, given in (("source_language", source), ("target_language", target)):
        tag = None if given is None else language_tag(given)
        if given is not None and tag is None:
            raise RequestError(f"{name} {given!r} of a glossary is not a language tag of BCP 47, such as de or pt-BR")
        tags.append(tag)
    return Languages(*tags)


def _filled(own: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    return {**own, **dict(islice(more.items(), max(0, MOST_TERMS - len(own))))} if more else {}


def _listed(own: Sequence[str], more: Sequence[str]) -> list[str]:
    return list(dict.fromkeys((*own, *more)))[: max(MOST_TERMS, len(own))] if more else []

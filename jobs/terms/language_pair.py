"""The terms of a language pair: what the glossaries of a team say about translations from one language into another.

Of the terms of a concept, those are taken whose language is that of the row. A source may be of another region (`en-GB` for
`en-US`). A target may lack a region or have that of the row, and the nearest counts: of `pt` and `pt-BR`, the second for a row
into `pt-BR`. `pt-PT` is never used for `pt-BR`, nor `zh-Hans` for `zh-TW`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from babel.core import get_global

from jobs.errors import DocumentError, RequestError
from jobs.languages.tags import same_language
from jobs.terms.cleaning import shown
from jobs.terms.concept import MOST_ALTERNATIVES, Concept, ConceptTerm, Glossary, Status
from jobs.writing.terms.finder import Occurrence, SoughtTerm, TermFinder
from jobs.writing.terms.row_terms import MOST_TERMS
from jobs.writing.terms.tokens import key_of


@dataclass
class Entry:
    """What is known about a term of the source.

    `targets` are its right translations, the best first, and `forbidden` the wrong ones. If `is_kept`, it stays as it is.
    `file` and `line` are where its preferred translation stands.
    """

    source: str
    targets: list[str] = field(default_factory=list)
    forbidden: list[str] = field(default_factory=list)
    is_kept: bool = False
    case_sensitive: bool = False
    file: str = ""
    line: int = 0

    @cached_property
    def key(self) -> str:
        """The form by which a row's own term replaces this one: its case does not count."""
        return key_of_term(self.source)

    @cached_property
    def written(self) -> str | list[str]:
        """The right translations as a request has them: a text, or a list of several."""
        return self.targets[0] if len(self.targets) == 1 else self.targets[:MOST_ALTERNATIVES]


@dataclass(frozen=True)
class PairTerms:
    """The entries of a language pair, and the terms that no translation into its target may have."""

    source_language: str
    entries: Sequence[Entry]
    forbidden: Sequence[str]

    @cached_property
    def _finder(self) -> TermFinder:
        sought = [
            SoughtTerm(one.source, case_sensitive=one.case_sensitive or one.is_kept, has_forms=not one.is_kept)
            for one in self.entries
        ]
        return TermFinder(sought, self.source_language)

    def places(self, text: str) -> list[Occurrence]:
        """Return where entries stand in a text. The number of an occurrence is that of its entry."""
        return self._finder.find(text)

    def found_in(self, text: str) -> Sequence[Entry]:
        """Return the entries that stand in a text, each once, in the order of the text."""
        return [self.entries[n] for n in dict.fromkeys(place.term for place in self.places(text))]


class PairBuilder:
    """Collects the terms of a pair from glossaries. Those of a later `layer` replace those of an earlier one, term by term."""

    def __init__(self, source: str, target: str) -> None:
        self._source, self._target = source, target
        self._entries: dict[str, Entry] = {}
        self._forbidden: dict[str, None] = {}

    def add_layer(self, glossaries: Iterable[Glossary], names: Sequence[str]) -> None:
        """Add the glossaries of one layer of the settings, and its names that stay as they are.

        Raises:
            DocumentError: A term has two preferred translations, or one that is forbidden too.
        """
        layer: dict[str, Entry] = {}
        for glossary in glossaries:
            for concept in glossary.concepts:
                self._add(layer, glossary, concept)
        for name in names:
            layer[key_of_term(name, case_sensitive=True)] = Entry(name, is_kept=True)
            layer.pop(key_of_term(name), None)
        for key, entry in layer.items():
            for other in {key_of_term(entry.source), key_of_term(entry.source, case_sensitive=True)}:
                self._entries.pop(other, None)
            self._entries[key] = entry
        rights = {key_of(target) for one in layer.values() for target in one.targets}
        self._forbidden = {one: None for one in self._forbidden if key_of(one) not in rights}

    def built(self) -> PairTerms:
        """Return the terms that were collected.

        Raises:
            RequestError: More terms are forbidden for all texts than a row may have.
        """
        if len(self._forbidden) > MOST_TERMS:
            raise RequestError(
                f"the glossaries forbid {len(self._forbidden):,} terms in {self._target} for all texts, and a row may have "
                f"{MOST_TERMS:,}: give them the source that they must not translate"
            )
        return PairTerms(self._source, list(self._entries.values()), list(self._forbidden))

    def _add(self, layer: dict[str, Entry], glossary: Glossary, concept: Concept) -> None:
        if concept.source_language is not None and not _same(concept.source_language, self._source):
            return
        kept = [one for one in concept.terms if one.status is Status.KEPT]
        for one in kept:
            if not one.language or _same(one.language, self._source):
                layer.setdefault(
                    key_of_term(one.text, case_sensitive=True), Entry(one.text, is_kept=True, case_sensitive=True)
                )
        if kept:
            return
        targets = self._targets(concept)
        sources = self._sources(concept, targets)
        if not sources:
            self._forbidden.update((one.text, None) for one in targets if one.status is Status.FORBIDDEN)
        for source in sources if targets else ():
            key = key_of_term(source.text, case_sensitive=source.case_sensitive)
            entry = layer.setdefault(key, Entry(source.text, case_sensitive=source.case_sensitive))
            is_strict = glossary.is_strict and source.language == concept.terms[0].language
            self._join(entry, targets, glossary.name, concept.line, is_strict=is_strict)

    def _sources(self, concept: Concept, targets: Sequence[ConceptTerm]) -> Sequence[ConceptTerm]:
        """Return the terms of a concept in the source language. In a table, the terms of the pair are apart by their places."""
        return [one for one in concept.terms if one not in targets and _same(one.language, self._source)]

    def _targets(self, concept: Concept) -> Sequence[ConceptTerm]:
        """Return the terms of a concept in the language nearest to the target."""
        ranks = {language: _nearness(language, self._target) for language in {one.language for one in concept.terms}}
        best = max(ranks.values(), default=0)
        return [one for one in concept.terms if ranks[one.language] == best] if best else []

    def _join(self, entry: Entry, targets: Sequence[ConceptTerm], name: str, line: int, *, is_strict: bool) -> None:
        """Add the translations of a concept to an entry. If it `is_strict`, the entry may have only one preferred one."""
        best = next((one.text for one in targets if one.status is Status.PREFERRED), None)
        if best is not None and entry.file and is_strict and best not in entry.targets:
            what = f"{shown(entry.source)} has the translation {shown(best)}, and in line {entry.line} of {entry.file} another"
            raise DocumentError(name, what, "remove one of them, or give this one the status admitted", line)
        if best is not None and not entry.file:
            entry.file, entry.line = name, line
            entry.targets.insert(0, best)
        for one in targets:
            known = entry.forbidden if one.status is Status.FORBIDDEN else entry.targets
            if one.text not in known:
                known.append(one.text)
        if both := next((one for one in entry.forbidden if one in entry.targets), None):
            what = f"{shown(both)} is both right and forbidden as a translation of {shown(entry.source)}"
            raise DocumentError(name, what, "remove one of the lines", line)


def key_of_term(term: str, *, case_sensitive: bool = False) -> str:
    """Return the form by which two entries are one: without its case, unless that counts."""
    plain = " ".join(term.split())
    return f"={plain}" if case_sensitive else key_of(plain)


_same = lru_cache(maxsize=1_024)(same_language)


@lru_cache(maxsize=1_024)
def _nearness(language: str, target: str) -> int:
    """Return how near the language of a term is to that of a row. 0 is another language, and the same region counts most."""
    if not language or not same_language(language, target):
        return 0
    region, wanted = _region(language), _region(target)
    if region and wanted and region != wanted:
        return 0
    return 2 * (3 if region == wanted else 2 if not region else 1) + (_script(language) == _script(target))


def _region(tag: str) -> str:
    return next((part for part in tag.split("-")[1:] if (len(part) == 2 and part.isalpha()) or part.isdigit()), "")


@lru_cache(maxsize=256)
def _script(tag: str) -> str:
    """Return the script of a tag: the one that it names, or the likely one of CLDR."""
    parts = tag.split("-")
    if named := next((part for part in parts[1:] if len(part) == 4 and part.isalpha()), ""):
        return named
    likely: Mapping[str, str] = get_global("likely_subtags")
    found = likely.get(f"{parts[0]}_{_region(tag)}") or likely.get(parts[0], "")
    return next((part for part in found.split("_")[1:] if len(part) == 4), "")

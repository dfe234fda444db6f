"""The finder: finds the terms of a list in texts, all of them in one pass over the words of a text.

The words of the terms form a trie, and the stems of a word lead to the words of terms that it may be a form of (`endings.py`). So
the time for a text does not grow with the number of terms; a list may have a hundred thousand of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

import regex

from jobs.writing.terms.endings import differs_in_accents, stems_in_text, stems_of_term
from jobs.writing.terms.tokens import LIGHT, is_unspaced, key_of, pattern_of, plain_of, tokens
from jobs.writing.words.words import primary

LONGEST_ACRONYM: Final = 5
"""A term of capitals with at most this many letters is found only in capitals: `US` is not `us`."""

KNOWN_WORDS: Final = 200_000
"""A finder remembers this many different words of texts, and then forgets them all."""

_SENTENCE_ENDS: Final = frozenset(".!?\u2026:\u0964\u061f\u00bf\u00a1\n")
"""What a sentence begins behind, the signs that Spanish opens a sentence with among them."""
_BEFORE_A_SENTENCE: Final = regex.compile(r"[\s\p{Pi}\p{Ps}\"'*_#>-]")
_SPACE: Final = regex.compile(r"[^\S\r\n]")
_SIGNS_OF_NAMES: Final = ("+", "#")
_BEFORE: Final = 40
"""The beginning of a sentence is looked for in this many characters before a term."""


@dataclass(frozen=True, slots=True)
class SoughtTerm:
    """A term to be found. If it has no forms, as a name, only the term itself is found and no inflection of it."""

    text: str
    case_sensitive: bool = False
    has_forms: bool = True

    @property
    def keeps_case(self) -> bool:
        """Whether the term is found only in its own case. So are acronyms."""
        return self.case_sensitive or (self.text.isupper() and len(self.text.strip()) <= LONGEST_ACRONYM)


Span = tuple[int, int]
"""The start and end of a word in a text."""


class Occurrence(NamedTuple):
    """A place of a text where a term stands: start and end, and the number of the term in its list."""

    start: int
    end: int
    term: int


@dataclass(slots=True)
class _Node:
    """The terms that begin with the same words: by their next word, and those that end here."""

    next: "dict[str, _Node]" = field(default_factory=dict)
    ends: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Parts:
    """A term, taken apart: the signs before its first word, between its words, and after its last word."""

    text: str
    words: tuple[str, ...]
    keys: tuple[str, ...]
    before: str
    gaps: tuple[str, ...]
    after: str
    is_word: bool
    """Whether the term is one word of several letters, without signs around it."""

    @classmethod
    def of(cls, text: str) -> "_Parts":
        found = tokens(text)
        gaps = tuple(text[one.end : other.start] for one, other in pairwise(found))
        words = tuple(plain_of(text[one.start : one.end]) for one in found)
        keys = tuple(one.key for one in found)
        before, after = (text[: found[0].start], text[found[-1].end :]) if found else (text, "")
        is_word = len(keys) == 1 and len(keys[0]) > 1 and not (before or after)
        return cls(text, words, keys, before, gaps, after, is_word)


class TermFinder:
    """Finds terms in texts of one language. It may be used by several threads, since what it remembers may be found twice.

    A term without a letter or digit is not found.
    """

    def __init__(self, terms: Sequence[SoughtTerm], language: str | None) -> None:
        self.terms = terms
        self._language = primary(language)
        self._parts: list[_Parts] = []
        self._root = _Node()
        self._by_stem: dict[str, list[str]] = {}
        self._formless = {number for number, term in enumerate(terms) if not term.has_forms}
        self._cased = {number for number, term in enumerate(terms) if term.keeps_case}
        self._known: dict[str, Sequence[str]] = {}
        self._begins: dict[str, Sequence[_Node]] = {}
        words: dict[str, None] = {}
        for number, term in enumerate(terms):
            parts = _Parts.of(" ".join(term.text.split()))
            self._parts.append(parts)
            self._add(parts.keys, number)
            if len(parts.keys) > 1 and "-" in parts.gaps and all(gap in ("-", " ") for gap in parts.gaps):
                joined = key_of(term.text.replace("-", ""))  # `e-mail` is found in `email` too
                if len(tokens(joined)) == 1:
                    self._add((joined,), number)
                    words[joined] = None
            words.update(dict.fromkeys(parts.keys))
        for word in words:
            for stem in stems_of_term(word, self._language):
                self._by_stem.setdefault(stem, []).append(word)

    def find(self, text: str) -> list[Occurrence]:
        """Return where the terms stand in a text, in their order.

        Of terms that overlap, the longest is found. Of those that are equally long, it is the one that is written so and not
        inflected, then the one that stands first.
        """
        spans = [match.span() for match in pattern_of(text).finditer(text)]
        words = [text[start:end] for start, end in spans]
        begins, found = self._begins, list[Occurrence]()
        for n, word in enumerate(words):
            if (nodes := begins.get(word)) is None:
                nodes = self._first(word)
            if nodes:
                self._add_places(text, words, spans, n, nodes, found)
        return self._longest(text, found) if len(found) > 1 else found

    def _longest(self, text: str, found: Sequence[Occurrence]) -> list[Occurrence]:
        """Return those occurrences that overlap none that comes before them, in the order of the text."""
        if all(one.end <= other.start for one, other in pairwise(found)):
            return list(found)
        chosen: list[Occurrence] = []
        taken = bytearray(len(text))
        for _, _, place in sorted({self._ranked(text, place) for place in found}):
            if not any(taken[place.start : place.end]):
                taken[place.start : place.end] = b"\1" * (place.end - place.start)
                chosen.append(place)
        return sorted(chosen)

    def _add(self, keys: Sequence[str], number: int) -> None:
        if not keys:
            return
        node = self._root
        for key in keys:
            node = node.next.setdefault(key, _Node())
        node.ends.append(number)

    def _first(self, word: str) -> Sequence[_Node]:
        """Return the nodes of the terms whose first word a word of a text may be."""
        if len(self._begins) >= KNOWN_WORDS:
            self._begins.clear()
        begins = self._root.next
        found = self._begins[word] = tuple(begins[own] for own in self._words_of(word) if own in begins)
        return found

    def _words_of(self, word: str) -> Sequence[str]:
        """Return the words of terms that have a word of a text as a form."""
        if (known := self._known.get(word)) is None:
            if len(self._known) >= KNOWN_WORDS:
                self._known.clear()
            key, by_stem = key_of(word), self._by_stem
            near = {own for stem in stems_in_text(key, self._language) for own in by_stem.get(stem, ())}
            if near:
                near = {own for own in near if not differs_in_accents(key, own, self._language)}
            known = self._known[word] = (key, *sorted(near - {key})) if near else (key,)
        return known

    def _add_places(
        self,
        text: str,
        words: Sequence[str],
        spans: Sequence[Span],
        first: int,
        nodes: Sequence[_Node],
        found: list[Occurrence],
    ) -> None:
        """Add the terms that begin with the word `first` of a text."""
        steps = [(node, first) for node in nodes]
        while steps:
            node, at = steps.pop()
            for number in node.ends:
                place = self._place(text, words[first : at + 1], spans[first : at + 1], number)
                if place is not None:
                    found.append(place)
            if node.next and at + 1 < len(words):
                for own in self._known.get(words[at + 1]) or self._words_of(words[at + 1]):
                    if (following := node.next.get(own)) is not None:
                        steps.append((following, at + 1))

    def _place(self, text: str, words: Sequence[str], spans: Sequence[Span], number: int) -> Occurrence | None:
        """Return the place of a term whose words those of a text are, if the signs and the case of the term are right too."""
        parts = self._parts[number]
        start, end = spans[0][0] - len(parts.before), spans[-1][1] + len(parts.after)
        if not parts.is_word and not _has_signs(text, words, spans, parts, start, end):
            return None
        is_whole = len(words) == len(parts.keys)  # else it was written as one word, without its hyphens
        if number in self._formless and is_whole and tuple(map(key_of, words)) != parts.keys:
            return None
        if number in self._cased and not self._has_case(text, words, spans[0][0], parts):
            return None
        return Occurrence(start, end, number)

    @staticmethod
    def _has_case(text: str, written: Sequence[str], start: int, parts: _Parts) -> bool:
        """Whether the words of a text have the case of a term's words. A sentence may begin with a capital."""
        words = [plain_of(one) for one in written]
        if len(words) != len(parts.words):
            return plain_of("".join(parts.words)) == "".join(words)
        own = list(parts.words)
        may_begin = own[0][:1].islower() and words[0][:1].isupper()
        if may_begin and _begins_sentence(text[max(0, start - _BEFORE) : start]):
            own[0] = own[0][:1].upper() + own[0][1:]
        return all(map(_same_case, words, own))

    def _ranked(self, text: str, place: Occurrence) -> tuple[int, bool, Occurrence]:
        written = text[place.start : place.end]
        return place.start - place.end, key_of(written) != key_of(self._parts[place.term].text), place


def _has_signs(text: str, words: Sequence[str], spans: Sequence[Span], parts: _Parts, start: int, end: int) -> bool:
    """Whether the signs of a term stand around and between the words of a text that are those of the term."""
    if start < 0 or not _same(text[start : spans[0][0]], parts.before):
        return False
    if not _same(text[spans[-1][1] : end], parts.after):
        return False
    if text[end : end + 1] in _SIGNS_OF_NAMES and (parts.after or end - start == 1):  # `C` is not found in `C++`
        return False
    pairs = zip(parts.gaps, pairwise(spans), pairwise(words), strict=False)
    return all(_fits_gap(gap, text[one[1] : other[0]], *two) for gap, (one, other), two in pairs)


def _same(written: str, signs: str) -> bool:
    """Whether the signs before or after the words of a term stand in a text, with spaces of any kind."""
    return written == signs or (len(written) == len(signs) and _SPACE.sub(" ", written) == signs)


def _fits_gap(gap: str, written: str, one: str, other: str) -> bool:
    """Whether the signs between two words of a text may stand for those in a term."""
    if gap == written:
        return True
    if gap and LIGHT.fullmatch(gap) is None:
        return False
    if not gap and is_unspaced(one) and is_unspaced(other):
        return written in ("\n", "\r\n")
    if not written and gap:  # the term has a space between scripts, which the text lacks
        return is_unspaced(one) or is_unspaced(other)
    return LIGHT.fullmatch(written) is not None


def _same_case(word: str, own: str) -> bool:
    """Whether the letters that two forms of a word begin with have the same case."""
    for one, other in zip(word, own, strict=False):
        if one != other:
            return one.casefold() != other.casefold()
    return True


def _begins_sentence(before: str) -> bool:
    """Whether a sentence begins behind this text: quotes, brackets, marks of lists and white space do not count."""
    for character in reversed(before):
        if character in _SENTENCE_ENDS:
            return True
        if _BEFORE_A_SENTENCE.match(character) is None:
            return False
    return True

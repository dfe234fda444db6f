"""Finds terms of the glossary that stand in the source and have no translation in the target.

Weblate, Phrase and Xbench have this check. The translation of a term counts in any inflection: a word with the same stem, a
longer word that it is part of, or one that is similar enough by RapidFuzz. Of a term with several translations, any counts. A
term within a longer term of the glossary is not looked for by itself.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

import regex
from rapidfuzz import fuzz, process

from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.checks.reading import is_unspaced
from jobs.checks.translation.lines import prose_only
from jobs.findings import Severity
from jobs.writing.terms.finder import SoughtTerm, TermFinder
from jobs.writing.terms.row_terms import row_terms
from jobs.writing.words.words import primary

_WORD: Final = regex.compile(r"[\p{L}\p{N}\p{M}]++(?:['\u2019-][\p{L}\p{N}\p{M}]++)*+")
_ARTICLE: Final = regex.compile(r"^[\u0648\u0641\u0628\u0643]?(?:\u0627\u0644|\u0644\u0644)(?=\w{3})")
"""Matches the article of Arabic at the beginning of a word, with a particle before it."""

MOST_SHOWN: Final = 3
"""A message names at most this many of the translations of a term."""

SHORTEST_STEM: Final = 3
ENDING: Final = 2
"""A word has the stem of a term if it begins with the term without this many letters, and is not much longer."""

LONGEST_ENDING: Final = 5


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    if subject.source is None or not subject.pieces:
        return
    terms = row_terms(subject.request, subject.source_language)
    if not terms.glossary:
        return
    piece = subject.pieces[0]
    text = _folded(piece.text)
    source = prose_only(subject.source, piece.form, subject.source_language)
    for term, targets in terms.glossary_in(source).items():
        if not any(has_term(text, target, limits["similarity"], piece.language) for target in targets):
            wanted = " or ".join(map(repr, targets[:MOST_SHOWN]))
            yield Broken(f"the translation of {term!r} has to be {wanted}, which is missing", None, targets[0])


def has_term(text: str, target: str, similarity: float, language: str | None = None) -> bool:
    """Whether a casefolded text has the words of a term side by side and in their order, in any inflection."""
    term = _folded(target)
    if term in text or _finder(term, primary(language)).find(text):
        return True
    if is_unspaced(target):
        return len(term) > SHORTEST_STEM and _is_kana(term[-1]) and term[:-1] in text
    wanted = _WORD.findall(term)
    if len(wanted) == 1:
        words = _different_words(text)
        plain = _unmarked(wanted[0])
        if any(_has_stem(word, plain) for word in words):
            return True
        return process.extractOne(wanted[0], words, scorer=fuzz.ratio, score_cutoff=similarity) is not None
    words, size = _words(text), len(wanted)
    if size == 0 or size > len(words):
        return False
    plain_words = [_unmarked(word) for word in wanted]
    first = {
        n for n, word in enumerate(words[: len(words) - size + 1]) if _fits(word, wanted[0], plain_words[0], similarity)
    }
    return any(all(_fits(words[n + k], wanted[k], plain_words[k], similarity) for k in range(1, size)) for n in first)


def _fits(word: str, wanted: str, plain: str, similarity: float) -> bool:
    return word == wanted or _has_stem(word, plain) or fuzz.ratio(word, wanted, score_cutoff=similarity) > 0


def _has_stem(word: str, term: str) -> bool:
    """Whether a word is a term with another ending. Accents of the word are ignored, so `Häuser` fits `Haus`."""
    stem = term[: max(SHORTEST_STEM, len(term) - ENDING)]
    if len(term) < SHORTEST_STEM or len(word) > len(term) + LONGEST_ENDING or (word[:1] != stem[:1] and word.isascii()):
        return False
    return _unmarked(word).startswith(stem)


@lru_cache(maxsize=4096)
def _finder(term: str, language: str) -> TermFinder:
    return TermFinder([SoughtTerm(term)], language)


@lru_cache(maxsize=8)
def _words(text: str) -> Sequence[str]:
    return _WORD.findall(text)


@lru_cache(maxsize=8)
def _different_words(text: str) -> Sequence[str]:
    """Return the different words of a text, and its Arabic words also without their article."""
    words = dict.fromkeys(_words(text))
    return [*words, *(bare for word in words if (bare := _ARTICLE.sub("", word)) != word)]


@lru_cache(maxsize=4096)
def _unmarked(word: str) -> str:
    """Return a word without accents."""
    if word.isascii():
        return word
    return "".join(sign for sign in unicodedata.normalize("NFD", word) if not unicodedata.combining(sign))


def _is_kana(sign: str) -> bool:
    return "\u3040" <= sign <= "\u30ff"


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).lower()


CHECKS: Final = (
    Check(
        "glossary_missed",
        Severity.FAIL,
        "For each term of the glossary that stands in the source, its translation stands in the text, in any "
        "inflection.",
        _find,
        {"similarity": 85},
    ),
)

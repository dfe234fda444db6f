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
from jobs.writing.terms.endings import has_forms, stems_in_text, stems_of_term
from jobs.writing.terms.finder import SoughtTerm, TermFinder
from jobs.writing.terms.row_terms import row_terms
from jobs.writing.words.function_words import function_words
from jobs.writing.words.keywords import AGGLUTINATING, PREFIXES
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

SHORTEST_PART: Final = 4
"""A term with at least this many letters may stand anywhere in a compound."""


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
    """Whether a casefolded text has the words of a term near each other, in any order and inflection.

    Articles and other function words count neither in the term nor between its words.
    """
    term, code = _folded(target), primary(language)
    if is_unspaced(target):
        return term in text or (len(term) > SHORTEST_STEM and _is_kana(term[-1]) and term[:-1] in text)
    if _is_part_of_word(text, term) or _finder(term, code).find(text):
        return True
    joining = function_words(code)
    found = _WORD.findall(term)
    wanted = [word for word in found if word not in joining] or found
    if len(wanted) == 1:
        words = _different_words(text)
        if any(_has_stem(word, wanted[0], code) for word in words):
            return True
        if has_forms(code) and code not in PREFIXES and len(wanted[0]) <= SHORTEST_PART:
            return False  # `Wort` is similar to `Ort`; in Arabic and Hebrew, vowels within a short word change with its form
        return process.extractOne(wanted[0], words, scorer=fuzz.ratio, score_cutoff=similarity) is not None
    return bool(wanted) and _are_near([word for word in _words(text) if word not in joining], wanted, similarity, code)


def _is_part_of_word(text: str, term: str) -> bool:
    """Whether a term stands in a text as a word, or as a part of a compound. A short term must begin the word."""
    if term not in text:
        return False
    return (
        len(term) >= SHORTEST_PART
        or regex.search(rf"(?<![\p{{L}}\p{{N}}\p{{M}}]){regex.escape(term)}", text) is not None
    )


def _are_near(words: Sequence[str], wanted: Sequence[str], similarity: float, code: str) -> bool:
    """Whether all words of a term are among as many words of a text and one more, in any order."""
    if len(wanted) > len(words):
        return False
    places = [{n for n, word in enumerate(words) if _fits(word, one, similarity, code)} for one in wanted]
    reach = len(wanted)
    return any(all(one.intersection(range(n - reach, n + reach + 1)) for one in places[1:]) for n in places[0])


def _fits(word: str, wanted: str, similarity: float, code: str) -> bool:
    if word == wanted or _has_stem(word, wanted, code) or fuzz.ratio(word, wanted, score_cutoff=similarity) > 0:
        return True
    stems = stems_of_term(wanted, code)
    return not stems.isdisjoint(stems_in_text(word, code))


def _has_stem(word: str, wanted: str, code: str) -> bool:
    """Whether a word is a term with another ending. Accents do not count, so `Häuser` fits `Haus`.

    In a language whose endings are known, a short term is compared whole: `Haut` does not fit `Haus`. In one that adds several
    suffixes to a word, the term may have some too: `nesne` fits `nesneler`.
    """
    term, plain = _unmarked(wanted), _unmarked(word)
    if code in AGGLUTINATING and min(len(term), len(plain)) >= SHORTEST_PART:
        shared = next(
            (n for n, (a, b) in enumerate(zip(term, plain, strict=False)) if a != b), min(len(term), len(plain))
        )
        if shared >= SHORTEST_PART and shared * 5 >= min(len(term), len(plain)) * 4:
            return True
    if len(term) < SHORTEST_STEM or len(word) > len(term) + LONGEST_ENDING:
        return False
    if has_forms(code) and len(term) <= SHORTEST_PART:
        return plain.startswith(term)
    return plain.startswith(term[: max(SHORTEST_STEM, len(term) - ENDING)])


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

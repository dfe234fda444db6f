"""Finds terms of the glossary that stand in the source and have no translation in the target.

Weblate, Phrase and Xbench have this check. The translation of a term counts in any inflection: a word with the same stem, or one
that is similar enough by RapidFuzz. A term within a longer term of the glossary is not looked for by itself.
"""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

import regex
from rapidfuzz import fuzz, process

from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.checks.reading import is_unspaced
from jobs.checks.translation.lines import prose_only
from jobs.findings import Severity
from jobs.writing.words.words import primary

_WORD: Final = regex.compile(r"[\p{L}\p{N}\p{M}]++(?:['\u2019-][\p{L}\p{N}\p{M}]++)*+")
_PART: Final = regex.compile(r"[\p{L}\p{N}\p{M}]++")
_ARTICLE: Final = regex.compile(r"^[\u0648\u0641\u0628\u0643]?(?:\u0627\u0644|\u0644\u0644)(?=\w{3})")
"""Matches the article of Arabic at the beginning of a word, with a particle before it."""

_PLURAL: Final = {"en": "(?:s|es)?", "fr": "(?:s|x)?", "es": "(?:s|es)?", "pt": "s?", "nl": "(?:s|en)?"}
"""Language of the source -> a pattern of the endings that a term may have there."""

LONGEST_ACRONYM: Final = 5
"""A term of capitals with at most this many letters is found only in capitals: `US` is not `us`."""

SHORTEST_STEM: Final = 3
ENDING: Final = 2
"""A word has the stem of a term if it begins with the term without this many letters, and is not much longer."""

LONGEST_ENDING: Final = 5


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    glossary = subject.request.get("glossary")
    if subject.source is None or not subject.pieces or not isinstance(glossary, Mapping) or not glossary:
        return
    piece = subject.pieces[0]
    text = _folded(piece.text)
    source = prose_only(subject.source, piece.form, subject.source_language)
    for term, target in terms_in(source, glossary, subject.source_language):
        if not has_term(text, target, limits["similarity"]):
            yield Broken(f"the translation of {term!r} has to be {target!r}, which is missing", None, target)


def terms_in(source: str, glossary: Mapping[str, str], language: str | None) -> Iterator[tuple[str, str]]:
    """Yield the terms of a glossary that stand in a text, with their translations, the longest terms first."""
    lowered = _folded(source)
    folded = source if lowered == source else unicodedata.normalize("NFC", source)
    ending = _PLURAL.get(primary(language), "")
    words = frozenset(_PART.findall(lowered))
    words = words.union(*({word[:-size] for word in words} for size in (1, 2))) if ending else words
    for term in sorted(glossary, key=len, reverse=True):
        target = glossary[term]
        if not isinstance(target, str) or not target.strip() or not _may_stand(term, lowered, words):
            continue
        pattern = _pattern(term, ending)
        is_acronym = _is_acronym(term)
        if pattern.search(folded if is_acronym else lowered) is None:
            continue
        yield term, target
        lowered = pattern.sub(lambda found: "\n" * len(found[0]), lowered)
        folded = pattern.sub(lambda found: "\n" * len(found[0]), folded)


def _may_stand(term: str, text: str, words: frozenset[str]) -> bool:
    """Whether a term may stand in a text. This quick test spares most terms the search."""
    folded, first = _first_word(term)
    return first in words if first else folded in text


@lru_cache(maxsize=4096)
def _first_word(term: str) -> tuple[str, str]:
    """Return a term as it is compared, and its first word; an empty word if the term has a script without spaces."""
    folded = _folded(term)
    found = None if is_unspaced(term) else _PART.search(folded)
    return folded, found[0] if found else ""


def has_term(text: str, target: str, similarity: float) -> bool:
    """Whether a casefolded text has the words of a term side by side and in their order, in any inflection."""
    term = _folded(target)
    if term in text:
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


@lru_cache(maxsize=2048)
def _pattern(term: str, ending: str) -> regex.Pattern[str]:
    exact = regex.escape(unicodedata.normalize("NFC", term) if _is_acronym(term) else _folded(term))
    exact = regex.sub(r"(?:\\?\s)+", r"\\s+", exact)
    if is_unspaced(term):
        return regex.compile(exact)
    return regex.compile(rf"(?<![\p{{L}}\p{{N}}\p{{M}}]){exact}{ending}(?![\p{{L}}\p{{N}}\p{{M}}])")


def _is_acronym(term: str) -> bool:
    return term.isupper() and len(term) <= LONGEST_ACRONYM


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

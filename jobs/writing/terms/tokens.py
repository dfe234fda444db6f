"""Tokens: the pieces of a text that terms are compared by, in any script, each with its place.

A token is a word, without hyphens and apostrophes: `l'eau` has two. Where Latin letters follow those of another script, another
token begins. In scripts without spaces between words, a token is an ideograph, a hiragana, a letter of Thai, Lao, Khmer or
Burmese with the marks on it, or a run of katakana.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Any, Final, NamedTuple

import regex

_UNSPACED: Final = r"\p{Han}\p{Hiragana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_JOINERS: Final = "\u00ad\u200c\u200d\u2060"
_LATIN: Final = r"\p{Latin}\p{N}"
_OTHER: Final = rf"[\p{{L}}--[{_UNSPACED}\p{{Katakana}}\p{{Latin}}\u30fc\u3005]]"
_TOKEN: Final = regex.compile(
    rf"[\p{{Katakana}}\u30fc]+|[{_UNSPACED}\u3005]\p{{M}}*"
    rf"|[{_LATIN}][{_LATIN}\p{{M}}{_JOINERS}]*|{_OTHER}(?:[\p{{M}}{_JOINERS}]|{_OTHER})*",
    regex.V1,
)
_ASCII_TOKEN: Final = re.compile(r"[A-Za-z0-9]+")
_UNSPACED_KEY: Final = regex.compile(rf"[{_UNSPACED}\p{{Katakana}}\u30fc\u3005]")
_IGNORED: Final = regex.compile(rf"[{_JOINERS}\u0640\u064b-\u0652\u0670\u0591-\u05bd\u05bf\u05c1\u05c2]+")
"""Matches what two spellings of a word may differ in: joiners, soft hyphens, and the vowel points of Arabic and Hebrew."""

LIGHT: Final = regex.compile(r"(?:[^\S\r\n]|[-\u2010-\u2013\u2060'\u2019])*+(?:\r?\n(?!\s*\n)[^\S\r\n]*+)?")
"""Matches what may stand between two words of a term: spaces of any kind, one line break, a hyphen or an apostrophe."""


class Token(NamedTuple):
    """A token: the form in which it is compared, and its start and end in the text."""

    key: str
    start: int
    end: int


def pattern_of(text: str) -> Any:
    """Return the pattern whose matches are the tokens of a text."""
    return _ASCII_TOKEN if text.isascii() else _TOKEN


def tokens(text: str) -> list[Token]:
    """Return the tokens of a text in their order."""
    return [Token(key_of(found[0]), found.start(), found.end()) for found in pattern_of(text).finditer(text)]


@lru_cache(maxsize=65_536)
def key_of(word: str) -> str:
    """Return a token as it is compared: in lower case, composed, without joiners and vowel points."""
    if word.isascii():
        return word.lower()
    return unicodedata.normalize("NFC", plain_of(word).replace("\u0130", "i").casefold())


def plain_of(word: str) -> str:
    """Return a token composed, without joiners and vowel points, in its own case."""
    return word if word.isascii() else _IGNORED.sub("", unicodedata.normalize("NFC", word))


def is_unspaced(key: str) -> bool:
    """Whether a token is of a script without spaces, so that none need part it from the next."""
    return _UNSPACED_KEY.match(key) is not None

"""Finds the words of a text in any script. All of Nightpress counts words in this way."""

import re
from typing import Any, Final

import regex

_IDEOGRAPHS: Final = r"\p{Han}\p{Hiragana}\p{Katakana}"
_REST: Final = rf"[\p{{L}}\p{{N}}\p{{M}}--[{_IDEOGRAPHS}]]"
_WORD: Final = regex.compile(
    rf"[{_IDEOGRAPHS}]"
    rf"|[\p{{L}}\p{{N}}--[{_IDEOGRAPHS}]]{_REST}*(?:['\u2019\u00ad\u200c\u200d-]{_REST}+)*",
    regex.V1,
)
_OTHER_THAN_LATIN: Final = re.compile(
    "[^\\x00-\u00ac\u00ae-\u02ff\u2000-\u200b\u200e-\u206f\u20a0-\u20bf\u2190-\u23ff\u2600-\u2775\U0001f300-\U0001faff]"
)
"""Matches a sign that `_LATIN_WORD` reads otherwise than `_WORD`: one of another script, a soft hyphen, or a joiner."""

_LATIN_WORD: Final = re.compile("[^\\W_]+(?:['\u2019-][^\\W_]+)*")
"""Matches the same words as `_WORD` in a text of Latin letters, and is faster."""

_UNSPACED: Final = regex.compile(rf"[{_IDEOGRAPHS}\p{{Thai}}\p{{Khmer}}\p{{Lao}}\p{{Myanmar}}]")

UNSPACED_LANGUAGES: Final = frozenset({"th", "lo", "km", "my", "bo", "dz", "shn"})
"""Languages without spaces between words whose single signs are not words either. Their words cannot be counted here."""


def words(text: str) -> list[str]:
    """Return the words of a text in their order. An ideograph or kana is a word; numbers are words; signs are not."""
    return list(_pattern_of(text).findall(text))


def keys(text: str) -> list[str]:
    """Return the casefolded words of a text in their order."""
    return [word.casefold() for word in _pattern_of(text).findall(text)]


def tokens(text: str) -> list[tuple[str, int, int]]:
    """Return the casefolded words of a text in their order, each with its start and end."""
    return [(found[0].casefold(), *found.span()) for found in _pattern_of(text).finditer(text)]


def _pattern_of(text: str) -> Any:
    return _WORD if _OTHER_THAN_LATIN.search(text) else _LATIN_WORD


def is_unspaced(text: str) -> bool:
    """Whether most of the text is in a script without spaces between words."""
    if text.isascii() or _OTHER_THAN_LATIN.search(text) is None:
        return False
    letters = sum(map(str.isalpha, text))
    return letters > 0 and len(_UNSPACED.findall(text)) * 2 > letters


def primary(language: str | None) -> str:
    """Return the language of a BCP 47 tag without region and script: `pt` for `pt-BR`; an empty text for None."""
    return (language or "").split("-")[0].lower()

"""Finds phrases in which an assistant speaks of itself or refuses, in the languages that models write most."""

# ruff: noqa: RUF001 - words of other scripts

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import regex

if TYPE_CHECKING:
    Found = regex.Match[str]

_GAP: Final = r"[^.!?\n\u3002]{0,60}?"
_DO: Final = (
    "help|assist|fulfil+|comply|complete|process|provide|create|generate|write|produce|continue|answer|respond|translate|"
    "engage|discuss|offer|share|support|accommodate"
)
_CAPITALS: Final = "AI|KI|IA|ИИ|ШІ|ΤΝ|एआई|人工|言語モデル|語言模型|语言模型|인공지능|언어"
_NAMES: Final = tuple(_CAPITALS.split("|"))
_LOWER: Final = (
    "language model|artificial|künstliche|artificiel|inteligência|kunstmatig|sztuczn|искусственн|штучн|umělá|τεχνητή|yapay|"
    "virtual|sprachmodell|langage|lenguaje|linguistico|linguagem|taalmodel|językowy|языков|мовна|språkmodell|jazykový|γλώσσας|"
    "γλωσσικό|نموذج|ذكاء|مساعد|कृत्रिम|भाषा"
)
_WORDS: Final = tuple(_LOWER.split("|"))
"""A text without any of these words has no phrase in which a model speaks of itself. They are found faster than the patterns."""

_NOT: Final = (
    "can't|can\u2019t|cannot|can not|unable|not able|won't|won\u2019t|nicht|je ne|no puedo|non posso|non sono|não|niet|nie mogę|"
    "не |inte |olama|edeme|getireme|yanıt|nemohu|δεν|无法|無法|不能|没法|沒|ません|かね|수 없|어렵|لا |لن |नहीं|असमर्थ"
)
_NEGATIONS: Final = tuple(_NOT.split("|"))
"""A text without any of these words holds no refusal."""


@cache
def _pattern(name: str) -> "regex.Pattern[str]":
    text = files("jobs.checks.text").joinpath(name).read_text(encoding="utf-8")
    phrases = [line for line in text.splitlines() if line and not line.startswith("#")]
    either = "|".join(phrases).replace("{gap}", _GAP).replace("{do}", _DO)
    return regex.compile(rf"(?<![\p{{L}}\p{{N}}])(?:{either})", regex.IGNORECASE)


def as_ai(text: str) -> "list[Found]":
    """Return the words in which a model speaks of itself: `As an AI language model, I`. Only text around a name is read."""
    folded = text.lower()
    names = [at for names, where in ((_NAMES, text), (_WORDS, folded)) for name in names for at in _places(name, where)]
    found: dict[int, Found] = {}
    end = 0
    for at in sorted(names):
        if at < end:
            continue
        end = at + _AFTER_NAME
        for one in _pattern("as_ai.txt").finditer(text, max(0, at - _BEFORE_NAME), end + _BEFORE_NAME):
            found.setdefault(one.start(), one)
    return list(found.values())


def _places(name: str, text: str) -> "list[int]":
    """Return at most `_MOST_PLACES` positions of a name in a text, each at least `_AFTER_NAME` after the one before."""
    places: list[int] = []
    at = text.find(name)
    tied = len(name) == len("AI")  # `AI` is not found in `AIR`
    while at >= 0 and len(places) < _MOST_PLACES:
        if not tied or not (text[at - 1 : at].isalpha() or text[at + 2 : at + 3].isalpha()):
            places.append(at)
            at = text.find(name, at + _AFTER_NAME)
        else:
            at = text.find(name, at + 1)
    return places


_BEFORE_NAME: Final = 80
_AFTER_NAME: Final = 120
_MOST_PLACES: Final = 50
"""At most this many places of a name are looked at. A phrase begins at most `_BEFORE_NAME` characters before such a name."""


def refusal(text: str) -> "Found | None":
    """Return the words with which an assistant refuses: `I cannot help with that`."""
    folded = text.lower()
    if not any(word in folded for word in _NEGATIONS):
        return None
    return _pattern("refusals.txt").search(text)

"""Phrases by which an assistant speaks of itself or refuses, in the languages that models write most."""

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
_NAMES: Final = (
    "AI",
    "KI",
    "IA",
    "ИИ",
    "ШІ",
    "ΤΝ",
    "एआई",
    "人工",
    "言語モデル",
    "語言模型",
    "语言模型",
    "인공지능",
    "언어",
)
_LOWER: Final = (
    "language model|artificial|künstliche|artificiel|inteligência|kunstmatig|sztuczn|искусственн|штучн|umělá|τεχνητή|yapay|"
    "virtual|sprachmodell|langage|lenguaje|linguistico|linguagem|taalmodel|językowy|языков|мовна|språkmodell|jazykový|γλώσσας|"
    "γλωσσικό|نموذج|ذكاء|مساعد|कृत्रिम|भाषा"
)
_WORDS: Final = tuple(_LOWER.split("|"))
"""A text without any of these has no phrase by which a model speaks of itself. Looking for them is quicker than the patterns."""

_NOT: Final = (
    "can't|can\u2019t|cannot|can not|unable|not able|won't|won\u2019t|nicht|je ne|no puedo|non posso|non sono|não|niet|nie mogę|"
    "не |inte |olama|edeme|getireme|yanıt|nemohu|δεν|无法|無法|不能|没法|沒|ません|かね|수 없|어렵|لا |لن |नहीं|असमर्थ"
)
_NEGATIONS: Final = tuple(_NOT.split("|"))
"""A text without any of these refuses nothing."""


@cache
def _pattern(name: str) -> "regex.Pattern[str]":
    text = files("jobs.checks.text").joinpath(name).read_text(encoding="utf-8")
    phrases = [line for line in text.splitlines() if line and not line.startswith("#")]
    either = "|".join(phrases).replace("{gap}", _GAP).replace("{do}", _DO)
    return regex.compile(rf"(?<![\p{{L}}\p{{N}}])(?:{either})", regex.IGNORECASE)


def as_ai(text: str) -> "list[Found]":
    """Return the words by which a model speaks of itself: `As an AI language model, I`."""
    folded = text.lower()
    if not any(name in text for name in _NAMES) and not any(word in folded for word in _WORDS):
        return []
    return list(_pattern("as_ai.txt").finditer(text))


def refusal(text: str) -> "Found | None":
    """Return the words by which an assistant refuses: `I cannot help with that`."""
    folded = text.lower()
    if not any(word in folded for word in _NEGATIONS):
        return None
    return _pattern("refusals.txt").search(text)

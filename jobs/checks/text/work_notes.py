"""Finds notes of a model about its own work in a text that is to be published: `Here's your revised paragraph`, `I've made some
changes to the text`, `I'm ready to help you`, `Tone: friendly`.

A text may speak of a paragraph, of changes or of help. Only phrases that speak of this text, or to the person who asked for it,
count, and only at the beginning of a sentence.
"""

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Final

import regex

_WORK: Final = (
    r"(?:paragraph|article|post|section|translation|version|draft|title|headline|summary|outline|caption|tweet|text|response|"
    r"rewrite|description|sentence|list of (?:things|headings|titles)|blog post|meta description|message)s?"
)
_DONE: Final = (
    r"(?:rewritten|revised|improved|edited|sample|example|final|updated|corrected|modified|suggested|requested|possible|polished|"
    r"original|shortened|expanded|completed|translated|proposed)"
)
_SOME: Final = r"(?:[\w'\u2019-]{1,20} ){0,4}?"
_HERE: Final = r"here(?:['\u2019]s| is| are)"
_BEGIN: Final = r"(?:(?<=^[ \t>*_(\"\u201c-]{0,6})|(?<=[.!?:\u2026][\"\u201d)*_]{0,2}[ \t]{1,2}))"

_LABEL: Final = regex.compile(
    r"^[ \t>*_-]{0,4}(?:tone|readers|audience|voice|keywords?|headings|language|word count|labels?|platform|target words)"
    r"[*_]{0,2}:[*_]{0,2}(?=[ \t]|$)",
    regex.IGNORECASE | regex.MULTILINE,
)
"""Matches a label of the prompt at the beginning of a line: `Tone: friendly`."""

_SIGNS: Final = (
    "here",
    "i'm",
    "i\u2019m",
    "i am",
    "i'll",
    "i\u2019ll",
    "i will",
    "i've",
    "i\u2019ve",
    "i have",
    "you",
    "following",
    "to enhance",
    "to improve",
    "edits:",
    "hope this",
    "count:",
    "note:",
    "the ",
    "this ",
    "hier ",
    "ich h",
    "ich u",
    "ich \u00fc",
    "lass",
    "voici",
    "j'",
    "j\u2019",
    "sitez pas",
    "aqu",
    "he re",
    "he mod",
    "he cor",
    "espero",
    "ecco",
    "spero",
    "questo",
)


@cache
def _pattern() -> "regex.Pattern[str]":
    text = files("jobs.checks.text").joinpath("work_notes.txt").read_text(encoding="utf-8")
    phrases = "|".join(line for line in text.splitlines() if line and not line.startswith("#"))
    for name, words in (("work", _WORK), ("done", _DONE), ("some", _SOME), ("here", _HERE)):
        phrases = phrases.replace(f"{{{name}}}", words)
    return regex.compile(rf"{_BEGIN}(?:{phrases})", regex.IGNORECASE | regex.MULTILINE)


def notes(text: str) -> "Iterator[regex.Match[str]]":
    """Yield the phrases in which the model speaks of its work."""
    folded = text.casefold()
    if any(sign in folded for sign in _SIGNS):
        yield from _pattern().finditer(text)


def labels(text: str) -> "Iterator[regex.Match[str]]":
    """Yield the labels of the prompt that stand at the beginning of a line."""
    if ":" in text:
        yield from _LABEL.finditer(text)

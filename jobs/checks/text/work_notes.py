"""Finds notes of a model about its own work in a text that is to be published: `Here's your revised paragraph`, `I've made some
changes to the text`, `I'm ready to help you`, `Tone: friendly`.

A text may speak of a paragraph, of changes or of help. Only phrases that speak of this text, or to the person who asked for it,
count, and only at the beginning of a sentence.
"""

from collections.abc import Iterator, Sequence
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
_MARKS: Final = r"[ \t>*_#(\"\u201c\u201e-]{0,6}"
"""Matches what may stand before the words of a sentence: a mark of a list, a quote, emphasis."""

_LABEL: Final = regex.compile(
    r"^[ \t>*_-]{0,4}(?:tone|readers|audience|voice|keywords?|headings|language|word count|labels?|platform|target words)"
    r"[*_]{0,2}:[*_]{0,2}(?=[ \t]|$)",
    regex.IGNORECASE | regex.MULTILINE,
)
"""Matches a label of the prompt at the beginning of a line: `Tone: friendly`."""


@cache
def _pattern() -> "regex.Pattern[str]":
    text = files("jobs.checks.text").joinpath("work_notes.txt").read_text(encoding="utf-8")
    phrases = "|".join(line for line in text.splitlines() if line and not line.startswith("#"))
    for name, words in (("work", _WORK), ("done", _DONE), ("some", _SOME), ("here", _HERE)):
        phrases = phrases.replace(f"{{{name}}}", words)
    return regex.compile(rf"{_MARKS}(?P<note>{phrases})", regex.IGNORECASE)


def notes(text: str, spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield start and end of the phrases in which the model speaks of its work. `spans` are the sentences of the text."""
    pattern = _pattern()
    for start, _ in spans:
        if found := pattern.match(text, start):
            yield found.span("note")


def labels(text: str) -> "Iterator[regex.Match[str]]":
    """Yield the labels of the prompt that stand at the beginning of a line."""
    if ":" in text:
        yield from _LABEL.finditer(text)

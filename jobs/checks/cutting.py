"""Cuts the sentences in which findings lie out of a text, so that a small fault needs no further answer of the model."""

from collections.abc import Iterable
from typing import Final

import regex

from jobs.checks.masks import sentence_spans
from jobs.findings import Finding
from jobs.writing.words.words import words

CUTTABLE: Final = frozenset({"repetition", "echo", "chat_markup", "gap", "doubled_word"})
"""Faults that are gone once their sentence is gone. What is left of the text is whole, since no other sentence needs this one."""

LEAST_SHARE: Final = 0.6
"""A text must keep this share of its words. If it would keep less, it is asked for again instead."""

_CUT: Final = "\ue001"
"""A private-use character of Unicode, which stands for a sentence that was cut."""
_AROUND_CUT: Final = regex.compile(rf"(?<! ) *+{_CUT}(?: *{_CUT})*+ *+")
_MARK_ONLY: Final = regex.compile(r"[ \t>]*+(?:[-*+\u2022]|\d{1,3}[.)]|#{1,6})?[ \t]*+")
_BLANK_LINES: Final = regex.compile(r"\n{3,}")


def without_findings(text: str, found: Iterable[Finding], start: int, language: str | None) -> tuple[str, list[str]]:
    """Return the text without the sentences of findings, and the sentences that were cut.

    `start` is the position of the text in the field of the findings. Only findings of `CUTTABLE` codes with a place within the
    text count. If the text would keep less than `LEAST_SHARE` of its words, it is returned as it is, with no sentence cut.
    """
    places = [
        (one.where.start - start, one.where.end - start)
        for one in found
        if one.code in CUTTABLE and one.where and start <= one.where.start and one.where.end <= start + len(text)
    ]
    if not places:
        return text, []
    spans = [
        span
        for span in sentence_spans(text, language)
        if any(begin < span[1] and span[0] < max(end, begin + 1) for begin, end in places)
    ]
    kept, position = list[str](), 0
    for first, last in spans:
        kept.append(text[position:first])
        position = last
    shorter = _tidied(_CUT.join([*kept, text[position:]]))
    if len(words(shorter)) < LEAST_SHARE * len(words(text)):
        return text, []
    return shorter, [text[first:last] for first, last in spans]


def without_last_sentence(text: str, language: str | None) -> tuple[str, str]:
    """Return the text without its last sentence, and this sentence. A text of one sentence is returned with an empty one."""
    spans = sentence_spans(text, language)
    if len(spans) < 2:
        return text, ""
    first, _ = spans[-1]
    return _tidied(text[:first] + _CUT), text[first:].strip()


def _tidied(text: str) -> str:
    """Return the text without `_CUT` and the space around it, and without lines of which only the mark of a list is left."""
    lines = [line for line in text.split("\n") if _CUT not in line or not _MARK_ONLY.fullmatch(line.replace(_CUT, ""))]
    joined = "\n".join(_AROUND_CUT.sub(lambda found: " " if " " in found[0] else "", line).strip(" ") for line in lines)
    return _BLANK_LINES.sub("\n\n", joined).strip()

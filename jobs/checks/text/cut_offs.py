"""Finds a text that ends in the middle of a sentence because the model reached the limit of its tokens."""

# ruff: noqa: RUF001 - signs of other scripts

from collections.abc import Iterator
from typing import Final

import regex

from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.checks.data import is_data
from jobs.checks.quoting import shortened
from jobs.findings import Severity
from jobs.writing.prose import FENCE

_APPENDED: Final = ("call_to_action", "link")
"""Fields of a request whose texts a kind appends to the words of the model."""

_HASHTAGS: Final = regex.compile(r"(?:(?<!\S)#[\w-]++\s*+)++\Z")
_MOST_HASHTAGS: Final = 1_000
"""Hashtags are looked for in this many characters at the end of a text."""

_ABOUT: Final = 400
"""The end of a sentence is looked for in this many characters at the end of a text."""

_SENTENCE_END: Final = regex.compile(
    r"(?:[.!?…。！？｡؟۔।॥։።៕။]|\p{Extended_Pictographic}\ufe0f?)[\p{Pe}\p{Pf}\p{Pi}\"'*_~`»«\u200d\ufe0f\p{Emoji_Modifier}]*+\Z"
)
_NO_END: Final = regex.compile(
    r"(?:^|\n)[ \t>*_-]*+\d{1,3}[.)][*_]*+\Z|(?<![\p{L}\p{N}])(?:e\.g|i\.e|z\.\s?B|d\.\s?h|p\.\s?ej|ad\s?es|np|напр|т\.\s?е)\.\Z",
    regex.IGNORECASE,
)


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    del limits
    if not subject.cut_off or not subject.pieces:
        return
    piece = subject.pieces[0]
    if is_data(piece.text) or _is_whole(_written(subject, piece.text)):
        return
    end = len(piece.text.rstrip())
    start = piece.spans[-1][0] if piece.spans else 0
    words = shortened(piece.text[max(start, end - 60) : end])
    yield Broken(f"the text ends in the middle: {words!r}", None, None, piece.place(start, end))


def _written(subject: Subject, text: str) -> str:
    """Return a text without the call to action, link and hashtags that its kind appends to the words of the model."""
    text = text.rstrip()
    if hashtags := _HASHTAGS.search(text, max(0, len(text) - _MOST_HASHTAGS)):
        text = text[: hashtags.start()].rstrip()
    for name in reversed(_APPENDED):
        added = subject.request.get(name)
        if isinstance(added, str) and added and text.endswith(added.strip()):
            text = text[: -len(added.strip())].rstrip()
    return text


def _is_whole(text: str) -> bool:
    fences = [line for line in text.splitlines() if FENCE.match(line)]
    if len(fences) % 2:
        return False
    if fences and FENCE.match(text.splitlines()[-1]):
        return True  # it ends with a block of code
    end = text[-_ABOUT:]
    return _SENTENCE_END.search(end) is not None and _NO_END.search(end) is None


CHECKS: Final = (
    Check(
        "cut_off",
        Severity.FAIL,
        "The model reached its most tokens, and the text ends in the middle of a sentence.",
        _find,
        general=True,
    ),
)

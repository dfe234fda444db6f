"""Compares the number of words of an article, counted as for `word_count`, with the number that the request asks for."""

from collections.abc import Iterator
from math import ceil, floor
from typing import Final

from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.findings import Severity
from jobs.writing.words.words import UNSPACED_LANGUAGES, primary, words


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    target = subject.request.get("target_words")
    if not isinstance(target, int) or target <= 0 or not subject.pieces:
        return
    body = subject.pieces[0]
    if primary(body.language) in UNSPACED_LANGUAGES:
        return
    count, room = len(words(body.text)), target * limits["off_percent"] / 100
    least, most = max(1, ceil(target - room)), floor(target + room)
    if not least <= count <= most:
        wrong = f"the article has {count:,} words, and {least:,} to {most:,} are asked for"
        yield Broken(wrong, count, least if count < least else most, body.place())


CHECKS: Final = (
    Check(
        "words_off_target",
        Severity.FAIL,
        "The words of the article are as many as its request asks for, or within `off_percent` of them.",
        _find,
        {"off_percent": 10.0},
    ),
)

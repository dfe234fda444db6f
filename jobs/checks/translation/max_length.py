"""Finds texts that are longer than their request allows. Weblate and Crowdin have this check.

A post is measured as its platform counts (jobs/writing/platforms.py), any other text in characters as a reader sees them. Each
variant of a post, and each post of a thread, must be within the limits of the platform too.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Final

from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.findings import Severity
from jobs.writing.characters import clusters, graphemes
from jobs.writing.platforms import LIMITS

LONGEST_SEARCHED: Final = 10_000
"""In a text of more code points than this, the place from which it is too long is not looked for."""


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    yield from _beyond_platform(subject)
    most = subject.request.get("max_length")
    if not subject.pieces or isinstance(most, bool) or not isinstance(most, int) or most < 1:
        return
    piece = subject.pieces[0]
    platform = LIMITS.get(subject.request.get("platform"))  # type: ignore[arg-type]
    measure, counted = (platform.length, f" as {platform.name} counts") if platform else (graphemes, "")
    length = measure(piece.text)
    if length > most:
        start = _end_of_fitting(piece.text, most, measure)
        message = f"the text has {length} characters{counted}, and the request allows {most}"
        yield Broken(message, length, most, piece.place(start))


def _beyond_platform(subject: Subject) -> Iterator[Broken]:
    """Yield the texts that the platform of the request does not take."""
    platform = LIMITS.get(subject.request.get("platform"))  # type: ignore[arg-type]
    if platform is None:
        return
    for piece in subject.pieces:
        length, size = platform.length(piece.text), len(piece.text.encode(errors="replace"))
        if length > platform.max_length:
            message = f"the post has {length} characters as {platform.name} counts, and it takes {platform.max_length}"
            yield Broken(
                message,
                length,
                platform.max_length,
                piece.place(_end_of_fitting(piece.text, platform.max_length, platform.length)),
            )
        elif platform.max_bytes is not None and size > platform.max_bytes:
            message = f"the post has {size} bytes of UTF-8, and {platform.name} takes {platform.max_bytes}"
            yield Broken(message, size, platform.max_bytes, piece.place())


def _end_of_fitting(text: str, most: int, measure: Callable[[str], int]) -> int:
    """Return the position up to which a text fits; 0 if the text is longer than `LONGEST_SEARCHED`."""
    if len(text) > LONGEST_SEARCHED:
        return 0
    ends, position = [0], 0
    for character in clusters(text):
        position += len(character)
        ends.append(position)
    return ends[max(0, bisect_right(ends, most, key=lambda end: measure(text[:end])) - 1)]


CHECKS: Final = (
    Check(
        "max_length",
        Severity.FAIL,
        "The text is at most as long as its request (`max_length`) and its platform allow.",
        _find,
    ),
)

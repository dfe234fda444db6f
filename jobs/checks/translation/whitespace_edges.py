"""Finds white space at the beginning or end of a translation, and line breaks, that differ from the source.

Weblate and pofilter have this check. jobs/checks/translation/mending.py mends what is found. The space with which Chinese and
Japanese indent a paragraph (U+3000) does not count, since other languages do not write it.
"""

from collections.abc import Iterator
from typing import Final

from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.checks.signs.icu import is_icu
from jobs.findings import Severity

INDENT: Final = "\u3000"


def edges(text: str) -> tuple[str, str]:
    """Return the white space at the beginning and at the end of a text. All white space of a blank text counts as its end."""
    inner = text.strip()
    if not inner:
        return "", text
    start = len(text) - len(text.lstrip())
    return text[:start], text[start + len(inner) :]


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    if subject.source is None or not subject.pieces:
        return
    piece = subject.pieces[0]
    (before, after), (found_before, found_after) = edges(subject.source), edges(piece.text)
    if alike(before) != alike(found_before):
        yield Broken(
            f"the text begins with {_shown(found_before)}, its source with {_shown(before)}",
            _shown(found_before),
            _shown(before),
            piece.place(0, len(found_before)),
        )
    if alike(after) != alike(found_after):
        yield Broken(
            f"the text ends with {_shown(found_after)}, its source with {_shown(after)}",
            _shown(found_after),
            _shown(after),
            piece.place(len(piece.text) - len(found_after)),
        )
    wanted, found = _breaks(subject.source.strip()), _breaks(piece.text.strip())
    if wanted != found and not is_icu(subject.source):
        yield Broken(f"the text has {found} line breaks, its source {wanted}", found, wanted)


def alike(space: str) -> str:
    """Return an edge as it is compared: with one kind of line break and of space, and without the indent of Chinese."""
    return space.replace("\r\n", "\n").replace("\r", "\n").replace(INDENT, "").replace("\u00a0", " ")


def _breaks(text: str) -> int:
    return alike(text).count("\n")


def _shown(space: str) -> str:
    return repr(space) if space else "no white space"


CHECKS: Final = (
    Check(
        "whitespace_edges",
        Severity.REVIEW,
        "The translation begins and ends with the white space of its source, and has as many line breaks.",
        _find,
    ),
)

"""Finds a word that stands twice in a row, such as `the the`. Weblate, pofilter, Phrase and proselint have this check too."""

from collections.abc import Iterator
from typing import Final

import regex

from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.findings import Severity

_DOUBLED: Final = regex.compile(
    r"(?<![\w'\u2019-])(\p{L}[\w'\u2019-]*+)[ \t\u00a0]+(\1)(?![\w'\u2019-])", regex.IGNORECASE
)

_USUAL: Final = (
    "had that is do bye so very really no yes ha blah bla tut knock now there come long many more much "
    "die der das sie ihr sehr nous vous faites muy molto piano poi sim dag"
)
USUAL: Final = frozenset(_USUAL.split())
"""Words that stand twice in correct sentences, of all languages together: `had had`, `nous nous`, `die die`."""

REDUPLICATING: Final = frozenset({"id", "ms", "tl", "vi", "haw", "sm", "th", "jv", "su", "tr", "hi", "bn"})
"""Languages that double words by their grammar, such as the plural of Indonesian."""


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    for piece in subject.pieces:
        if (piece.language or "").split("-")[0].lower() in REDUPLICATING:
            continue
        for found in _DOUBLED.finditer(piece.text):
            is_name = found[1].istitle() and found[2].istitle()  # Duran Duran, Baden Baden
            if found[1].casefold() not in USUAL and not is_name:
                yield Broken(f"{found[0]!r} stands twice in a row", found[0], None, piece.place(*found.span()))


CHECKS: Final = (Check("doubled_word", Severity.REVIEW, "A word stands twice in a row.", _find, general=True),)

"""Finds sections of an article that say the same, because they share many runs of three words."""

from collections.abc import Iterator
from typing import Final

from jobs.checks.article.parts import Part, parts_of
from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.findings import Severity
from jobs.writing.words.words import is_unspaced

RUN: Final = 3
"""The number of words in a run."""
RUN_OF_SIGNS: Final = 5
"""The number of signs in a run of a text without spaces between words, where a sign is about half a word."""
MOST_SECTIONS: Final = 60
"""At most this many sections are compared, so that a hostile text does not take long."""


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    if not subject.pieces:
        return
    body = subject.pieces[0]
    parts = [part for part in parts_of(body.text) if part.count >= limits["least_words"]][:MOST_SECTIONS]
    runs = [_runs(part) for part in parts]
    for n, part in enumerate(parts):
        shares = [(_share(runs[n], other), -k) for k, other in enumerate(runs[:n])]
        share, like = max(shares, default=(0.0, 0))
        if share > limits["share"]:
            both = f"{_name(part)} and {_name(parts[-like])}"
            wrong = f"{both} are alike: they share {share:.0%} of the runs of {RUN} words of the shorter one"
            yield Broken(wrong, round(share, 3), limits["share"], body.place(part.start, part.end))


def _runs(part: Part) -> frozenset[str]:
    length = RUN_OF_SIGNS if is_unspaced(part.prose) else RUN
    return frozenset(map(" ".join, zip(*(part.words[n:] for n in range(length)), strict=False)))


def _share(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the share of the smaller set's members that the other set has too. It is at least as high as the Jaccard index."""
    least = min(len(one), len(other))
    return len(one & other) / least if least else 0.0


def _name(part: Part) -> str:
    return f"the section {part.heading.text!r}" if part.heading else "the text before the first heading"


CHECKS: Final = (
    Check(
        "sections_alike",
        Severity.FAIL,
        "No section shares more than `share` of its runs of three words with another one. Sections of fewer than "
        "`least_words` words are not compared.",
        _find,
        {"share": 0.3, "least_words": 20},
    ),
)

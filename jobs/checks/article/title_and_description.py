"""Measures the title and the description of an article as a page of results shows them.

An ideograph is as wide as two letters there, so it counts as two characters. Yoast measures a title in pixels (`least: 0`,
`most: 1000`, `most_pixels: 600`) and takes descriptions of 120 to 156 characters (`least: 120`, `most: 156`).
"""

from collections.abc import Iterator
from typing import Final

from jobs.checks.check import Broken, Check, Limits, Piece, Subject
from jobs.findings import Severity
from jobs.writing.fitting import DESCRIPTION, TITLE
from jobs.writing.words.widths import pixels, shown_length


def _find_title(subject: Subject, limits: Limits) -> Iterator[Broken]:
    if (title := subject.piece("title")) is None:
        return
    yield from _length(title, "title", limits)
    if (most := limits["most_pixels"]) and (width := pixels(title.text)) > most:
        yield Broken(f"the title is {width} pixels wide, and at most {most} are shown", width, most, title.place())


def _find_description(subject: Subject, limits: Limits) -> Iterator[Broken]:
    if (description := subject.piece("meta_description")) is not None:
        yield from _length(description, "description", limits)


def _length(piece: Piece, name: str, limits: Limits) -> Iterator[Broken]:
    length, least, most = shown_length(" ".join(piece.text.split())), limits["least"], limits["most"]
    if not least <= length <= most:
        wrong = f"the {name} has {length} characters, and {least} to {most} are asked for"
        yield Broken(wrong, length, least if length < least else most, piece.place())


CHECKS: Final = (
    Check(
        "seo_title",
        Severity.REVIEW,
        "The title has `least` to `most` characters, and at most `most_pixels` in Arial of 20 pixels (0: not measured).",
        _find_title,
        {"least": TITLE[0], "most": TITLE[1], "most_pixels": 0},
    ),
    Check(
        "meta_description",
        Severity.REVIEW,
        "The description has `least` to `most` characters.",
        _find_description,
        {"least": DESCRIPTION[0], "most": DESCRIPTION[1]},
    ),
)

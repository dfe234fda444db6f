"""Checks the headings of an article: their levels, their number and their texts."""

from collections.abc import Iterator, Sequence
from typing import Final

from jobs.checks.article.parts import Heading, headings_of, parts_of
from jobs.checks.check import Broken, Check, Limits, Piece, Subject
from jobs.findings import Severity
from jobs.writing.words.words import is_unspaced


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    if not subject.pieces:
        return
    body = subject.pieces[0]
    headings = headings_of(body.text)
    yield from _levels(body, headings, limits)
    yield from _texts(body, headings, limits)
    most = limits["section_words"]
    for part in parts_of(body.text):
        # Two ideographs are about one word, so a section may have twice as many ideographs as words. Yoast counts
        # Japanese so too.
        if part.count > most and (part.count > 2 * most or not is_unspaced(part.prose)):
            allowed = 2 * most if is_unspaced(part.prose) else most
            name = f"below {part.heading.text!r}" if part.heading else "before the first heading"
            wrong = f"the text {name} has {part.count:,} words, and at most {allowed:,} stand below one heading"
            yield Broken(wrong, part.count, allowed, body.place(part.start, part.end), Severity.REVIEW)


def _levels(body: Piece, headings: Sequence[Heading], limits: Limits) -> Iterator[Broken]:
    level, firsts = 1, 0  # the title is the heading of the first level if the body has none
    for heading in headings:
        where = body.place(heading.start, heading.end)
        firsts += heading.level == 1
        if heading.level == 1 and firsts > limits["most_h1"]:
            wrong = f"the heading {heading.text!r} is of the first level, and the article has one of these already"
            yield Broken(wrong, firsts, limits["most_h1"], where)
        elif heading.level > level + 1:
            wrong = f"the heading {heading.text!r} is of level {heading.level}, and the one above it of level {level}"
            yield Broken(wrong, heading.level, level + 1, where)
        level = heading.level


def _texts(body: Piece, headings: Sequence[Heading], limits: Limits) -> Iterator[Broken]:
    known, above = set[tuple[str, ...]](), list[Heading]()
    for heading in headings:
        above = [one for one in above if one.level < heading.level]
        path = () if limits["twice_anywhere"] else tuple(one.key for one in above)
        if not heading.text:
            yield Broken("a heading has no text", where=body.place(heading.start, heading.end))
        elif (*path, heading.key) in known:
            wrong = f"the heading {heading.text!r} stands twice"
            yield Broken(wrong, heading.text, None, body.place(heading.start, heading.end))
        known.add((*path, heading.key))
        above.append(heading)


CHECKS: Final = (
    Check(
        "headings",
        Severity.FAIL,
        "The article has one heading of the first level (its title, if the body has none), no level is skipped, and no heading "
        "has no text or stands twice below the same heading (`twice_anywhere`: in the article). At most `section_words` words "
        "stand below a heading, or twice as many ideographs; more are for review.",
        _find,
        {"section_words": 300, "most_h1": 1, "twice_anywhere": False},
    ),
)

"""Finds a heading that says again what stands above it: the title, or the heading before it. `mended` takes such headings out."""

from collections.abc import Iterator, Sequence
from typing import Final

from jobs.checks.article.parts import Heading, heading_key, headings_of
from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.findings import Severity


def mended(title: str, body: str, outline: Sequence[str] = ()) -> tuple[str, list[str]]:
    """Return the body without the headings that repeat what stands above them, and the lines that were taken out.

    The text below a heading that is taken out stays. A heading of the request's outline is not taken out for being the title.
    """
    kept, out, position = list[str](), list[str](), 0
    for heading, _ in _repeating(title, headings_of(body), outline):
        before = body[position : heading.start]
        kept.append(before)
        out.append(body[heading.start : heading.end])
        position = heading.end
        while position < len(body) and body[position] in "\r\n":
            position += 1
    return ("".join([*kept, body[position:]]), out) if out else (body, out)


def _repeating(title: str, headings: Sequence[Heading], outline: Sequence[str]) -> Iterator[tuple[Heading, str]]:
    """Yield the headings that repeat what stands above them, and what that is."""
    above, asked = heading_key(title), {heading_key(name) for name in outline}
    for n, heading in enumerate(headings):
        if heading.key and heading.key == above and (n or heading.key not in asked):
            yield heading, "the heading before it" if n else "the title"
        elif heading.key:
            above = heading.key


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    if not subject.pieces:
        return
    body, title, outline = subject.pieces[0], subject.piece("title"), subject.request.get("outline")
    names = [name for name in outline if isinstance(name, str)] if isinstance(outline, list | tuple) else []
    for heading, above in _repeating(title.text if title else "", headings_of(body.text), names):
        wrong = f"the heading {heading.text!r} repeats {above}"
        yield Broken(wrong, heading.text, None, body.place(heading.start, heading.end))


CHECKS: Final = (
    Check(
        "heading_repeats_title",
        Severity.REVIEW,
        "The first heading is not the title again, and no heading is the one before it again.",
        _find,
    ),
)

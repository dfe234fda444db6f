"""Finds a heading that repeats the title or the heading before it. `mended` removes such headings."""

from collections.abc import Iterator, Sequence
from typing import Final

from jobs.checks.article.parts import Heading, heading_key, headings_of
from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.findings import Severity


def mended(title: str, body: str, outline: Sequence[str] = ()) -> tuple[str, list[str]]:
    """Return the body without the headings that repeat the title or the heading before them, and the headings that were removed.

    The text below a removed heading stays. A first heading that repeats the title stays if the request's outline has it.
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
    """Yield each heading that repeats the title or the heading before it, and the words for which of the two it repeats."""
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

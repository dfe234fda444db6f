"""Compares the sections of an article with the outline of its request."""

from collections.abc import Iterator
from typing import Final

from jobs.checks.article.parts import heading_key, headings_of
from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.findings import Severity


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    outline = subject.request.get("outline")
    if not isinstance(outline, list | tuple) or not outline or not subject.pieces:
        return
    body = subject.pieces[0]
    headings = headings_of(body.text)
    if headings and headings[0].level == 1 and sum(heading.level == 1 for heading in headings) == 1:
        headings = headings[1:]
    top = min((heading.level for heading in headings), default=2)
    found = [heading for heading in headings if heading.level == top]
    wanted, most = len(outline), len(outline) + limits["extra"]
    if wanted <= len(found) <= most:
        return
    keys, asked = {heading.key for heading in found}, {heading_key(str(name)) for name in outline}
    lacking = [str(name) for name in outline if heading_key(str(name)) not in keys]
    surplus = [heading.text for heading in found if heading.key not in asked]
    more = f"; {lacking[0]!r} is missing" if lacking and len(found) < wanted else ""
    more = f"; {surplus[0]!r} is not in the outline" if surplus and len(found) > most else more
    wrong = f"the article has {len(found)} sections, and its outline {wanted}{more}"
    over = next((heading for heading in found if heading.text in surplus[:1]), None) if len(found) > most else None
    yield Broken(
        wrong, len(found), wanted if len(found) < wanted else most, body.place(over.start, over.end) if over else None
    )


CHECKS: Final = (
    Check(
        "sections",
        Severity.FAIL,
        "The article has as many sections as the outline of its request, or at most `extra` more.",
        _find,
        {"extra": 0},
    ),
)

"""Finds links and e-mail addresses that a translation lost, changed or made up. Weblate and pofilter have this check."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from jobs.checks.check import Broken, Check, Limits, Subject
from jobs.checks.signs.addresses import Address, addresses
from jobs.checks.signs.icu import is_icu
from jobs.checks.signs.markup import markdown, outside, tags
from jobs.checks.translation.lines import shown
from jobs.findings import Severity


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    if subject.source is None or not subject.pieces:
        return
    piece = subject.pieces[0]
    as_markdown = piece.form == "markdown"
    source, target = (_outside_markup(text, as_markdown=as_markdown) for text in (subject.source, piece.text))
    wanted, found = (Counter(one.text for one in side) for side in (source, target))
    if is_icu(subject.source):  # each form of a plural may repeat a link
        wanted, found = Counter(set(wanted)), Counter(set(found))
    for text, count in (wanted - found).items():
        often = f" ({found[text]} of {wanted[text]})" if found[text] else ""
        yield Broken(f"the address {shown(text)} of the source is missing{often}", count, wanted[text])
    added = found - wanted
    for one in reversed(target):
        if added[one.text] > 0:
            added[one.text] -= 1
            often = " so often" if wanted[one.text] else ""
            where = piece.place(one.start, one.end)
            yield Broken(
                f"the address {shown(one.text)} does not stand in the source{often}",
                found[one.text],
                wanted[one.text],
                where,
            )


def _outside_markup(text: str, *, as_markdown: bool) -> list[Address]:
    """Return the addresses that are not in a tag, in code or in the target of a link, since markup_changed compares those."""
    found = addresses(text)
    if not found:
        return []
    in_markdown = markdown(text) if as_markdown else ()
    return outside(found, [*tags(text), *(mark for mark in in_markdown if mark.what in ("code", "link"))])


CHECKS: Final = (
    Check(
        "url_or_email_changed",
        Severity.FAIL,
        "The translation has the links and e-mail addresses of its source.",
        _find,
    ),
)

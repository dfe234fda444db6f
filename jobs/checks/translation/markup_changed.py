"""Finds markup that a translation lost, changed or added: tags, attributes, code, link targets, marks of Markdown.

Weblate and Phrase have this check. Words between tags, and attributes that a reader sees (`alt`, `title`), may change.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from jobs.checks.check import Broken, Check, Limits, Piece, Subject
from jobs.checks.signs.icu import is_icu
from jobs.checks.signs.markup import Mark, code, markdown, outside, tags
from jobs.checks.translation.lines import shown
from jobs.findings import Severity

_NAMES: Final = {
    "tag": "the tag",
    "code": "the code",
    "link": "the link target",
    "block": "the Markdown mark",
    "emphasis": "the emphasis",
}


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    if subject.source is None or not subject.pieces:
        return
    piece = subject.pieces[0]
    as_markdown = piece.form == "markdown"
    source, target = (_marks(text, as_markdown=as_markdown) for text in (subject.source, piece.text))
    if is_icu(subject.source):  # languages have different plural forms, and each form may repeat a tag
        source, target = _once(source), _once(target)
    wanted, found = (Counter((mark.what, mark.key) for mark in marks) for marks in (source, target))
    for (what, key), count in (wanted - found).items():
        severity = Severity.REVIEW if what == "emphasis" else None
        often = f" ({found[what, key]} of {wanted[what, key]})" if found[what, key] else ""
        yield Broken(
            f"{_NAMES[what]} {shown(key)} of the source is missing{often}", count, wanted[what, key], severity=severity
        )
    added = found - wanted
    for mark in reversed(target):
        if added[mark.what, mark.key] > 0:
            added[mark.what, mark.key] -= 1
            yield Broken(
                f"{_NAMES[mark.what]} {shown(mark.key)} does not stand in the source"
                + (" so often" if wanted[mark.what, mark.key] else ""),
                found[mark.what, mark.key],
                wanted[mark.what, mark.key],
                piece.place(mark.start, mark.end),
                Severity.REVIEW if mark.what == "emphasis" else None,
            )
    if wanted == found:
        yield from _nesting(source, target, piece)


def _marks(text: str, *, as_markdown: bool) -> list[Mark]:
    in_markdown = markdown(text) if as_markdown else ()
    hidden = [mark for mark in in_markdown if mark.what == "code"]
    return [*outside([*tags(text), *code(text)], hidden), *in_markdown]


def _once(marks: Sequence[Mark]) -> list[Mark]:
    return list({(mark.what, mark.key): mark for mark in marks}.values())


def _nesting(source: Sequence[Mark], target: Sequence[Mark], piece: Piece) -> Iterator[Broken]:
    if _wrong(source) is None and (mark := _wrong(target)) is not None:
        message = f"the tag {shown(mark.key)} closes no tag that is open there, or is not closed"
        yield Broken(message, where=piece.place(mark.start, mark.end))


def _wrong(marks: Sequence[Mark]) -> Mark | None:
    """Return the first tag that is not nested correctly, or None."""
    opened: list[Mark] = []
    for mark in marks:
        if mark.what != "tag" or not mark.name:
            continue
        if not mark.name.startswith("/"):
            opened.append(mark)
        elif not opened or opened.pop().name != mark.name[1:]:
            return mark
    return opened[-1] if opened else None


CHECKS: Final = (
    Check(
        "markup_changed",
        Severity.FAIL,
        "The translation has the tags, attributes, code and link targets of its source.",
        _find,
    ),
)

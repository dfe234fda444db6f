"""Finds placeholders that a translation lost, changed, added or put in another order. Weblate has this check by format.

Placeholders without a number (`%s %d`) must keep their order; numbered ones (`%2$s`) may change it. In an ICU message with
plurals the forms differ by language, so the names and types of its arguments are compared, and the keywords of each `select`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import regex

from jobs.checks.check import Broken, Check, Limits, Piece, Subject
from jobs.checks.signs.icu import Argument, IcuError, is_icu, parse
from jobs.checks.signs.placeholders import Placeholder, placeholders
from jobs.findings import Severity

_UNNUMBERED: Final = regex.compile(r"%(?![({<%])(?!\d{1,2}\$)")
_NUMBERED: Final = regex.compile(r"%(\d{1,2})\$(.*)")


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    if subject.source is None or not subject.pieces:
        return
    piece = subject.pieces[0]
    if is_icu(subject.source):
        yield from _in_icu(subject.source, piece)
    else:
        source = placeholders(subject.source, None, subject.source_language)
        known = frozenset(one.text for one in source if one.family == "loose")
        yield from _differences(source, placeholders(piece.text, known, piece.language), piece)


def _differences(source: Sequence[Placeholder], target: Sequence[Placeholder], piece: Piece) -> Iterator[Broken]:
    if _is_renumbered(source, target):
        source = [one for one in source if one.family != "printf"]
        target = [one for one in target if one.family != "printf"]
    wanted, found = Counter(one.key for one in source), Counter(one.key for one in target)
    if wanted == found:
        before, after = ([one for one in side if _UNNUMBERED.match(one.text)] for side in (source, target))
        for one, other in zip(before, after, strict=True):
            if one.text != other.text:
                yield Broken(
                    f"the placeholder {other.text!r} stands where the source has {one.text!r}: "
                    "placeholders without a number keep their order",
                    other.text,
                    one.text,
                    piece.place(other.start, other.end),
                )
                return
    for key, count in (wanted - found).items():
        often = f" ({found[key]} of {wanted[key]})" if found[key] else ""
        yield Broken(f"the placeholder {key!r} of the source is missing{often}", wanted[key] - count, wanted[key])
    added = found - wanted
    for one in reversed(target):
        if added[one.key] > 0:
            added[one.key] -= 1
            often = " so often" if wanted[one.key] else ""
            yield Broken(
                f"the placeholder {one.text!r} does not stand in the source{often}",
                found[one.key],
                wanted[one.key],
                piece.place(one.start, one.end),
            )


def _is_renumbered(source: Sequence[Placeholder], target: Sequence[Placeholder]) -> bool:
    """Whether the target has numbered placeholders for those without numbers in the source: `%s %d` became `%2$d %1$s`."""
    before = [one.text for one in source if one.family == "printf"]
    after = [_NUMBERED.fullmatch(one.text) for one in target if one.family == "printf"]
    if not before or not all(map(_UNNUMBERED.match, before)):
        return False
    return sorted((str(n), text[1:]) for n, text in enumerate(before, 1)) == sorted(
        (match[1], match[2]) for match in after if match
    ) and all(after)


def _in_icu(source: str, piece: Piece) -> Iterator[Broken]:
    try:
        wanted, found = _arguments(source), _arguments(piece.text)
    except IcuError:
        return  # the check icu_invalid reports it
    for name, argument in wanted.items():
        if name not in found:
            hint = ": an apostrophe before a brace quotes it, so write '' for '" if f"'{{{name}" in piece.text else ""
            yield Broken(f"the argument {name!r} of the source is missing{hint}")
        elif found[name].type != argument.type:
            other = found[name]
            yield Broken(
                f"the argument {name!r} is {_described(other)}; in the source it is {_described(argument)}",
                other.type,
                argument.type,
                piece.place(other.start, other.end),
            )
        elif argument.type == "select" and set(argument.selectors) != set(found[name].selectors):
            other = found[name]
            yield Broken(
                f"the select of {name!r} has the keywords {', '.join(other.selectors)}; "
                f"the source has {', '.join(argument.selectors)}",
                tuple(other.selectors),
                tuple(argument.selectors),
                piece.place(other.start, other.end),
            )
    for name, argument in found.items():
        if name not in wanted:
            yield Broken(
                f"the argument {name!r} does not stand in the source", where=piece.place(argument.start, argument.end)
            )


def _arguments(text: str) -> dict[str, Argument]:
    """Return the arguments of a message by name. Of several with the same name, one that chooses between forms is taken."""
    arguments: dict[str, Argument] = {}
    for argument in parse(text).walk():
        if argument.name not in arguments or (argument.forms and not arguments[argument.name].forms):
            arguments[argument.name] = argument
    return arguments


def _described(argument: Argument) -> str:
    return f"a {argument.type}" if argument.type else "plain"


CHECKS: Final = (
    Check(
        "placeholders_changed",
        Severity.FAIL,
        "The translation has the placeholders of its source, those without a number in their order.",
        _find,
    ),
)

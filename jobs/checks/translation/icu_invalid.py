"""Finds translations of ICU messages that are not valid, or that lack plural forms of their language. Weblate has this check.

The plural categories of a language are those of CLDR, which Babel ships. A category is needed if a whole number up to 200 has
it, so the `many` of Spanish (millions) and of Czech (fractions) may be left out.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from jobs.checks.check import Broken, Check, Limits, Piece, Subject
from jobs.checks.signs.icu import Argument, IcuError, is_icu, parse
from jobs.findings import Severity
from jobs.languages.plurals import CATEGORIES, plural_rule

HIGHEST: Final = 200
"""A plural category is needed if a whole number from 0 to this one has it."""


def _find(subject: Subject, limits: Limits) -> Iterator[Broken]:
    if subject.source is None or not subject.pieces or not is_icu(subject.source):
        return
    piece = subject.pieces[0]
    try:
        original = {
            argument.name: set(argument.selectors) for argument in parse(subject.source).walk() if argument.forms
        }
    except IcuError:
        return
    try:
        message = parse(piece.text)
    except IcuError as error:
        end = min(error.position + 1, len(piece.text))
        hint = "; an apostrophe before a brace quotes it, so write '' for '" if "'{" in piece.text else ""
        yield Broken(
            f"the text is not a valid ICU message: {error}{hint}", where=piece.place(min(error.position, end), end)
        )
        return
    for argument in message.walk():
        if argument.type == "plural":
            yield from _categories(argument, original.get(argument.name, set()), piece)


def _categories(argument: Argument, original: set[str], piece: Piece) -> Iterator[Broken]:
    if (known := plural_numbers(piece.language)) is None:
        return
    place = piece.place(argument.start, argument.end)
    given = set(argument.selectors)
    explicit = {int(selector[1:]) for selector in given if selector[0] == "=" and len(selector) < 9}
    lacks = [name for name, numbers in known.items() if name not in given and not numbers <= explicit]
    unknown = [one for one in argument.selectors if one[0] != "=" and one not in known and one not in original]
    if lacks:
        yield Broken(
            f"the plural of {argument.name!r} lacks {', '.join(lacks)}, which {piece.language} needs",
            tuple(argument.selectors),
            tuple(known),
            place,
        )
    if unknown := [one for one in unknown if one not in extra_categories(piece.language)]:
        yield Broken(
            f"the plural of {argument.name!r} has {', '.join(unknown)}, which {piece.language} does not have",
            tuple(argument.selectors),
            tuple(known),
            place,
        )


@lru_cache(maxsize=64)
def plural_numbers(language: str | None) -> dict[str, frozenset[int]] | None:
    """Return the plural categories that a language needs, each with its numbers up to 200; None for an unknown language."""
    if (form := plural_rule(language)) is None:
        return None
    numbers: dict[str, set[int]] = {"other": set()}
    for number in range(HIGHEST + 1):
        numbers.setdefault(form(number), set()).add(number)
    return {name: frozenset(numbers[name]) for name in CATEGORIES if name in numbers}


@lru_cache(maxsize=64)
def extra_categories(language: str | None) -> frozenset[str]:
    """Return all plural categories of a language except `other`; empty for an unknown language."""
    form = plural_rule(language)
    return frozenset(form.tags) if form else frozenset()


CHECKS: Final = (
    Check(
        "icu_invalid",
        Severity.FAIL,
        "The translation of an ICU message is valid and has the plural forms of its language (CLDR).",
        _find,
    ),
)

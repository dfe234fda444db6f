"""Plural forms of gettext: how many forms a language has, and which numbers each of them is for.

A catalogue numbers its forms by an expression in its header. Where the header has none, that of Babel's table for the language is
taken. The name of a form is the category of CLDR that its numbers have.
"""

import gettext
from collections import Counter
from dataclasses import dataclass
from typing import Final

import regex
from babel.messages.plurals import get_plural

from jobs.languages.plurals import plural_rule

_HEADER: Final = regex.compile(r"nplurals\s*=\s*(\d{1,2})\s*;\s*plural\s*=\s*([^;]{1,1000})")
_NUMBERS: Final = range(201)
"""The numbers over which an expression is compared with the categories of CLDR."""


@dataclass(frozen=True, slots=True)
class Form:
    """A plural form: the category of CLDR of most of its numbers, and some of these numbers."""

    category: str
    examples: tuple[int, ...]

    @property
    def is_one(self) -> bool:
        """Whether the form is for the number 1 alone."""
        return self.examples == (1,)


@dataclass(frozen=True, slots=True)
class Plurals:
    """The plural forms of a catalogue, and the text of its header that declares them."""

    forms: tuple[Form, ...]
    header: str


def plurals_of_header(header: str, language: str | None) -> Plurals | None:
    """Return the forms that a header declares; None if it declares none, or in a way that cannot be read."""
    match = _HEADER.search(header)
    if match is None or not 0 < int(match[1]) < 11:
        return None
    return _plurals(int(match[1]), match[2].strip(), language)


def plurals_of_language(language: str | None) -> Plurals:
    """Return the usual forms of a language; two, as English has, if it is not known."""
    found = get_plural((language or "en").replace("-", "_"))
    made = _plurals(int(found.num_plurals), str(found.plural_expr), language)
    return made or Plurals((Form("one", (1,)), Form("other", (0, 2, 3))), "nplurals=2; plural=(n != 1);")


def _plurals(count: int, expression: str, language: str | None) -> Plurals | None:
    try:
        index = gettext.c2py(expression)
        numbers = [(index(number), number) for number in _NUMBERS]
    except (ValueError, ZeroDivisionError, OverflowError, RecursionError):
        return None
    rule = plural_rule(language or "en")
    forms = []
    for form in range(count):
        mine = [number for found, number in numbers if found == form]
        categories = Counter(rule(number) if rule else "one" if number == 1 else "other" for number in mine)
        category = categories.most_common(1)[0][0] if categories else "other"
        forms.append(Form(category, tuple(mine[:4])))
    return Plurals(tuple(forms), f"nplurals={count}; plural={expression};")

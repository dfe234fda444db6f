"""Cleaning: makes a term of what stands in a file, or refuses it with its line, its column and a remedy."""

from typing import Final

import regex

from jobs.errors import DocumentError
from jobs.writing.terms.row_terms import MOST_TERM
from jobs.writing.terms.tokens import pattern_of

_DIRECTION_MARKS: Final = regex.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\u061c]")
"""Matches the signs that only say in which direction a text is shown. They are taken off."""

_CONTROL: Final = regex.compile(r"[\p{Cc}\p{Cs}\p{Co}\u2028\u2029]")
_SHOWN: Final = 40


def shown(text: str) -> str:
    """Return a text as a message quotes it."""
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "\N{HORIZONTAL ELLIPSIS}")


def cleaned(text: str, name: str, line: int, column: str = "") -> str:
    """Return a term without the spaces around it and without marks of direction; an empty text if nothing is left.

    Args:
        text: What stands in the file.
        name: The name of the file, for the message.
        line: The line where it stands.
        column: The column where it stands; empty if the file has none.

    Raises:
        DocumentError: The term is too long, has a line break or another control character, or has no letter or digit.
    """
    term = " ".join(one for one in _DIRECTION_MARKS.sub("", text).strip(" \t\r\n\u00a0").split(" ") if one)
    if not term:
        return ""
    where = f"the column {column!r}: " if column else ""
    if _CONTROL.search(term):
        what = "a line break" if set("\n\r\u2028\u2029").intersection(term) else "a control character"
        raise DocumentError(
            name, f"{where}{shown(term)} has {what}", "remove it, since a term stands on one line", line
        )
    if len(term) > MOST_TERM:
        remedy = f"shorten it to {MOST_TERM}, since longer texts belong into a translation memory"
        raise DocumentError(name, f"{where}{shown(term)} has {len(term)} characters", remedy, line)
    if pattern_of(term).search(term) is None:
        raise DocumentError(
            name, f"{where}{shown(term)} has no letter or digit, so it cannot be found", "remove it", line
        )
    return term

"""Characters: the units in which platforms count the length of a text."""

from typing import Final

import regex

_FLAG: Final = r"\p{Regional_Indicator}"
_CLUSTER: Final = regex.compile(rf"{_FLAG}{{2}}(?={_FLAG})|\X")
"""Matches a character. A flag that another flag follows is matched apart, for speed: at each flag, `\\X` would go back to the
first flag of the row.
"""


def clusters(text: str) -> list[str]:
    """Return the characters as a reader sees them: extended grapheme clusters (Unicode Annex 29)."""
    return _CLUSTER.findall(text)


def graphemes(text: str) -> int:
    """Count the characters as a reader sees them."""
    return len(clusters(text))


def utf16_units(text: str) -> int:
    """Return the length in UTF-16 code units, as a browser counts."""
    return len(text) + sum(character > "\uffff" for character in text)

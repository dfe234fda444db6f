"""Did you mean: finds the known name that a person meant by a name that is misspelt or written in another way."""

import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

LONGEST_NAME: Final = 200
"""A name with more characters than this is not compared: for a million characters, a comparison would take seconds."""


def folded(name: str) -> str:
    """Return the letters and digits of a name, in lower case."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name).casefold()))


def same_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that equals `name` except for case, spaces and signs; None if no known name does, or if
    several do.
    """
    names = list(known)
    if name in names:
        return name
    if len(name) > LONGEST_NAME:
        return None
    same = [one for one in names if folded(one) == folded(name)] if folded(name) else []
    return same[0] if len(same) == 1 else None


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that is most like `name`; None if every likeness is below `cutoff` (1 means the same name)."""
    if len(name) > LONGEST_NAME:
        return None
    alike = get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return alike[0] if alike else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `: did you mean X?`, to end an error message about an unknown name; an empty text if no known name is close."""
    found = nearest(name, known)
    return f": did you mean {found}?" if found else ""

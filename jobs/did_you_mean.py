"""Spelling: what a person most likely meant by a name that there is not."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`; None where none is like it."""
    alike = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return alike[0] if alike else None


def meant(name: str, known: Iterable[str]) -> str:
    """`: did you mean X?`, or nothing, to follow what is said of a name that there is not."""
    found = nearest(name, known)
    return f": did you mean {found}?" if found else ""

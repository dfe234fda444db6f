"""Did you mean: guesses which known name a person meant by a misspelt one."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`; None when none is close to it."""
    alike = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return alike[0] if alike else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`: did you mean X?`, to end an error message about an unknown name; empty when no known name is close to it."""
    found = nearest(name, known)
    return f": did you mean {found}?" if found else ""

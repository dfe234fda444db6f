"""Did you mean: finds which known name a person meant by a name that is written in another way, or misspelt."""

import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches


def folded(name: str) -> str:
    """The letters and digits of a name, without case."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name).casefold()))


def same_name(name: str, known: Iterable[str]) -> str | None:
    """The one known name that differs from `name` at most in case, spaces, hyphens and other signs; None without one."""
    names = list(known)
    if name in names:
        return name
    same = [one for one in names if folded(one) == folded(name)] if folded(name) else []
    return same[0] if len(same) == 1 else None


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`; None when none is close to it."""
    alike = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return alike[0] if alike else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`: did you mean X?`, to end an error message about an unknown name; empty when no known name is close to it."""
    found = nearest(name, known)
    return f": did you mean {found}?" if found else ""

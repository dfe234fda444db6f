"""Finds the field or column that a name means, and lists names in messages.

Case, spaces and signs do not count in the headers of tables, since people write them by hand.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from jobs.did_you_mean import did_you_mean, folded
from jobs.errors import RequestError
from jobs.formats.columns.choice import ALL, NONE, Columns

_SHOWN_NAMES: Final = 20
"""A message lists at most this many columns."""


def field_of_header(name: str, known: Collection[str]) -> str | None:
    """Return the field that a column of a table stands for by its name; None if there is none. A name in quotes is never a
    field.
    """
    if name[:1] in ("'", '"', "`"):
        return None
    return name if name in known else _folds(frozenset(known)).get(folded(name))


@lru_cache(maxsize=8)
def _folds(known: frozenset[str]) -> Mapping[str, str]:
    """Return folded name -> name. If several names differ only in case, spaces and signs, they are left out."""
    counts = Counter(map(folded, known))
    return {folded(name): name for name in known if folded(name) and counts[folded(name)] == 1}


def check_columns(names: Sequence[str], columns: Columns) -> None:
    """Raise RequestError if the options name a column that a table does not have."""
    for option, wanted in (
        *((f"--map {field}={column}", column) for field, column in columns.fields),
        *((f"--extra {name}", name) for name in columns.extra if name not in (*ALL, NONE)),
    ):
        if find_column(wanted, names) is None and find_column(wanted.partition(".")[0], names) is None:
            like = did_you_mean(wanted, names) or "."
            raise RequestError(
                f"{option}: the file has no column {wanted!r}{like} Its columns are {listed(names)}; nothing was accepted"
            )


def find_column(wanted: str, names: Iterable[str]) -> str | None:
    """Return the name that equals `wanted`, else the only name that differs in nothing but case, spaces and signs; else None."""
    names = list(names)
    if wanted in names:
        return wanted
    if not folded(wanted):
        return None
    same = [name for name in names if folded(name) == folded(wanted)]
    return same[0] if len(same) == 1 else None


def rows_within(name: str) -> str:
    """Return the message about an object that holds the rows in a list of this name."""
    path = f".{name}" if name.isidentifier() and name.isascii() else f'."{name}"'
    return f"it is a list of objects, which may be the rows: jq -c '{path}[]' FILE writes each on a line of its own"


def listed(names: Iterable[str]) -> str:
    """Return names as a list for a message: at most `_SHOWN_NAMES` names, long ones cut."""
    names = [name if len(name) <= 40 else name[:39] + "\N{HORIZONTAL ELLIPSIS}" for name in names]
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    shown = (" ".join(name.split()) for name in names[:_SHOWN_NAMES])
    return ", ".join(f'"{name}"' if "," in name else name for name in shown) + more

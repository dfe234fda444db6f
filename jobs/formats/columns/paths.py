"""Finds values by paths: `product.title` is a key inside another object, and `variants.0.price` one inside an item of a list."""

from collections.abc import Mapping
from typing import Any, Final

from jobs.formats.columns.names import find_column

ABSENT: Final = object()
"""Stands for the value at a path that leads to nothing, or to null."""


def key_of(holder: Mapping[str, Any], name: str, *, is_table: bool) -> str | None:
    """Return the key of this name. In a table, case, spaces and signs do not count."""
    return name if name in holder else find_column(name, holder) if is_table else None


def value_at(row: Any, path: str, *, is_table: bool) -> Any:
    """Return the value at a path such as `product.title` or `variants.0.price`; `ABSENT` if there is none or it is null."""
    if isinstance(row, Mapping) and (key := key_of(row, path, is_table=is_table)) is not None:
        return ABSENT if row[key] is None else row[key]
    head, dot, rest = path.partition(".")
    while dot:
        inner = _step(row, head, is_table=is_table)
        if inner is not ABSENT and (found := value_at(inner, rest, is_table=False)) is not ABSENT:
            return found
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    if isinstance(row, list) and path.isdecimal() and path.isascii() and int(path) < len(row):
        return ABSENT if row[int(path)] is None else row[int(path)]
    return ABSENT


def _step(row: Any, head: str, *, is_table: bool) -> Any:
    if isinstance(row, list):
        return row[int(head)] if head.isdecimal() and head.isascii() and int(head) < len(row) else ABSENT
    if not isinstance(row, Mapping) or (key := key_of(row, head, is_table=is_table)) is None:
        return ABSENT
    return row[key]


def without_path(row: Mapping[str, Any], path: str, *, is_table: bool) -> Mapping[str, Any]:
    """Return the row without the value at a path, and without objects that are empty then. A list stays as it is."""
    if (key := key_of(row, path, is_table=is_table)) is not None:
        return {name: value for name, value in row.items() if name != key}
    head, dot, rest = path.partition(".")
    while dot:
        key = key_of(row, head, is_table=is_table)
        if key is not None and isinstance(row[key], dict):
            left = without_path(row[key], rest, is_table=False)
            if left is not row[key]:
                return {name: left if name == key else value for name, value in row.items() if name != key or left}
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return row

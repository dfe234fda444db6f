"""Branches: counts the schemas that one value may be held to, so that a small schema cannot keep a worker busy for hours.

`{"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}` holds a value to `a` twice. Forty such schemas, each of the one
before, hold it to the first 2**40 times.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

MOST: Final = 10_000
"""A value may be held to at most this many schemas at once."""

_LISTS: Final = ("allOf", "anyOf", "oneOf")
_SINGLE: Final = ("not", "if", "then", "else")


def evaluations(schema: Any) -> int:
    """Return how many schemas a value may be held to, not counting those of its items and properties; `MOST` + 1 for more."""
    known: dict[int, int] = {}

    def count(one: Any) -> int:
        if not isinstance(one, Mapping):
            return 1
        if (found := known.get(id(one))) is None:
            known[id(one)] = 1  # a schema that comes back to itself adds nothing
            found = known[id(one)] = min(MOST + 1, 1 + sum(map(count, _branches(one, schema))))
        return found

    try:
        return count(schema)
    except RecursionError:
        return MOST + 1


def _branches(schema: Mapping[str, Any], root: Any) -> Iterator[Any]:
    """Yield the schemas to which a schema holds the same value. A `$ref` counts if it is a JSON pointer into the whole."""
    for name in _LISTS:
        if isinstance(several := schema.get(name), list):
            yield from several
    yield from (schema[name] for name in _SINGLE if name in schema)
    if isinstance(named := schema.get("dependentSchemas"), Mapping):
        yield from named.values()
    if isinstance(target := schema.get("$ref"), str) and target.startswith("#"):
        yield _at(root, target)


def _at(root: Any, target: str) -> Any:
    found = root
    for part in target.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping):
            found = found.get(key)
        elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    return found if "/" in target or target == "#" else None

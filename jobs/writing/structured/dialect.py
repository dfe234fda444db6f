"""The dialect: the keywords of JSON Schema that answers are held to, by draft, and those that are refused by name.

JSON Schema tells validators to pass over keywords that they do not know, so a mistyped `maxLenght` holds nothing. A row whose
schema has such a keyword is refused instead. Annotations, such as `title`, limit no value and may stand anywhere; so may keywords
that begin with `x-`. A schema without `$schema` is one of draft 2020-12 (https://json-schema.org/draft/2020-12/schema).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from jobs.did_you_mean import did_you_mean

LATEST: Final = "2020-12"
"""The draft of a schema that names none."""

DRAFTS: Final[Mapping[str, str]] = {
    "http://json-schema.org/draft-04/schema": "4",
    "http://json-schema.org/draft-06/schema": "6",
    "http://json-schema.org/draft-07/schema": "7",
    "https://json-schema.org/draft/2019-09/schema": "2019-09",
    "https://json-schema.org/draft/2020-12/schema": LATEST,
}
"""`$schema`, without a `#` at its end -> draft."""

_IN_ALL: Final = frozenset(
    [
        "type",
        "enum",
        "multipleOf",
        "maximum",
        "exclusiveMaximum",
        "minimum",
        "exclusiveMinimum",
        "maxLength",
        "minLength",
        "pattern",
        "format",
        "items",
        "maxItems",
        "minItems",
        "uniqueItems",
        "maxProperties",
        "minProperties",
        "required",
        "properties",
        "patternProperties",
        "additionalProperties",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "$ref",
        "$schema",
        "definitions",
    ]
)
_IN_6: Final = _IN_ALL | {"$id", "const", "contains", "propertyNames", "dependencies", "additionalItems"}
_IN_7: Final = _IN_6 | {"if", "then", "else"}
_SINCE_2019: Final = (_IN_7 - {"dependencies", "additionalItems"}) | frozenset(
    [
        "$defs",
        "$anchor",
        "dependentRequired",
        "dependentSchemas",
        "minContains",
        "maxContains",
        "unevaluatedItems",
        "unevaluatedProperties",
    ]
)
KEYWORDS: Final[Mapping[str, frozenset[str]]] = {
    "4": _IN_ALL | {"id", "dependencies", "additionalItems"},
    "6": _IN_6,
    "7": _IN_7,
    "2019-09": _SINCE_2019 | {"additionalItems", "$recursiveRef", "$recursiveAnchor"},
    LATEST: _SINCE_2019 | {"prefixItems", "$dynamicRef", "$dynamicAnchor"},
}
"""Draft -> the keywords that an answer is held to, and those that name or refer to schemas."""

ANNOTATIONS: Final = frozenset(
    [
        "title",
        "description",
        "default",
        "examples",
        "example",
        "deprecated",
        "readOnly",
        "writeOnly",
        "$comment",
        "markdownDescription",
        "discriminator",
        "externalDocs",
        "propertyOrdering",
    ]
)
"""Keywords that say something about a value and limit none. Those of OpenAPI and of other services are among them."""

_NEEDS: Final[Mapping[str, str]] = {"then": "if", "else": "if", "minContains": "contains", "maxContains": "contains"}
"""Keyword -> the keyword without which it has no effect."""

_REMEDIES: Final[Mapping[str, str]] = {
    "nullable": 'add "null" to type',
    "dependencies": "write dependentRequired or dependentSchemas",
    "additionalItems": "write prefixItems and items",
    "contentEncoding": "write a pattern",
    "contentMediaType": "write the content as an object of the schema",
    "contentSchema": "write the content as an object of the schema",
    "optional": "leave the name out of required",
    "id": "write $id",
    "$recursiveRef": "write $dynamicRef",
    "$recursiveAnchor": "write $dynamicAnchor",
}
"""Keyword that people use, and that the draft does not have or does not hold -> what to do instead."""

_SCHEMA: Final = frozenset(
    [
        "additionalItems",
        "additionalProperties",
        "contains",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    ]
)
_SCHEMAS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems", "items"})
_NAMED_SCHEMAS: Final = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)

Path = tuple[str | int, ...]


class Unheld(NamedTuple):
    """A keyword that no answer can be held to, its place in the schema, and the remedy as a part of a sentence."""

    path: Path
    reason: str


def pointer(path: Sequence[str | int]) -> str:
    """Return a path as a JSON pointer (RFC 6901). The pointer of the whole is an empty text."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def draft_of(schema: Any) -> str | None:
    """Return the draft of a schema; None if its `$schema` names one that is not known."""
    given = schema.get("$schema") if isinstance(schema, Mapping) else None
    return LATEST if given is None else DRAFTS.get(str(given).rstrip("#"))


def unheld(schema: Any, draft: str) -> Iterator[Unheld]:
    """Yield the keywords of a valid schema that no answer can be held to, also those within it."""
    for path, one in subschemas(schema):
        yield from _unheld_here(path, one, KEYWORDS[draft], draft)


def subschemas(schema: Any) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield a schema and all schemas within it, each with its path. The schemas true and false are left out."""
    waiting: list[tuple[Path, Any]] = [((), schema)]
    while waiting:
        path, one = waiting.pop()
        if not isinstance(one, Mapping):
            continue
        yield path, one
        waiting += reversed(list(_within(path, one)))


def _within(path: Path, schema: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    for name, value in schema.items():
        if name in _NAMED_SCHEMAS and isinstance(value, Mapping):
            yield from (((*path, name, key), one) for key, one in value.items())
        elif name in _SCHEMAS and isinstance(value, list):
            yield from (((*path, name, place), one) for place, one in enumerate(value))
        elif name in _SCHEMA:
            yield (*path, name), value


def _unheld_here(path: Path, schema: Mapping[str, Any], known: frozenset[str], draft: str) -> Iterator[Unheld]:
    for name in schema:
        if (needed := _NEEDS.get(name)) is not None and name in known and needed not in schema:
            yield Unheld((*path, name), f"{name} has no effect without {needed}: add {needed}, or remove {name}")
        elif name in known or name in ANNOTATIONS or name.startswith("x-"):
            continue
        elif remedy := _REMEDIES.get(name):
            yield Unheld((*path, name), f"{name} limits no value in draft {draft}: {remedy}, or remove it")
        else:
            like = did_you_mean(name, known) or ": remove it, or correct its name"
            yield Unheld((*path, name), f"draft {draft} has no keyword {name!r}{like}")
    if "$ref" in schema and draft in ("4", "6", "7"):
        beside = sorted((schema.keys() & known) - {"$ref", "$schema", "$id", "id", "definitions"})
        if beside:
            reason = f"draft {draft} passes over {beside[0]} beside $ref: put both into allOf"
            yield Unheld((*path, beside[0]), reason)

"""Features of JSON Schema: each with a text that keeps it and one that does not, or the place at which the schema is refused."""

from typing import Any, Final, NamedTuple


class Kept(NamedTuple):
    """A schema that is kept. `forced` is whether the grammar of the causal engine alone can force it."""

    schema: Any
    good: str
    bad: str
    forced: bool = True


class Refused(NamedTuple):
    """A schema that is refused by name: the code, and the keyword with its JSON pointer, which the message has."""

    schema: Any
    code: str
    keyword: str
    at: str


def _text(**keywords: Any) -> dict[str, Any]:
    return {"type": "string", **keywords}


def _list(**keywords: Any) -> dict[str, Any]:
    return {"type": "array", **keywords}


def _object(**keywords: Any) -> dict[str, Any]:
    return {"type": "object", **keywords}


_AB: Final = {"a": {"type": "integer"}, "b": {"type": "integer"}}

KEPT: Final[dict[str, Kept]] = {
    "type": Kept({"type": "integer"}, "7", '"7"'),
    "type list": Kept({"type": ["string", "null"]}, "null", "7"),
    "boolean": Kept({"type": "boolean"}, "true", '"true"'),
    "enum": Kept({"enum": ["happy", "sad", 3]}, '"sad"', '"glad"'),
    "const": Kept({"const": {"k": 1}}, '{"k":1}', '{"k":2}'),
    "minimum and maximum": Kept({"type": "integer", "minimum": 0, "maximum": 130}, "130", "131"),
    "exclusiveMinimum": Kept({"type": "integer", "exclusiveMinimum": 5}, "6", "5"),
    "multipleOf": Kept({"type": "integer", "multipleOf": 5}, "10", "7"),
    "minLength": Kept(_text(minLength=2), '"ab"', '"a"'),
    "maxLength": Kept(_text(maxLength=2), '"ab"', '"abc"'),
    "pattern": Kept(_text(pattern="^[A-Z]{2}-[0-9]+$"), '"DE-1"', '"de-1"'),
    "pattern that looks ahead": Kept(_text(pattern="^(?!a)[a-z]+$"), '"ba"', '"ab"', forced=False),
    "format date": Kept(_text(format="date"), '"2024-02-28"', '"2024-13-01"'),
    "format date, by the calendar": Kept(_text(format="date"), '"2024-02-29"', '"2023-02-29"', forced=False),
    "format date-time": Kept(_text(format="date-time"), '"2024-02-28T10:00:00Z"', '"yesterday"'),
    "format email": Kept(_text(format="email"), '"a@example.com"', '"a"'),
    "format uuid": Kept(_text(format="uuid"), '"123e4567-e89b-12d3-a456-426614174000"', '"123"'),
    "format iri": Kept(_text(format="iri"), '"https://example.com/\u00e4"', '"a b"', forced=False),
    "properties": Kept(_object(properties=_AB), '{"a": 1}', '{"a": "1"}'),
    "required": Kept(_object(properties=_AB, required=["b"]), '{"a": 1, "b": 2}', '{"a": 1}'),
    "additionalProperties false": Kept(_object(properties=_AB, additionalProperties=False), '{"a": 1}', '{"c": 1}'),
    "additionalProperties": Kept(_object(additionalProperties={"type": "integer"}), '{"c": 1}', '{"c": "1"}'),
    "patternProperties": Kept(
        _object(patternProperties={"^x-": {"type": "integer"}}, additionalProperties=False),
        '{"x-a": 1}',
        '{"x-a": "1"}',
    ),
    "propertyNames": Kept(_object(propertyNames={"pattern": "^[a-z]+$"}), '{"ab": 1}', '{"AB": 1}', forced=False),
    "minProperties": Kept(_object(minProperties=1), '{"a": 1}', "{}"),
    "maxProperties": Kept(_object(maxProperties=1), '{"a": 1}', '{"a": 1, "b": 2}'),
    "dependentRequired": Kept(
        _object(properties=_AB, dependentRequired={"a": ["b"]}), '{"a": 1, "b": 2}', '{"a": 1}', forced=False
    ),
    "dependentSchemas": Kept(
        _object(properties=_AB, dependentSchemas={"a": {"required": ["b"]}}), '{"b": 2}', '{"a": 1}', forced=False
    ),
    "items": Kept(_list(items={"type": "integer"}), "[1, 2]", '[1, "2"]'),
    "prefixItems": Kept(_list(prefixItems=[{"const": 1}, {"type": "string"}], items=False), '[1, "a"]', '["a", 1]'),
    "minItems": Kept(_list(items={"type": "integer"}, minItems=2), "[1, 2]", "[1]"),
    "maxItems": Kept(_list(items={"type": "integer"}, maxItems=2), "[1, 2]", "[1, 2, 3]"),
    "uniqueItems": Kept(_list(items={"type": "integer"}, uniqueItems=True), "[1, 2]", "[1, 1]", forced=False),
    "contains": Kept(_list(items={"type": "integer"}, contains={"const": 3}), "[1, 3]", "[1]", forced=False),
    "minContains": Kept(
        _list(items={"type": "integer"}, contains={"const": 3}, minContains=2), "[3, 3]", "[3]", forced=False
    ),
    "anyOf": Kept({"anyOf": [{"type": "integer"}, {"enum": ["none"]}]}, '"none"', '"some"'),
    "oneOf that overlaps": Kept(
        {"oneOf": [{"type": "integer", "minimum": 0}, {"type": "integer", "maximum": 10}]}, "20", "5", forced=False
    ),
    "allOf over several branches": Kept(
        {
            "allOf": [
                _object(properties={"a": {"type": "integer"}}, required=["a"]),
                _object(properties={"b": {"type": "string"}}, required=["b"]),
            ]
        },
        '{"a": 1, "b": "x"}',
        '{"a": 1}',
    ),
    "not": Kept(_text(**{"not": {"const": "a"}}), '"b"', '"a"', forced=False),
    "if, then and else": Kept(
        _object(
            properties=_AB, **{"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"required": ["b"]}}
        ),
        '{"a": 1, "b": 2}',
        '{"a": 1}',
        forced=False,
    ),
    "$ref": Kept({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer"}}}, "1", '"1"'),
    "$ref to the whole": Kept(
        _object(properties={"child": {"$ref": "#"}}, additionalProperties=False), '{"child": {"child": {}}}', '{"a": 1}'
    ),
    "$anchor": Kept({"$ref": "#n", "$defs": {"n": {"$anchor": "n", "type": "integer"}}}, "1", '"1"'),
    "$dynamicRef": Kept(
        {"$dynamicRef": "#n", "$defs": {"n": {"$dynamicAnchor": "n", "type": "integer"}}}, "1", '"1"', forced=False
    ),
    "unevaluatedProperties": Kept(
        _object(properties=_AB, unevaluatedProperties=False), '{"a": 1}', '{"a": 1, "c": 1}', forced=False
    ),
    "items as a list, draft 7": Kept(
        {"$schema": "http://json-schema.org/draft-07/schema#", **_list(items=[{"const": 1}], additionalItems=False)},
        "[1]",
        "[2]",
    ),
}
"""Feature -> a schema that answers are held to."""

REFUSED: Final[dict[str, Refused]] = {
    "a keyword that is misspelt": Refused(
        _object(properties={"a/b": _text(maxLenght=3)}), "schema_unsupported", "maxLength", "/properties/a~1b/maxLenght"
    ),
    "nullable": Refused(
        _object(properties={"a": _text(nullable=True)}), "schema_unsupported", "nullable", "/properties/a/nullable"
    ),
    "contentEncoding": Refused(
        _text(contentEncoding="base64"), "schema_unsupported", "contentEncoding", "/contentEncoding"
    ),
    "an unknown format": Refused(
        _list(items=_text(format="iban")), "schema_unsupported", "format 'iban'", "/items/format"
    ),
    "a keyword of an older draft": Refused(
        _object(dependencies={"a": ["b"]}), "schema_unsupported", "dependencies", "/dependencies"
    ),
    "a keyword of a newer draft": Refused(
        {"$schema": "http://json-schema.org/draft-07/schema#", **_list(prefixItems=[{}])},
        "schema_unsupported",
        "prefixItems",
        "/prefixItems",
    ),
    "a keyword beside $ref in draft 7": Refused(
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "definitions": {"n": {"type": "integer"}},
            "properties": {"a": {"$ref": "#/definitions/n", "minimum": 3}},
        },
        "schema_unsupported",
        "minimum",
        "/properties/a/minimum",
    ),
    "then without if": Refused({"anyOf": [{"then": {}}]}, "schema_unsupported", "then", "/anyOf/0/then"),
    "a schema of another place": Refused(
        {"items": {"$ref": "https://example.com/a.json"}}, "schema_unsupported", "$ref", "/items/$ref"
    ),
    "a schema of this machine": Refused({"$ref": "file:///etc/passwd"}, "schema_unsupported", "$ref", "/$ref"),
    "another draft": Refused({"$schema": "https://example.com/mine"}, "schema_unsupported", "$schema", "/$schema"),
    "an unknown type": Refused({"properties": {"a": {"type": "text"}}}, "not_a_schema", "type", "/properties/a/type"),
    "a pattern that is none": Refused(_text(pattern="("), "not_a_schema", "pattern", "/pattern"),
    "a negative length": Refused({"not": _text(minLength=-1)}, "not_a_schema", "minLength", "/not/minLength"),
    "a list of items": Refused(_list(items=[{}]), "not_a_schema", "items", "/items"),
    "a reference to nothing": Refused({"items": {"$ref": "#/$defs/n"}}, "not_a_schema", "$ref", "/items/$ref"),
}
"""Feature -> a schema that intake refuses."""

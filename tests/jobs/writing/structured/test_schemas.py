"""Shows jobs/writing/structured/schemas.py and dialect.py: every feature of JSON Schema is kept or refused by name."""

import json

import pytest

from jobs.writing.structured.dialect import DRAFTS, KEYWORDS
from jobs.writing.structured.schemas import faults, refusal
from tests.jobs.writing.structured.features import KEPT, REFUSED, Kept, Refused


@pytest.mark.parametrize("feature", KEPT.values(), ids=KEPT)
def test_a_feature_is_kept(feature: Kept) -> None:
    assert refusal(feature.schema) is None
    assert faults(feature.schema, json.loads(feature.good)) == []
    found = faults(feature.schema, json.loads(feature.bad))
    assert found
    assert all(fault.startswith("at ") for fault in found)


@pytest.mark.parametrize("feature", REFUSED.values(), ids=REFUSED)
def test_a_feature_is_refused_by_name(feature: Refused) -> None:
    found = refusal(feature.schema)
    assert found is not None
    assert found.code == feature.code
    assert found.message.startswith(f"at {feature.at}: ")
    assert feature.keyword in found.message
    with pytest.raises(ValueError, match="at "):
        faults(feature.schema, 1)


def test_a_fault_names_its_place_and_what_it_is() -> None:
    schema = {"properties": {"people": {"items": {"properties": {"age": {"type": "integer", "maximum": 130}}}}}}
    assert faults(schema, {"people": [{"age": 12}, {"age": 200}]}) == [
        "at /people/1/age: it is greater than the maximum of 130 (it is 200)"
    ]
    (long,) = faults({"maxLength": 3}, "a" * 5_000)
    assert len(long) < 100
    assert len(faults({"items": {"type": "string"}}, [1] * 100)) == 3


@pytest.mark.parametrize("draft", DRAFTS.values())
def test_annotations_and_extensions_stand_anywhere(draft: str) -> None:
    uri = next(uri for uri, one in DRAFTS.items() if one == draft)
    own = {"title": "A", "description": "b", "default": 1, "x-order": 2, "propertyOrdering": ["a"]}
    schema = {"$schema": f"{uri}#" if "draft-0" in uri else uri, **own, "properties": {"title": own, "nullable": own}}
    assert refusal(schema) is None
    assert {"type", "properties", "$ref"} <= KEYWORDS[draft]


def test_values_of_a_schema_are_no_keywords() -> None:
    assert refusal({"enum": [{"maxLenght": 1}], "const": {"nullable": True}, "default": {"then": 1}}) is None


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"$ref": "#"}, id="to itself"),
        pytest.param(
            {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, id="in turns"
        ),
        pytest.param({"allOf": [{"$ref": "#"}]}, id="in a branch"),
    ],
)
def test_a_schema_that_refers_to_itself_ends(schema: object) -> None:
    assert refusal(schema) is None
    assert faults(schema, {"a": 1}) == []


def _nested(depth: int) -> dict[str, object]:
    schema: dict[str, object] = {"type": "integer"}
    for _ in range(depth):
        schema = {"not": schema}
    return schema


def test_a_schema_that_is_nested_too_deeply_is_refused() -> None:
    assert refusal(_nested(100)) is None
    for depth in (300, 900):
        found = refusal(_nested(depth))
        assert found is not None
        assert (found.code, "nested too deeply" in found.message) == ("schema_unsupported", True)


def _doubling(count: int, keyword: str) -> dict[str, object]:
    """A schema that holds a value to its first definition 2 to the power of `count` times."""
    defs: dict[str, object] = {"l0": {"type": "string"}}
    for n in range(1, count + 1):
        defs[f"l{n}"] = {keyword: [{"$ref": f"#/$defs/l{n - 1}"}, {"$ref": f"#/$defs/l{n - 1}"}]}
    return {"$defs": defs, "$ref": f"#/$defs/l{count}"}


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf", "allOf"])
def test_a_schema_of_too_many_branches_is_refused(keyword: str) -> None:
    """Validating a value against the largest of these would take years."""
    assert refusal(_doubling(10, keyword)) is None
    for count in (14, 60, 800):
        found = refusal(_doubling(count, keyword))
        assert found is not None
        assert (found.code, "branches" in found.message) == ("schema_unsupported", True)
    wide = {keyword: [{"type": "integer"}] * 5_000}
    assert refusal(wide) is None

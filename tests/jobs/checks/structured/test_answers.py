"""Shows jobs/checks/structured/answers.py: outputs from anywhere are held to the schema of their row."""

from typing import Any

import pytest

from jobs.checks.check import Broken
from jobs.checks.registry import load_checks
from jobs.kinds.chat import ChatKind
from tests.jobs.writing.structured.features import KEPT, Kept

AGE = {"type": "object", "properties": {"age": {"type": "integer", "maximum": 130}}, "required": ["age"]}
FORM = {"type": "json_schema", "json_schema": {"schema": AGE}}


def found(request: dict[str, Any], output: Any) -> dict[str, list[Broken]]:
    """What the two checks find."""
    subject = ChatKind.contract.subject("chat", request, output)
    checks = load_checks()
    return {code: list(checks[code].find(subject, {})) for code in ("output_not_json", "schema_invalid")}


def codes(request: dict[str, Any], output: Any) -> list[str]:
    return [code for code, broken in found(request, output).items() if broken]


@pytest.mark.parametrize("asked", [{"output_schema": AGE}, {"response_format": FORM}], ids=["own", "OpenAI"])
@pytest.mark.parametrize(
    ("output", "expected"),
    [
        pytest.param({"text": '{"age": 130}'}, [], id="at the limit"),
        pytest.param({"text": '{"age": 131}'}, ["schema_invalid"], id="one beyond"),
        pytest.param('{"age": 131}', ["schema_invalid"], id="a bare text"),
        pytest.param({"text": "130"}, ["schema_invalid"], id="another type"),
        pytest.param({"text": '```json\n{"age": 1}\n```'}, [], id="in a fence"),
        pytest.param({"text": "The age is 130."}, ["output_not_json"], id="prose"),
        pytest.param({"text": '{"age": 1}', "choices": ['{"age": 1}', "{}"]}, ["schema_invalid"], id="second choice"),
        pytest.param({}, [], id="no text"),
    ],
)
def test_answers_are_held_to_the_schema(asked: dict[str, Any], output: Any, expected: list[str]) -> None:
    assert codes(asked, output) == expected


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param({}, id="none"),
        pytest.param({"response_format": {"type": "text"}}, id="text"),
        pytest.param({"response_format": {"type": "nonsense"}}, id="an unknown form"),
        pytest.param({"output_schema": {"type": "nonsense"}}, id="no schema"),
        pytest.param({"output_schema": "a"}, id="another type"),
    ],
)
def test_a_row_that_asks_for_no_json_may_have_any_text(request_: dict[str, Any]) -> None:
    assert codes(request_, {"text": "Hello."}) == []


def test_any_object() -> None:
    asked = {"response_format": {"type": "json_object"}}
    assert [codes(asked, {"text": text}) for text in ("{}", "[]", "a")] == [[], ["schema_invalid"], ["output_not_json"]]


@pytest.mark.parametrize("feature", KEPT.values(), ids=KEPT)
def test_every_feature_is_seen_to_pass_and_to_fail(feature: Kept) -> None:
    asked = {"output_schema": feature.schema}
    assert codes(asked, {"text": feature.good}) == []
    assert codes(asked, {"text": feature.bad}) == ["schema_invalid"]

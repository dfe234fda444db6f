"""Shows jobs/writing/structured/answers.py, and how kinds use it: an answer is read, validated, and asked for again."""

from collections.abc import Callable
from typing import Any

import pytest

from jobs.errors import CheckFailed
from jobs.findings import CheckSetting, Severity
from jobs.generation import Prompt
from jobs.writing.structured.answers import read_answer
from tests.support.conversations import checker_of, converse, failed

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "maximum": 130},
        "mood": {"enum": ["happy", "sad"]},
        "born": {"type": "string", "format": "date"},
    },
    "required": ["name", "age", "mood", "born"],
    "additionalProperties": False,
}
ADA = '{"name": "Ada", "age": 36, "mood": "happy", "born": "1815-12-10"}'


def test_a_number_an_enum_and_a_date_come_out_as_such() -> None:
    text, value = read_answer(f"```json\n{ADA}\n```", PERSON)
    assert (text, value) == (ADA, {"name": "Ada", "age": 36, "mood": "happy", "born": "1815-12-10"})
    assert type(value["age"]) is int


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        pytest.param("Sure! {", "output_not_json", "not JSON", id="no JSON"),
        pytest.param(ADA[:-9], "output_not_json", "not JSON", id="cut off"),
        pytest.param(ADA + ADA, "output_not_json", "not JSON", id="two answers"),
        pytest.param('{"a": NaN}', "output_not_json", "not JSON", id="NaN"),
        pytest.param('{"a": 1e999}', "output_not_json", "not JSON", id="too large a number"),
        pytest.param('{"a": 123456789012345678901}', "output_not_json", "64 bits", id="too long an integer"),
        pytest.param('{"a": ' + "9" * 5_000 + "}", "output_not_json", "not JSON", id="far too long an integer"),
        pytest.param('{"a": 1, "b": {"c": 1, "c": 2}}', "output_not_json", "'c' twice", id="a key twice"),
        pytest.param("[" * 200 + "]" * 200, "schema_invalid", "at the root", id="nested"),
        pytest.param("[" * 500 + "]" * 500, "output_not_json", "not JSON", id="nested deeply"),
        pytest.param("[" * 5_000 + "]" * 5_000, "output_not_json", "not JSON", id="nested too deeply"),
        pytest.param('"\\ud800"', "output_not_json", "not JSON", id="half a character"),
        pytest.param(ADA.replace("36", "200"), "schema_invalid", "at /age: it is greater", id="too high"),
        pytest.param(ADA.replace("36", '"36"'), "schema_invalid", "at /age", id="a number as text"),
        pytest.param(ADA.replace("happy", "glad"), "schema_invalid", "at /mood", id="not of the enum"),
        pytest.param(ADA.replace("12-10", "02-30"), "schema_invalid", "at /born", id="no day of the calendar"),
        pytest.param("{}", "schema_invalid", "required", id="nothing"),
    ],
)
def test_what_does_not_keep_its_schema_is_refused(text: str, code: str, words: str) -> None:
    with pytest.raises(CheckFailed, match="answer") as raised:
        read_answer(text, PERSON)
    assert raised.value.code == code
    assert words in raised.value.message


def answers(*texts: str) -> Callable[[Prompt], str]:
    """Gives these texts, one after the other."""
    left = list(texts)
    return lambda _: left.pop(0)


SHAPES: list[Any] = [
    pytest.param("chat", {"prompt": "Who?", "output_schema": PERSON}, id="output_schema"),
    pytest.param(
        "chat",
        {
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who?"}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "p", "schema": PERSON, "strict": True}},
        },
        id="response_format",
    ),
    pytest.param("completion", {"prompt": "Who?", "output_schema": PERSON}, id="completion"),
]


@pytest.mark.parametrize(("kind", "request_"), SHAPES)
def test_the_output_has_the_value_beside_the_text(kind: str, request_: dict[str, Any]) -> None:
    output, [[prompt]] = converse(kind, request_, lambda _: ADA)
    assert (output.text, output.parsed, output.parsed_choices) == (ADA, read_answer(ADA, PERSON)[1], None)
    assert prompt.schema == PERSON
    assert "parsed_choices" not in output.model_dump()


@pytest.mark.parametrize(("kind", "request_"), SHAPES)
def test_an_answer_that_breaks_the_schema_is_asked_for_again(kind: str, request_: dict[str, Any]) -> None:
    checker = checker_of(kind, request_)
    given = answers("Ada", ADA.replace("36", "200"), ADA)
    output, [[first], [second], [third]] = converse(kind, request_, given, checker)
    assert output.text == ADA
    assert [one.label for one in (first, second, third)] == ["main", "main, try 2", "main, try 3"]
    assert [one.replaces for one in (first, second, third)] == [None, "main", "main, try 2"]
    assert first.schema == second.schema == third.schema == PERSON
    if kind == "chat":
        assert "at /age: it is greater than the maximum of 130 (it is 200)" in third.messages[-1].content
        assert '"maximum":130' in third.messages[-1].content
        assert second.messages[:-2] == first.messages
    else:
        assert third.text == first.text


@pytest.mark.parametrize(("kind", "request_"), SHAPES)
@pytest.mark.parametrize("again", [0, 2])
@pytest.mark.parametrize(("text", "code"), [("Ada", "output_not_json"), (ADA.replace("36", "200"), "schema_invalid")])
def test_the_row_fails_after_its_tries(kind: str, request_: dict[str, Any], again: int, text: str, code: str) -> None:
    left = [text] * (again + 1)
    with pytest.raises(CheckFailed) as raised:
        converse(kind, request_, lambda _: left.pop(), checker_of(kind, request_, again=again))
    assert (raised.value.code, left) == (code, [])


def test_the_answer_is_validated_even_if_the_checks_are_off() -> None:
    request = {"prompt": "Who?", "output_schema": PERSON}
    off = {"schema_invalid": CheckSetting(severity=Severity.OFF)}
    with pytest.raises(CheckFailed) as raised:
        converse("chat", request, lambda _: "{}", checker_of("chat", request, off))
    assert raised.value.code == "schema_invalid"


def test_only_the_broken_answers_are_asked_for_again() -> None:
    request = {"prompt": "Who?", "output_schema": PERSON, "n": 3}
    bob = ADA.replace("Ada", "Bob")
    output, turns = converse("chat", request, answers(ADA, "no", "no", bob, "no", bob), checker_of("chat", request))
    assert [[one.label for one in turn] for turn in turns] == [
        ["choice 1", "choice 2", "choice 3"],
        ["choice 2, try 2", "choice 3, try 2"],
        ["choice 3, try 3"],
    ]
    assert output.choices == (ADA, bob, bob)
    assert [one["name"] for one in output.parsed_choices] == ["Ada", "Bob", "Bob"]


def test_an_answer_that_ended_at_max_tokens_says_so() -> None:
    request = {"prompt": "Who?", "response_format": {"type": "json_object"}}
    fault = failed("chat", request, lambda _: ('{"a": ', "length"))
    assert fault.code == "output_not_json"
    assert "max_tokens" in fault.message


def test_without_a_schema_nothing_is_parsed_or_asked_again() -> None:
    for form in ({}, {"response_format": {"type": "text"}}):
        output, turns = converse("chat", {"prompt": "Who?", **form}, lambda _: '{"a": 1}')
        assert (output.model_dump(), len(turns)) == ({"text": '{"a": 1}'}, 1)


@pytest.mark.parametrize("value", ["null", "false", "0", '""', "[]"])
def test_a_value_that_is_empty(value: str) -> None:
    output, _ = converse("chat", {"prompt": "Who?", "output_schema": {}}, lambda _: value)
    assert output.text == value
    assert ("parsed" in output.model_dump()) == (value != "null")

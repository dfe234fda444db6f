"""Shows jobs/intake/row_values.py: what the values of a row mean, in every format."""

import io
import json
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pyarrow
import pytest
from pyarrow import parquet
from pydantic import BaseModel, ConfigDict, Field

from jobs.batches.request_row import RowRequest
from jobs.catalog import ModelCard, Models
from jobs.formats import delimited, openai_batch
from jobs.formats.detection import json_records
from jobs.formats.parquet import records as parquet_records
from jobs.formats.record import Record
from jobs.intake.row_faults import RowFault
from jobs.intake.row_reader import RowDefaults, RowReader
from jobs.intake.row_values import reader_of
from jobs.kinds.registry import load_kinds
from jobs.writing.fields import OtherNames
from tests.jobs.writing.structured.features import REFUSED, Refused

KINDS = load_kinds()
TURNS = [{"role": "user", "content": "a"}]
ARTICLE = {"kind": "article", "topic": "a"}
POST = {"kind": "social_post", "topic": "a", "platform": "x"}
CHAT = {"kind": "chat", "messages": TURNS}


def reader(**given: Any) -> RowReader:
    return RowReader(
        KINDS,
        Models({"stub": ModelCard(engine="stub")}),
        RowDefaults(None, "stub", "t", 4, given, rows_may_set=frozenset({"tenant", "priority"})),
    )


def only(records: Any) -> Record:
    (record,) = records
    assert isinstance(record, Record)
    return record


def as_jsonl(row: dict[str, Any]) -> Record:
    return only(json_records([(1, json.dumps(row).encode())]))


def as_parquet(row: dict[str, Any]) -> Record:
    target = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist([row]), target)
    return only(parquet_records(io.BytesIO(target.getvalue())))


def as_csv(row: dict[str, Any]) -> Record:
    """The row as a CSV: an empty cell is null, and an object or list is JSON."""
    cells = ["" if v is None else json.dumps(v) if isinstance(v, dict | list) else str(v) for v in row.values()]
    quoted = ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)
    return only(delimited.records(io.BytesIO(f"{','.join(row)}\n{quoted}\n".encode()), reader()))


def as_openai(row: dict[str, Any]) -> Record:
    line = {"custom_id": "a", "url": "/v1/chat/completions", "body": row}
    return only(openai_batch.records([(1, json.dumps(line).encode())]))


def accepted(record: Record, **given: Any) -> RowRequest:
    result = reader(**given).read(record, 0)
    assert isinstance(result, RowRequest), result
    return result


def refused(record: Record, **given: Any) -> RowFault:
    result = reader(**given).read(record, 0)
    assert isinstance(result, RowFault)
    return result


NULLS = [
    *((ARTICLE, {name: None}) for name in ("target_words", "keywords", "language", "outline", "tone", "metadata")),
    *((POST, {name: None}) for name in ("hashtags", "link", "source_text")),
    *((CHAT, {name: None}) for name in ("n", "stop", "presence_penalty", "logit_bias", "logprobs", "response_format")),
    (CHAT, {"response_format": {"type": "text", "json_schema": None}}),
    (CHAT, {"seed": None, "max_tokens": None, "temperature": None, "custom_id": None, "priority": None}),
    (ARTICLE, {"colour": None, "hashtags": None}),
]


@pytest.mark.parametrize("form", [as_jsonl, as_parquet, as_csv])
@pytest.mark.parametrize(("row", "nulls"), NULLS)
def test_null_is_an_absent_field(form: Callable[..., Record], row: dict[str, Any], nulls: dict[str, Any]) -> None:
    found = accepted(form({**row, **nulls}))
    plain = {**row, **{name: {"type": "text"} for name in nulls if nulls[name] is not None}}
    assert found._replace(line=1) == accepted(as_jsonl(plain))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"n": None, "stop": None, "seed": None, "max_tokens": None, "tools": None}, id="of the body"),
        pytest.param({"messages": [{**TURNS[0], "name": None, "tool_calls": None}]}, id="of a turn"),
        pytest.param({"messages": [{**TURNS[0], "weight": None}]}, id="of a turn, a name that is not known"),
        pytest.param({"response_format": {"type": "text", "json_schema": None}}, id="of the response format"),
    ],
)
def test_null_is_absent_in_a_batch_file(body: dict[str, Any]) -> None:
    found = accepted(as_openai({"messages": TURNS, **body}))
    form = {"response_format": {"type": "text"}} if "response_format" in body else {}
    assert found.request == {"messages": TURNS, **form}


@pytest.mark.parametrize("form", [as_jsonl, as_parquet, as_csv])
def test_null_for_a_field_that_is_needed_is_a_missing_field(form: Callable[..., Record]) -> None:
    found = refused(form({"kind": "article", "topic": None, "tone": "a"}))
    assert (found.code, found.field) == ("missing_field", "topic")


def test_null_in_a_turn_that_needs_a_text_is_a_missing_field() -> None:
    found = refused(as_openai({"messages": [{"role": "user", "content": None}]}))
    assert (found.code, found.field) == ("missing_field", "body.messages.0.content")


def test_null_lets_the_given_field_be_taken() -> None:
    given = {"target_words": 90, "temperature": 0.5, "tone": None}
    found = accepted(as_jsonl({**ARTICLE, "target_words": None, "temperature": None}), **given)
    assert (found.request, found.temperature) == ({"topic": "a", "target_words": 90}, 0.5)


def test_null_in_a_given_object_is_absent() -> None:
    found = accepted(as_jsonl(CHAT), response_format={"type": "text", "json_schema": None})
    assert found.request["response_format"] == {"type": "text"}


def test_null_in_a_free_form_and_in_a_list_stays() -> None:
    schema = {"type": "object", "default": None, "properties": {"a": {"const": None}}}
    form = {"type": "json_schema", "json_schema": {"schema": schema, "strict": None}}
    assert accepted(as_jsonl({**CHAT, "metadata": {"a": None}})).metadata == {"a": None}
    read = reader_of(KINDS["chat"].request_type)({"response_format": form})
    assert read == {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}
    assert refused(as_jsonl({**ARTICLE, "keywords": ["a", None]})).field == "keywords.1"


class Inner(BaseModel):
    size: int | None = 3
    name: str = "a"
    into: "Inner | None" = None


class Outer(BaseModel):
    """A request with nested models in every form, as a kind of another package may have."""

    model_config = ConfigDict(extra="allow")

    size: int = 1
    one: Inner | None = None
    many: list[Inner] = []
    named: dict[str, Inner] = {}
    either: Annotated[int | str, Field(description="Both.")] = 0
    mode: Literal["a", "b"] | None = Field(default=None, validation_alias="how")


def test_null_means_itself_only_where_a_field_has_another_default_and_takes_null() -> None:
    read = reader_of(Outer)
    inner = {"size": None, "name": None, "into": {"name": None}}
    kept: dict[str, Any] = {"size": None, "into": {}}
    given = {"size": None, "one": inner, "many": [inner], "named": {"k": inner}, "how": None, "other": None}
    assert read(given) == {"one": kept, "many": [kept], "named": {"k": kept}, "other": None}
    assert read({"one": "a", "many": 5, "named": []}) == {"one": "a", "many": 5, "named": []}


@pytest.mark.parametrize("form", [as_jsonl, as_parquet, as_csv])
@pytest.mark.parametrize("number", ["300.0", "3e2", "3E+2", "300"])
def test_a_whole_number_is_an_integer_however_it_is_written(form: Callable[..., Record], number: str) -> None:
    value = number if form is as_csv else json.loads(number)
    found = accepted(form({**ARTICLE, "target_words": value, "max_tokens": value, "seed": value}))
    kept = (found.request["target_words"], found.max_tokens, found.seed)
    assert kept == (300, 300, 300)
    assert {type(one) for one in kept} == {int}


def test_a_whole_number_is_an_integer_in_a_batch_file_in_json_lines_and_where_it_is_given() -> None:
    found = accepted(as_openai({"messages": TURNS, "n": 2.0, "max_tokens": 3e2, "logprobs": True, "top_logprobs": 5.0}))
    assert (found.request["n"], found.max_tokens, found.request["logprobs"]) == (2, 300, 5)
    assert accepted(as_jsonl(ARTICLE), target_words=9e1).request["target_words"] == 90
    assert accepted(as_jsonl({**CHAT, "metadata": {"a": 1.0}})).to_bytes().count(b'{"a":1.0}') == 1


@pytest.mark.parametrize("form", [as_jsonl, as_parquet, as_csv])
@pytest.mark.parametrize("number", ["300.5", "1e17", "-1e300", "true"])
def test_a_number_that_is_not_certainly_an_integer_is_refused(form: Callable[..., Record], number: str) -> None:
    row = {"custom_id": "a", **CHAT, "seed": number if form is as_csv else json.loads(number)}
    found = refused(form(row))
    assert (found.code, found.field) == ("wrong_type", "seed")


def test_the_message_about_a_number_says_why_it_is_no_integer() -> None:
    assert refused(as_jsonl({**ARTICLE, "target_words": 300.5})).message == "300.5 is not a whole number"
    assert "may stand for several integers" in refused(as_jsonl({**CHAT, "seed": 9007199254740992.0})).message


@pytest.mark.parametrize("cell", ["1.23457E+11", "1.5e0", "3e-2", "3e99"])
def test_a_cell_with_an_exponent_that_may_have_been_rounded_is_no_integer(cell: str) -> None:
    assert refused(as_csv({"custom_id": "a", **CHAT, "seed": cell})).code == "wrong_type"


def test_nan_of_a_data_frame_is_null() -> None:
    assert accepted(as_parquet({**ARTICLE, "target_words": float("nan")})).request == {"topic": "a"}


@pytest.mark.parametrize("form", [as_jsonl, as_parquet])
@pytest.mark.parametrize(("given", "text"), [(7, "7"), (7.0, "7"), (0, "0"), (-3, "-3"), (1 << 62, str(1 << 62))])
def test_a_custom_id_that_is_a_whole_number_is_its_text(form: Callable[..., Record], given: float, text: str) -> None:
    assert accepted(form({**ARTICLE, "custom_id": given})).custom_id == text
    found = refused(form({**ARTICLE, "custom_id": given, "topic": ""}))
    assert (found.custom_id, found.field) == (text, "topic")


def test_a_numeric_custom_id_of_a_batch_file_is_its_text() -> None:
    for line, code in (
        ({"body": {"messages": TURNS}}, None),
        ({"body": {"messages": 5}}, "wrong_type"),
        ({}, "missing_field"),
    ):
        raw = json.dumps({"custom_id": 7, "url": "/v1/chat/completions", **line}).encode()
        found = reader().read(only(openai_batch.records([(1, raw)])), 0)
        assert (found.custom_id, getattr(found, "code", None)) == ("7", code)


@pytest.mark.parametrize("given", [True, 7.5, 1e17, ["a"], {"a": 1}, ""])
def test_a_custom_id_that_has_no_certain_text_is_refused(given: Any) -> None:
    found = refused(as_jsonl({**ARTICLE, "custom_id": given}))
    assert (found.field, found.custom_id) == ("custom_id", None)


@pytest.mark.parametrize(
    ("records", "field"),
    [
        pytest.param(
            lambda: json_records([(1, b'{"custom_id": "a", "kind": "chat", "prompt": "a", "prompt": "b"}')]),
            "prompt",
            id="jsonl",
        ),
        pytest.param(
            lambda: openai_batch.records(
                [
                    (
                        1,
                        b'{"custom_id": "a", "url": "/chat/completions", "body": {"messages": [{"role": "a", "role": "a"}]}}',
                    )
                ]
            ),
            "body.messages.0.role",
            id="openai",
        ),
        pytest.param(
            lambda: delimited.records(
                io.BytesIO(b'custom_id,kind,prompt,metadata\na,chat,a,"{""x"": {""y"": 1, ""y"": 2}}"\n'), reader()
            ),
            "metadata.x.y",
            id="csv",
        ),
    ],
)
def test_a_key_that_a_row_has_twice_is_a_fault_of_the_row(records: Callable[[], Any], field: str) -> None:
    found = refused(only(records()))
    assert (found.code, found.field, found.custom_id) == ("duplicate_key", field, "a")


@pytest.mark.parametrize("form", [as_jsonl, as_parquet, as_csv])
@pytest.mark.parametrize(
    ("row", "field", "value"),
    [
        *(
            pytest.param({**POST, "platform": given}, "platform", platform, id=f"platform {given}")
            for given, platform in [
                *(("Instagram", "instagram"), ("instagram ", "instagram"), ("LinkedIn", "linkedin"), ("X", "x")),
                *(("Linked-In", "linkedin"), ("Twitter", "x"), ("X (Twitter)", "x"), ("FB", "facebook")),
                *(("BlueSky", "bluesky"), ("insta", "instagram"), ("x.com", "x"), ("THREADS", "threads")),
            ]
        ),
        pytest.param({**ARTICLE, "language": "en_US"}, "language", "en-US", id="language"),
        pytest.param(
            {
                "kind": "translation",
                "text": "a",
                "source_language": "EN",
                "target_language": "pt_BR",
                "format": "Markdown",
            },
            "format",
            "markdown",
            id="format",
        ),
        pytest.param({**ARTICLE, "kind": "Article"}, "topic", "a", id="kind"),
        pytest.param({**POST, "kind": "social post"}, "topic", "a", id="kind with a space"),
        pytest.param({**POST, "kind": " Social-Post"}, "topic", "a", id="kind with a hyphen"),
        pytest.param({**POST, "hashtags": "#food #tacos"}, "hashtags", ["#food", "#tacos"], id="hashtags in a text"),
        pytest.param({**POST, "hashtags": "food, tacos"}, "hashtags", ["food", "tacos"], id="hashtags with commas"),
        pytest.param(
            {**POST, "hashtags": ["#a #b", "c; d", "#e#f"]},
            "hashtags",
            ["#a", "#b", "c", "d", "#e", "#f"],
            id="hashtags in a list",
        ),
        pytest.param({**POST, "hashtags": "\uff03a\u3001b,"}, "hashtags", ["#a", "b"], id="hashtags in Japanese"),
    ],
)
def test_a_value_that_is_written_in_another_way_is_understood(
    form: Callable[..., Record], row: dict[str, Any], field: str, value: Any
) -> None:
    assert accepted(form(row)).request[field] == value


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**POST, "platform": "Instagrm"}, "did you mean instagram?"),
        ({**ARTICLE, "kind": "Articles"}, "did you mean article?"),
        ({**ARTICLE, "language": "Germn"}, "did you mean German?"),
    ],
)
def test_a_value_that_is_not_certain_is_answered_with_what_was_meant(row: dict[str, Any], message: str) -> None:
    assert message in refused(as_jsonl(row)).message


@pytest.mark.parametrize("hashtags", ["food tacos", ["a b"], [5], 5, "#", ["a", "!"], {"a": 1}])
def test_hashtags_that_are_not_certain_are_refused(hashtags: Any) -> None:
    assert str(refused(as_jsonl({**POST, "hashtags": hashtags})).field).startswith("hashtags")


def test_a_kind_is_understood_in_each_option_and_decides_how_cells_are_read() -> None:
    assert accepted(as_jsonl({"topic": "a"}), kind="Article").kind == "article"
    assert accepted(as_csv({"kind": "ARTICLE", "topic": "a", "target_words": 90})).request["target_words"] == 90


def test_two_choices_that_are_alike_are_told_apart() -> None:
    class Both(BaseModel):
        mode: Literal["a-b", "a b", "c"]
        other: Annotated[Literal["d"], OtherNames({"dee": "d"})]

    read = reader_of(Both)
    assert read({"mode": "A_B", "other": "DEE"}) == {"mode": "A_B", "other": "d"}
    assert read({"mode": "a b", "other": 5}) == {"mode": "a b", "other": 5}
    assert read({"mode": " C", "other": "e"}) == {"mode": "c", "other": "e"}


@pytest.mark.parametrize("form", [as_jsonl, as_parquet, as_csv])
@pytest.mark.parametrize("kind", ["json_object", "json_schema", "text"])
def test_an_answer_in_json_is_accepted(form: Callable[..., Record], kind: str) -> None:
    schema = {"json_schema": {"name": "a", "schema": {"type": "object"}}} if kind == "json_schema" else {}
    wanted = {"type": kind, **schema}
    assert accepted(form({**CHAT, "response_format": wanted})).request["response_format"] == wanted
    named = accepted(as_openai({"messages": TURNS, "response_format": wanted}))
    assert named.request["response_format"] == wanted


@pytest.mark.parametrize("form", [as_jsonl, as_csv])
@pytest.mark.parametrize("feature", REFUSED.values(), ids=REFUSED)
def test_a_schema_that_cannot_be_kept_is_refused_by_name(form: Callable[..., Record], feature: Refused) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": feature.schema}}
    at = "response_format.json_schema.schema"
    for found, field in (
        (refused(form({**CHAT, "output_schema": feature.schema})), "output_schema"),
        (refused(form({**CHAT, "response_format": wanted})), at),
        (refused(as_openai({"messages": TURNS, "response_format": wanted})), f"body.{at}"),
    ):
        assert (found.code, found.field) == (feature.code, field)
        assert found.message.startswith(f"at {feature.at}: ")
        assert feature.keyword in found.message


def test_a_row_has_one_schema() -> None:
    both = {"output_schema": {}, "response_format": {"type": "json_object"}}
    assert "remove one of them" in refused(as_jsonl({**CHAT, **both})).message

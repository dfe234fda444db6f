"""Shows jobs/intake/row_reader.py: a row becomes a request, and a bad row becomes a fault."""

import json
from typing import Any, Self

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from jobs.batches.request_row import RowRequest
from jobs.catalog import Abilities, ModelCard, Models
from jobs.formats.json_lines import read_object
from jobs.formats.record import Record
from jobs.intake.row_reader import RowDefaults, RowFault, RowReader
from jobs.kinds.kind import Conversation
from jobs.writing.fields import LanguageTag


class NoteRequest(BaseModel):
    """A request with every sort of limit, and with checks of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str | None = Field(default=None, max_length=10)
    body: str | None = None
    tags: tuple[str, ...] = ()
    outline: tuple[str, ...] = Field(default=(), max_length=2)
    language: LanguageTag = "en"
    words: int = Field(default=50, ge=1)

    @property
    def schema_field(self) -> str | None:
        return "body" if self.body == "a schema" else None

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if (self.title is None) == (self.body is None):
            raise ValueError("exactly one of title and body is needed")
        if self.title == "broken":
            raise ZeroDivisionError("in the kind")
        if self.title == "taken":
            raise ValueError("this title is taken")
        if self.title == "untyped":
            raise PydanticCustomError("wrong_type", "a title of this type is not known")
        return self


class NoteKind:
    """A kind for reading rows only; its `compose` is never called."""

    name = "note"
    request_type = NoteRequest
    output_type = NoteRequest

    def compose(self, request: BaseModel) -> Conversation:
        raise NotImplementedError

    def expected_tokens(self, request: BaseModel) -> int:
        assert isinstance(request, NoteRequest)
        if request.title == "endless":
            raise RecursionError("in the kind")
        return request.words * 2


def read(line: dict[str, Any], **given: Any) -> RowRequest | RowFault:
    defaults = RowDefaults(None, "small", "house", 4, given, rows_may_set=frozenset({"tenant", "priority"}))
    raw = json.dumps(line).encode()
    record = Record(9, raw, read_object(raw))
    return RowReader(
        {"note": NoteKind()}, Models({"small": ModelCard(engine="stub"), "large": ModelCard()}), defaults
    ).read(record, 7)


def note(**fields: Any) -> dict[str, Any]:
    return {"kind": "note", **fields}


def fault(line: dict[str, Any]) -> RowFault:
    result = read(line)
    assert isinstance(result, RowFault)
    return result


@pytest.mark.parametrize(
    ("line", "code", "field"),
    [
        pytest.param(note(), "missing_field", None, id="needed and not there"),
        pytest.param(note(title="a", body="b"), "out_of_range", None, id="one too many"),
        pytest.param(note(title="taken"), "out_of_range", None, id="a check of the kind"),
        pytest.param(note(title="untyped"), "wrong_type", None, id="a check that names its code"),
        pytest.param(note(title="a", tags=["b", 5]), "wrong_type", "tags.1", id="within a list"),
        pytest.param(note(title="a" * 11), "out_of_range", "title", id="too long"),
        pytest.param(note(title="a", model=""), "unknown_model", "model", id="empty model"),
        pytest.param(note(title="a", model=5), "wrong_type", "model", id="model is no text"),
    ],
)
def test_the_code_of_a_fault(line: dict[str, Any], code: str, field: str | None) -> None:
    found = fault(line)
    assert (found.row, found.line, found.code, found.field, found.kind) == (7, 9, code, field, "note")


def test_the_first_fault_has_the_code_and_the_message_names_the_others() -> None:
    wrong = note(words="5", colour=1, seed="5", model="huge")
    order = [("seed", "wrong_type"), ("words", "wrong_type"), ("colour", "unknown_field"), ("model", "unknown_model")]
    for n, (field, code) in enumerate(order):
        found = fault(wrong)
        assert (found.field, found.code) == (field, code)
        others = ", ".join(sorted(name for name, _ in order[n + 1 :]))
        assert found.message.endswith(f"(also wrong: {others})") == bool(others)
        del wrong[field]
        wrong["title"] = "a"


def test_only_the_first_twenty_faults_of_a_row_are_looked_at() -> None:
    """Looking at a hundred thousand of them, each with its nearest field, would take minutes."""
    found = fault(note(title="a", **{f"x{n}": 1 for n in range(60)}))
    others = found.message.partition("(also wrong: ")[2].rstrip(")").split(", ")
    assert (found.field, found.code, sorted(others)) == ("x0", "unknown_field", sorted(f"x{n}" for n in range(1, 20)))


@pytest.mark.parametrize(
    "line",
    [
        pytest.param({"kind": "k" * 900_000}, id="kind"),
        pytest.param(note(title="a", model="m" * 900_000), id="model"),
        pytest.param(note(title="a", custom_id="c" * 900_000), id="custom_id"),
        pytest.param(note(title="a", **{"f" * 900_000: 1}), id="field"),
        pytest.param(note(title="a", seed="5", **{f"field_{n}": 1 for n in range(9_000)}), id="many fields"),
    ],
)
def test_a_fault_is_small_however_long_the_line_is(line: dict[str, Any]) -> None:
    assert len(repr(fault(line))) < 2_000


def test_a_fault_has_the_custom_id_of_its_row() -> None:
    assert fault(note(custom_id="a", colour=1)).custom_id == "a"
    assert fault({"custom_id": "a"}).custom_id == "a"
    assert fault(note(custom_id="", title="a")).custom_id is None


@pytest.mark.parametrize(
    ("line", "cost"),
    [
        pytest.param(note(title="a"), 100, id="by the kind"),
        pytest.param(note(title="a", max_tokens=9), 9, id="by the row's own limit"),
    ],
)
def test_the_cost_of_a_row(line: dict[str, Any], cost: int) -> None:
    result = read(line)
    assert isinstance(result, RowRequest)
    assert result.cost == cost


def test_a_request_has_the_given_fields_and_no_defaults() -> None:
    result = read(note(title="a"), words=5, temperature=0)
    assert isinstance(result, RowRequest)
    assert (result.request, result.temperature, result.top_p) == ({"title": "a", "words": 5}, 0, None)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        pytest.param("titel", "did you mean title? Then --map title=titel", id="misspelt"),
        pytest.param(
            "custom_ids",
            "did you mean custom_id? Then --map custom_id=custom_ids",
            id="a field of every row",
        ),
        pytest.param("zzz", "remove or rename it", id="like none"),
    ],
)
def test_the_message_about_an_unknown_field_suggests_a_known_one(field: str, message: str) -> None:
    found = fault(note(body="B", **{field: "x"}))
    others = "--extra metadata takes other columns along, --extra none leaves them out"
    assert (found.code, found.field, found.message) == (
        "unknown_field",
        field,
        f"note has no such field: {message}; {others}",
    )


def test_the_message_about_a_length_speaks_of_characters_or_items() -> None:
    for fields, message in (
        ({"outline": ["a", "b", "c"]}, "it must have at most 2 items"),
        ({"language": "C"}, "it must have at least 2 characters"),
    ):
        found = fault(note(title="x", **fields))
        assert (found.code, found.message) == ("out_of_range", message)


@pytest.mark.parametrize(("title", "error"), [("broken", "ZeroDivisionError"), ("endless", "RecursionError")])
def test_a_kind_that_raises_is_a_fault_of_its_row(title: str, error: str) -> None:
    found = fault(note(title=title))
    assert (found.code, found.line, found.kind) == ("kind_failed", 9, "note")
    assert error in found.message


@pytest.mark.parametrize("model", ["small", "large"])
@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        pytest.param(note(body="a schema"), "unsupported_parameter", "body", id="an answer by a schema"),
        pytest.param(note(title="a", adapter="b"), "unknown_adapter", "adapter", id="an adapter"),
    ],
)
def test_a_row_that_its_engine_cannot_do_is_refused(
    monkeypatch: pytest.MonkeyPatch, model: str, row: dict[str, Any], code: str, field: str
) -> None:
    monkeypatch.setattr("jobs.catalog.ABILITIES", {"stub": Abilities(True, True), "causal": Abilities(False, False)})
    found = read({**row, "model": model})
    if model == "small":
        assert isinstance(found, RowRequest)
    else:
        assert isinstance(found, RowFault)
        assert (found.code, found.field) == (code, field)
        assert "the engine of large" in found.message


def test_arguments_of_the_chat_template() -> None:
    """A row may have arguments for the chat template, unless its kind has no turns."""
    found = read(note(title="a", chat_template_kwargs={"enable_thinking": False, "a": None}))
    assert isinstance(found, RowRequest)
    assert found.chat_template_kwargs == {"enable_thinking": False}
    assert RowRequest.from_bytes(found.to_line().rstrip()) == found
    for nothing in ("{}", "null"):
        empty = read(note(title="a", chat_template_kwargs=json.loads(nothing)))
        assert isinstance(empty, RowRequest)
        assert empty.chat_template_kwargs is None
    refused = fault(note(title="a", chat_template_kwargs={"chat_template": "x"}))
    assert (refused.code, refused.field) == ("out_of_range", "chat_template_kwargs")
    assert "chat_template is given to the template by the engine itself" in refused.message


def test_arguments_of_the_chat_template_for_a_kind_without_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NoteRequest, "uses_chat_template", False, raising=False)
    refused = fault(note(title="a", chat_template_kwargs={"enable_thinking": False}))
    assert (refused.code, refused.field) == ("unsupported_parameter", "chat_template_kwargs")
    assert isinstance(read(note(title="a", chat_template_kwargs={})), RowRequest)


def test_a_model_is_understood_in_other_case() -> None:
    found = read(note(title="a", model=" Large"))
    assert isinstance(found, RowRequest)
    assert found.model == "large"
    assert "did you mean small?" in fault(note(title="a", model="smal")).message


@pytest.mark.parametrize("given", [{}, {"model": "gpt-4o"}, {"model": 5}, {"model": "large"}])
def test_a_model_for_all_rows_takes_the_place_of_their_own(given: dict[str, Any]) -> None:
    defaults = RowDefaults(None, "small", "house", 4, {}, override_model=True)
    models = Models({"small": ModelCard(engine="stub"), "large": ModelCard()})
    line = note(title="a", **given)
    found = RowReader({"note": NoteKind()}, models, defaults).read(Record(1, b"", line), 0)
    assert isinstance(found, RowRequest)
    assert found.model == "small"

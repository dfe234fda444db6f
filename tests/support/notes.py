"""Notes: a kind with every sort of limit and check, for tests that read rows."""

import json
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from jobs.batches.request_row import RowRequest
from jobs.catalog import ModelCard, Models
from jobs.formats.json_lines import read_object
from jobs.formats.record import Record
from jobs.intake.row_faults import RowFault
from jobs.intake.row_reader import RowDefaults, RowReader
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
    """Read a row as row 7, from line 9 of a file. `given` has values for fields that the row lacks."""
    defaults = RowDefaults(None, "small", "house", 4, given, rows_may_set=frozenset({"tenant", "priority"}))
    raw = json.dumps(line).encode()
    record = Record(9, raw, read_object(raw))
    return RowReader(
        {"note": NoteKind()}, Models({"small": ModelCard(engine="stub"), "large": ModelCard()}), defaults
    ).read(record, 7)


def note(**fields: Any) -> dict[str, Any]:
    """Return a row of the kind `note`."""
    return {"kind": "note", **fields}


def fault(line: dict[str, Any]) -> RowFault:
    """Return the fault of a row that is refused."""
    result = read(line)
    assert isinstance(result, RowFault)
    return result

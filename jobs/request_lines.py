"""One line of input: what it may say, and everything that can be wrong with it.

Turns a line into a normalised request, or into a fault with a code, its line, its field and the remedy. Knows one line at a
time: what concerns several (a custom_id given twice) is seen by `intake.py`. JSON types are taken strictly: "5" is no number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from jobs.errors import RequestError
from jobs.job import RowRequest
from jobs.kinds import Kind

MAX_ROW_BYTES: Final = 1 << 20

Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class Envelope(BaseModel):
    """The fields that a row of any kind may carry, beside those of its kind."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    custom_id: Name | None = Field(default=None, description="Your name for the row; no two rows may share it.")
    kind: str | None = Field(default=None, description="The kind of content.")
    model: str | None = Field(default=None, description="The alias of the model.")
    adapter: Name | None = Field(default=None, description="An adapter of the model.")
    seed: int | None = Field(default=None, ge=0, lt=1 << 63, description="Where its random numbers begin.")
    max_tokens: int | None = Field(default=None, ge=1, le=32_768, description="The most tokens of a completion.")
    temperature: float | None = Field(default=None, ge=0, le=2, description="0 is greedy.")
    top_p: float | None = Field(default=None, gt=0, le=1, description="Nucleus sampling.")
    priority: int | None = Field(default=None, ge=0, le=9, description="9 goes first.")
    tenant: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = Field(
        default=None, description="Whom the row is billed to."
    )
    metadata: dict[str, Any] | None = Field(default=None, description="Returned as it was given.")


@dataclass(frozen=True, slots=True)
class LineFault:
    """What is wrong with a line. `field` is a path in the line, where one is at fault."""

    row: int
    line: int
    code: str
    message: str
    field: str | None = None
    kind: str = ""
    custom_id: str | None = None

    @property
    def error(self) -> dict[str, Any]:
        """The error of its error row."""
        said: dict[str, Any] = {"code": self.code, "message": self.message, "line": self.line}
        return said if self.field is None else {**said, "field": self.field}

    def __str__(self) -> str:
        place = f" ({self.field})" if self.field else ""
        return f"line {self.line}: {self.code}{place}: {self.message}"


@dataclass(frozen=True, slots=True)
class Defaults:
    """What rows get that do not say it themselves. `given` are values by field name, from `--set`."""

    kind: str | None
    model: str
    tenant: str
    priority: int
    given: Mapping[str, Any]


class LineReader:
    """Reads lines, with the kinds and models that there are."""

    def __init__(self, kinds: Mapping[str, Kind], models: Sequence[str], defaults: Defaults) -> None:
        self._kinds = kinds
        self._models = frozenset(models)
        self._defaults = defaults
        known = set(Envelope.model_fields).union(*(kind.request_type.model_fields for kind in kinds.values()))
        if unknown := sorted(set(defaults.given) - known):
            raise RequestError(f"--set {unknown[0]}=...: no kind has a field {unknown[0]!r}")

    def read(self, raw: bytes, row: int, line: int) -> RowRequest | LineFault:
        """One line, without its newline."""
        values = _object(raw, row, line)
        if isinstance(values, LineFault):
            return values
        custom_id = values.get("custom_id")
        named = custom_id if isinstance(custom_id, str) and custom_id else None
        kind_name = values.get("kind", self._defaults.given.get("kind", self._defaults.kind))
        whose = (kind_name if isinstance(kind_name, str) else "", named)
        kind = self._kinds.get(kind_name) if isinstance(kind_name, str) else None
        if kind is None:
            return LineFault(row, line, "unknown_kind", self._no_kind(kind_name), "kind", "", named)
        values = self._with_given(values, kind)
        own = {name: value for name, value in values.items() if name not in Envelope.model_fields}
        try:
            envelope = Envelope.model_validate(values)
            request = kind.request_type.model_validate_json(orjson.dumps(own), strict=True)
        except ValidationError as error:
            return _fault(error, row, line, *whose)
        model = envelope.model or self._defaults.model
        if model not in self._models:
            message = f"no model has the alias {model!r}: the known ones are {', '.join(sorted(self._models))}"
            return LineFault(row, line, "unknown_model", message, "model", *whose)
        return self._request(envelope, request, kind, model, (row, line))

    def _request(
        self, envelope: Envelope, request: BaseModel, kind: Kind, model: str, place: tuple[int, int]
    ) -> RowRequest:
        priority = self._defaults.priority if envelope.priority is None else envelope.priority
        return RowRequest(
            row=place[0],
            line=place[1],
            kind=kind.name,
            model=model,
            request=request.model_dump(mode="json", exclude_unset=True),
            custom_id=envelope.custom_id,
            adapter=envelope.adapter,
            seed=envelope.seed,
            max_tokens=envelope.max_tokens,
            temperature=envelope.temperature,
            top_p=envelope.top_p,
            priority=priority,
            tenant=envelope.tenant or self._defaults.tenant,
            metadata=envelope.metadata,
            cost=kind.expected_tokens(request),
        )

    def _with_given(self, values: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
        has = Envelope.model_fields.keys() | kind.request_type.model_fields.keys()
        return {**{name: value for name, value in self._defaults.given.items() if name in has}, **values}

    def _no_kind(self, kind: Any) -> str:
        known = ", ".join(sorted(self._kinds))
        if kind is None:
            return f"the row names no kind: give it one of {known}, or the command --kind"
        return f"no kind has the name {kind!r}: the known ones are {known}"


def _object(raw: bytes, row: int, line: int) -> dict[str, Any] | LineFault:
    if len(raw) > MAX_ROW_BYTES:
        return LineFault(row, line, "row_too_large", "the line is longer than 1 MiB: shorten it, or split the row")
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        message = f"byte {error.start + 1} of the line is not UTF-8: save the file as UTF-8"
        return LineFault(row, line, "not_utf8", message)
    try:
        values = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        return LineFault(
            row, line, "not_json", f"{error.msg} at character {error.pos + 1}: each line is one JSON object"
        )
    if not isinstance(values, dict):
        return LineFault(row, line, "not_an_object", "the line is JSON, but not an object in braces")
    return values


def _fault(error: ValidationError, row: int, line: int, kind: str, custom_id: str | None) -> LineFault:
    """The first thing that is wrong; the message tells how many more there are."""
    details = error.errors(include_url=False)
    first = details[0]
    code = _code(first)
    field = ".".join(str(part) for part in first["loc"]) or None
    message = _said(first, code)
    if len(details) > 1:
        others = ", ".join(sorted({".".join(map(str, other["loc"])) or "the row" for other in details[1:]}))
        message += f" (also wrong: {others})"
    return LineFault(row, line, code, message, field, kind, custom_id)


def _code(detail: ErrorDetails) -> str:
    kind = detail["type"]
    if kind == "missing" or (kind == "value_error" and detail["msg"].endswith("needed")):
        return "missing_field"
    if kind == "extra_forbidden":
        return "unknown_field"
    if kind.endswith(("_type", "_parsing")) or kind.startswith("is_instance"):
        return "wrong_type"
    return "out_of_range"


def _said(detail: ErrorDetails, code: str) -> str:
    message = detail["msg"].removeprefix("Value error, ")
    remedies = {"unknown_field": "the kind has no such field: remove it, or look for a misspelling"}
    return remedies.get(code) or message[0].lower() + message[1:]

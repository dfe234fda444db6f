"""The row reader: turns a record of any format into a normalised request, or into a fault of its row.

A fault has a code, a line, a field and a message with the remedy. The reader sees one row at a time, so `staging.py` finds the
custom_ids that two rows have. JSON types are strict: "5" is not a number. The exceptions are in `row_values.py`. Long texts of a
row are clipped in its fault, so that the fault stays small.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Annotated, Any, Final, NamedTuple, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from jobs.batches.request_row import RowRequest
from jobs.catalog import Models
from jobs.did_you_mean import did_you_mean, same_name
from jobs.errors import CODES, RequestError
from jobs.formats.json_lines import Finding, as_integer
from jobs.formats.record import Record
from jobs.intake.column_advice import advised, of_fields
from jobs.intake.reasons import reason_of
from jobs.intake.row_values import reader_of
from jobs.kinds.kind import Kind
from jobs.template_kwargs import TemplateKwargs
from jobs.tenants import RowsMaySet

TENANT: Final = r"^[A-Za-z0-9._-]{1,64}$"
"""A tenant's name matches this pattern: 1 to 64 ASCII letters, digits, dots, hyphens or underscores."""

_NAME_CHARACTERS: Final = 256
"""A custom_id or the name of an adapter has at most this many characters."""

_MESSAGE_CHARACTERS: Final = 300
"""The message of a fault, its field and the names of other fields are each clipped to this many characters."""

_FAULTS: Final = 20
"""At most this many faults of a row are looked at. A hostile row may have a hundred thousand."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=_NAME_CHARACTERS)]


class Envelope(BaseModel):
    """The fields that any row may have. Further fields depend on the row's kind."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    custom_id: Name | None = Field(
        default=None, description='Your name for the row; each row must have another. 7 is read as "7".'
    )
    kind: str | None = Field(default=None, description="The kind of content, such as article.")
    model: str | None = Field(default=None, description="The model to use, by its alias.")
    adapter: Name | None = Field(default=None, description="The adapter of the model to use.")
    seed: int | None = Field(
        default=None,
        ge=0,
        lt=1 << 63,
        description="The start of its random numbers. None: one that follows from the batch and the row.",
    )
    max_tokens: int | None = Field(default=None, ge=1, le=32_768, description="Most tokens of a completion.")
    temperature: float | None = Field(
        default=None, ge=0, le=2, description="Sampling temperature; 0 takes the likeliest token each time."
    )
    top_p: float | None = Field(
        default=None, gt=0, le=1, description="Sample from the likeliest tokens that together have this probability."
    )
    chat_template_kwargs: TemplateKwargs | None = Field(
        default=None,
        description="Arguments for the model's chat template, such as enable_thinking; they replace those of the model.",
    )
    priority: int | None = Field(default=None, ge=0, le=9, description="Priority of the row; 9 goes first.")
    tenant: Annotated[str, StringConstraints(pattern=TENANT)] | None = Field(
        default=None, description="The tenant whom the row is billed to."
    )
    metadata: dict[str, Any] | None = Field(
        default=None, description="Values of your own; the output row has them unchanged."
    )


_ANY: Final = frozenset(Envelope.model_fields)
_ENVELOPE: Final = reader_of(Envelope, only_fields=True)
_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class RowFault:
    """A row that was refused, and the reason.

    `field` is the path of the field at fault, as the file names the field. It is None if no single field is at fault.
    """

    row: int
    line: int
    code: str
    message: str
    field: str | None = None
    kind: str = ""
    custom_id: str | None = None

    @property
    def error(self) -> dict[str, Any]:
        """The value of `error` in the row's line of `errors.jsonl`."""
        error: dict[str, Any] = {"code": self.code, "message": self.message, "line": self.line}
        return error if self.field is None else {**error, "field": self.field}

    def __str__(self) -> str:
        place = f" ({self.field})" if self.field else ""
        return f"line {self.line}: {self.code}{place}: {self.message}"


@dataclass(frozen=True, slots=True)
class RowDefaults:
    """The values of fields for rows that lack these fields. `given` holds the values of `--set` by field.

    If `override_model` is true, every row gets `model`, even a row that names another model. A row may name another tenant or
    priority only if `rows_may_set` has that field. If `tenants` is given, no other tenant is accepted.
    """

    kind: str | None
    model: str
    tenant: str
    priority: int
    given: Mapping[str, Any]
    override_model: bool = False
    rows_may_set: RowsMaySet = frozenset()
    tenants: Collection[str] | None = None


class RowReader:
    """Reads records as rows of the given kinds and models.

    A fault has the code of the first thing that is wrong. The order is: the line itself, the kind, the fields that any row may
    have, the fields of the kind, the model, the abilities of the model's engine. The message of the fault also names the other
    fields that are wrong. `remark` is what the kind remarks on the request that was read last; None if it remarks nothing.

    Raises:
        RequestError: `defaults` gives a field that no kind has.
    """

    def __init__(self, kinds: Mapping[str, Kind], models: Models, defaults: RowDefaults) -> None:
        self._kinds = kinds
        self._models = models
        self._defaults = defaults
        self._given: dict[str, _Values] = {}
        self.remark: str | None = None
        if unknown := sorted(name for name in defaults.given if name not in self.known):
            raise RequestError(f"--set {unknown[0]}=...: no kind has a field {unknown[0]!r}")

    @cached_property
    def known(self) -> Collection[str]:
        """The names of the fields that any row may have, and of the fields of all kinds."""
        return _ANY.union(*(kind.request_type.model_fields for kind in self._kinds.values()))

    def of_kind(self, name: str | None) -> Mapping[str, Any]:
        """Return field -> its JSON schema, for rows of the kind `name`. If `name` is None, the rows have the default kind.

        If there is no such kind, only the fields that any row may have are returned.
        """
        kind = self._kind_named(name or self._defaults.given.get("kind", self._defaults.kind))
        own = _schemas(kind.request_type) if kind else {}
        return {**own, **_schemas(Envelope)}

    def advice(self, columns: Sequence[str], kind: str | None = None) -> str:
        """Return a sentence that names the fields of a kind, and how to take them from these columns.

        If `kind` is None, the rows have the default kind. If there is no default kind, the sentence names all kinds.
        """
        found = self._kind_named(kind or self._defaults.given.get("kind", self._defaults.kind))
        if found is None:
            return f"Give --kind, one of {', '.join(sorted(self._kinds))}, and then --map FIELD=COLUMN for its fields"
        own = found.request_type.model_fields
        needed = [name for name, field in own.items() if field.is_required() and name not in self._defaults.given]
        return of_fields(found.name, needed, [*own, *Envelope.model_fields], columns)

    def read(self, record: Record, row: int) -> RowRequest | RowFault:
        """Return the request of a record, or a fault if the row is refused. `row` is the number of the row in the batch."""
        line, given = record.line, record.values
        self.remark = None
        if isinstance(given, Finding):
            return _fault([given], row, line, "", _valid_custom_id(record.custom_id))
        envelope = _envelope(given)
        if self._defaults.override_model:
            envelope["model"] = self._defaults.model
        custom_id = _valid_custom_id(envelope.get("custom_id"))
        name = envelope.get("kind", self._defaults.given.get("kind", self._defaults.kind))
        kind = self._kind_named(name)
        if kind is None:
            return _fault([Finding("unknown_kind", "kind", self._no_kind(name))], row, line, "", custom_id)
        try:
            values = _Values(envelope, _own(kind, given))
            read = self._read(values.over(self._given_to(kind)), kind, (row, line))
        except Exception as error:  # noqa: BLE001 - an error of a kind must fail its own row alone
            read = [Finding("kind_failed", None, f"kind {kind.name}: {error!r}")]
        if isinstance(read, RowRequest):
            return read
        found = [
            record.in_terms_of_file(finding) for finding in advised(read, record, kind.name, self.of_kind(kind.name))
        ]
        return _fault(found, row, line, kind.name, custom_id)

    def _kind_named(self, name: Any) -> Kind | None:
        """Return the kind that a name means: `Social post` means `social_post`. None if the name means no kind."""
        if not isinstance(name, str):
            return None
        known = name if name in self._kinds else same_name(name, self._kinds)
        return None if known is None else self._kinds[known]

    def _read(self, values: "_Values", kind: Kind, position: tuple[int, int]) -> RowRequest | Sequence[Finding]:
        """Return the request, or all findings if the row is refused. Raises any error that the kind's own code raises."""
        findings: list[Finding] = []
        envelope = _validated(lambda: Envelope.model_validate(values.envelope), findings, Envelope)
        request = _validated(
            lambda: kind.request_type.model_validate_json(orjson.dumps(values.own), strict=True),
            findings,
            kind.request_type,
        )
        name = values.envelope.get("model", self._defaults.model)
        model = self._models.named(name) if isinstance(name, str) else None
        if isinstance(name, str) and model is None:
            findings.append(Finding("unknown_model", "model", self._no_model(name)))
        if envelope is not None:
            findings += self._beyond_rights(envelope)
        if model is not None and envelope is not None and request is not None:
            findings += self._beyond_engine(envelope, request, model)
        if findings or envelope is None or request is None or model is None:
            return findings
        self.remark = getattr(request, "remark") if _may_remark(type(request)) else None  # noqa: B009 - of some kinds only
        return self._request(envelope, request, kind, model, position)

    def _beyond_rights(self, envelope: Envelope) -> Iterator[Finding]:
        """Yield a finding for each field that the row sets to another value although only the submitter of the batch may decide
        it.
        """
        tenant = envelope.tenant or self._defaults.tenant
        for name, own, given in (
            ("tenant", tenant, self._defaults.tenant),
            ("priority", envelope.priority, self._defaults.priority),
        ):
            if own is not None and own != given and name not in self._defaults.rows_may_set:
                message = f"the {name} of this batch is {given}: remove it, or allow it with --rows-may-set {name}"
                yield Finding("not_allowed", name, message)
        if self._defaults.tenants is not None and tenant not in self._defaults.tenants:
            like = did_you_mean(tenant, self._defaults.tenants)
            yield Finding("unknown_tenant", "tenant", f"no tenant {tenant!r} in [tenants] of the settings{like}")

    def _beyond_engine(self, envelope: Envelope, request: BaseModel, model: str) -> Iterator[Finding]:
        """Yield a finding for each ability that the row needs and the engine of `model` lacks. Without this check, the row
        would fail later, in the engine.
        """
        able = self._models.abilities(model)
        field = getattr(request, "schema_field", None) if _may_need_schema(type(request)) else None
        if field is not None and not able.schemas:
            message = (
                f"the engine of {model} cannot hold its answers to JSON: remove it, and ask for JSON in the prompt"
            )
            yield Finding("unsupported_parameter", field, message)
        if envelope.chat_template_kwargs and not getattr(request, "uses_chat_template", True):
            message = "a row of this kind has no turns, so no chat template: remove it, or take the kind chat"
            yield Finding("unsupported_parameter", "chat_template_kwargs", message)
        if envelope.adapter is not None and not able.adapters:
            yield Finding("unknown_adapter", "adapter", f"the engine of {model} has no adapters: remove it")

    def _request(
        self, envelope: Envelope, request: BaseModel, kind: Kind, model: str, position: tuple[int, int]
    ) -> RowRequest:
        return RowRequest(
            row=position[0],
            line=position[1],
            kind=kind.name,
            model=model,
            request=request.model_dump(mode="json", exclude_unset=True),
            custom_id=envelope.custom_id,
            adapter=envelope.adapter,
            seed=envelope.seed,
            max_tokens=envelope.max_tokens,
            temperature=envelope.temperature,
            top_p=envelope.top_p,
            priority=self._defaults.priority if envelope.priority is None else envelope.priority,
            tenant=envelope.tenant or self._defaults.tenant,
            metadata=envelope.metadata,
            chat_template_kwargs=envelope.chat_template_kwargs or None,
            cost=envelope.max_tokens or kind.expected_tokens(request),
        )

    def _given_to(self, kind: Kind) -> "_Values":
        """Return the values of `--set` for the fields that a row of this kind may have."""
        if (known := self._given.get(kind.name)) is not None:
            return known
        has = _ANY | kind.request_type.model_fields.keys()
        given = {name: value for name, value in self._defaults.given.items() if name in has}
        self._given[kind.name] = _Values(_envelope(given), _own(kind, given))
        return self._given[kind.name]

    def _no_kind(self, kind: Any) -> str:
        known = ", ".join(sorted(self._kinds))
        if kind is None:
            return f"the row names no kind: give it one of {known}, or give --kind to the command"
        like = did_you_mean(kind.casefold(), self._kinds) if isinstance(kind, str) else ""
        return f"no kind has the name {_shown(kind)}: the known ones are {known}{like}"

    def _no_model(self, model: str) -> str:
        known = ", ".join(sorted(self._models.catalog))
        like = (
            did_you_mean(model, self._models.catalog)
            or ": name it in [aliases] of the settings, or give --override-model"
        )
        return f"no model has the alias {_shown(model)}: the known ones are {known}{like}"


class _Values(NamedTuple):
    """The values of a row by field: those of `Envelope`, and those of the row's kind."""

    envelope: dict[str, Any]
    own: dict[str, Any]

    def over(self, given: "_Values") -> "_Values":
        """Return these values, and those of `given` for fields that are missing here."""
        if not given.envelope and not given.own:
            return self
        return _Values({**given.envelope, **self.envelope}, {**given.own, **self.own})


def _envelope(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of `Envelope`, read as its fields mean them."""
    envelope: dict[str, Any] = _ENVELOPE(values)
    if "custom_id" in envelope:
        envelope["custom_id"] = _as_name(envelope["custom_id"])
    return envelope


def _own(kind: Kind, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values without those of `Envelope`, read as the fields of the kind's request mean them (`row_values.py`)."""
    own: dict[str, Any] = reader_of(kind.request_type, without=_ANY)(values)
    return own


def _as_name(custom_id: Any) -> Any:
    """Return a custom_id that is a whole number as text: `7` for 7.0. Any other value is returned unchanged."""
    if isinstance(custom_id, str):
        return custom_id
    number = as_integer(custom_id)
    return str(number) if isinstance(number, int) and not isinstance(number, bool) else custom_id


def _valid_custom_id(custom_id: Any) -> str | None:
    """Return the custom_id as text; None if it is not valid."""
    custom_id = _as_name(custom_id)
    return custom_id if isinstance(custom_id, str) and 0 < len(custom_id) <= _NAME_CHARACTERS else None


@cache
def _may_need_schema(request_type: type[BaseModel]) -> bool:
    """Whether requests of this type have a `schema_field`. If there is none, looking for it in each row would take longer than
    the row's check.
    """
    return hasattr(request_type, "schema_field") or "schema_field" in request_type.model_fields


@cache
def _may_remark(request_type: type[BaseModel]) -> bool:
    """Whether requests of this type have the property `remark`. A field of that name is a value of the user."""
    return isinstance(getattr(request_type, "remark", None), property)


@cache
def _schemas(model: type[BaseModel]) -> Mapping[str, Any]:
    """Return field -> its JSON schema, for all fields of a model."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    return {name: _resolved(field, definitions) for name, field in schema.get("properties", {}).items()}


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of a field. If the schema is a reference to the definition of a type, the definition takes its place.

    References deeper in the schema, such as those in a list's items, are not replaced: the readers of cells need only the outer
    types.
    """
    if "$ref" in schema:
        return {**definitions.get(schema["$ref"].rpartition("/")[2], {})}
    if "anyOf" in schema:
        return {**schema, "anyOf": [_resolved(one, definitions) for one in schema["anyOf"]]}
    return schema


def _validated(validate: Callable[[], _Model], findings: list[Finding], model: type[BaseModel]) -> _Model | None:
    """Return the result of `validate`, which checks values by `model`.

    If it raises ValidationError, add the faults to `findings` and return None. A fault about an unknown field suggests the
    nearest of the fields that the row may have.
    """
    try:
        return validate()
    except ValidationError as error:
        known = [*model.model_fields, *Envelope.model_fields]
        findings += [_finding(detail, known) for detail in error.errors(include_url=False)[:_FAULTS]]
        return None


def _finding(detail: ErrorDetails, known: Iterable[str]) -> Finding:
    code = _code(detail)
    if detail["type"] == "literal_error" and isinstance(detail["input"], str):
        choices = re.findall(r"'([^']*)'", str(detail.get("ctx", {}).get("expected")))
        detail["msg"] += did_you_mean(detail["input"].casefold(), choices)
    if code == "unknown_field":
        like = did_you_mean(str(detail["loc"][-1]), known) if len(detail["loc"]) == 1 else ""
        message = f"the kind has no such field{like or ': remove it, or correct its name'}"
    else:
        reason = reason_of(detail)
        message = reason[:1].lower() + reason[1:]
    return Finding(code, ".".join(str(part) for part in detail["loc"]) or None, message)


def _code(detail: ErrorDetails) -> str:
    """Return our code for a fault that pydantic found.

    A validator of a kind raises PydanticCustomError with one of `CODES`, or ValueError. If the message of a ValueError ends in
    `needed`, a field is missing.
    """
    kind, given = detail["type"], detail["input"]
    if kind in CODES:
        return kind
    if kind == "value_error" and detail["msg"].endswith("needed"):
        there = isinstance(given, dict) and any(word in given for word in detail["msg"].split())
        # If the row has a field that the message names, the fault is not a missing field but one field too many.
        return "out_of_range" if there else "missing_field"
    if kind == "missing":
        return "missing_field"
    if kind == "extra_forbidden":
        return "unknown_field"
    if kind.endswith(("_type", "_parsing")) or kind.startswith("is_instance"):
        return "wrong_type"
    return "out_of_range"


def _fault(findings: Sequence[Finding], row: int, line: int, kind: str = "", custom_id: str | None = None) -> RowFault:
    """Return the fault of a row: the first finding. Its message also names the fields of the other findings."""
    code, field, message = findings[0]
    others = sorted({finding.field or "the row" for finding in findings[1:]} - {field})
    more = f" (also wrong: {_clipped(', '.join(others))})" if others else ""
    return RowFault(row, line, code, _clipped(message) + more, field and _clipped(field), kind, custom_id)


def _shown(value: object) -> str:
    """Return a value as a message quotes it, in at most 80 characters."""
    return _clipped(repr(value), 80)


def _clipped(text: str, most: int = _MESSAGE_CHARACTERS) -> str:
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"

"""Defines the fields that any row may have, and gives the values of a row by field.

JSON types are strict: "5" is not a number. The exceptions are in `row_values.py`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from jobs.errors import RequestError
from jobs.formats.json_lines import Finding, as_integer, read_value
from jobs.intake.row_checks import RowChecks
from jobs.intake.row_values import reader_of
from jobs.kinds.kind import Kind
from jobs.template_kwargs import TemplateKwargs

TENANT: Final = r"^[A-Za-z0-9._-]{1,64}$"
"""A tenant's name matches this pattern: 1 to 64 ASCII letters, digits, dots, hyphens or underscores."""

_NAME_CHARACTERS: Final = 256
"""A custom_id or the name of an adapter has at most this many characters."""

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
    checks: RowChecks | None = Field(
        default=None,
        description="What is changed of checks of content for this row, by check: severity (fail, review, note or off) and "
        'limits, or the severity alone, such as {"gap": "off", "words_off_target": {"off_percent": 20}}.',
    )
    metadata: dict[str, Any] | None = Field(
        default=None, description="Values of your own; the output row has them unchanged."
    )


ENVELOPE_FIELDS: Final = frozenset(Envelope.model_fields)
"""The names of the fields that any row may have."""

_ENVELOPE: Final = reader_of(Envelope, only_fields=True)


class RowValues(NamedTuple):
    """The values of a row by field: those of `Envelope`, and those of the row's kind."""

    envelope: dict[str, Any]
    own: dict[str, Any]

    def over(self, given: "RowValues") -> "RowValues":
        """Return these values, and those of `given` for fields that are missing here."""
        if not given.envelope and not given.own:
            return self
        return RowValues({**given.envelope, **self.envelope}, {**given.own, **self.own})


def envelope_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of `Envelope`, read as its fields mean them."""
    envelope: dict[str, Any] = _ENVELOPE(values)
    if "custom_id" in envelope:
        envelope["custom_id"] = _as_name(envelope["custom_id"])
    return envelope


def own_of(kind: Kind, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values without those of `Envelope`, read as the fields of the kind's request mean them (`row_values.py`)."""
    own: dict[str, Any] = reader_of(kind.request_type, without=ENVELOPE_FIELDS)(values)
    return own


def given_field(text: str) -> tuple[str, Any]:
    """Return the field and the value of `FIELD=VALUE`. A value that is not JSON is taken as text.

    Raises RequestError for a text of another form.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise RequestError(f"--set {text}: give it as FIELD=VALUE")
    try:
        parsed = read_value(value)
    except ValueError:
        return name, value
    if isinstance(parsed, Finding):
        raise RequestError(f"--set {name}: {parsed.message}")
    return name, parsed


def _as_name(custom_id: Any) -> Any:
    """Return a custom_id that is a whole number as text: `7` for 7.0. Any other value is returned unchanged."""
    if isinstance(custom_id, str):
        return custom_id
    number = as_integer(custom_id)
    return str(number) if isinstance(number, int) and not isinstance(number, bool) else custom_id


def valid_custom_id(custom_id: Any) -> str | None:
    """Return the custom_id as text; None if it is not valid."""
    custom_id = _as_name(custom_id)
    return custom_id if isinstance(custom_id, str) and 0 < len(custom_id) <= _NAME_CHARACTERS else None

"""Makes the fault of a refused row: a code, a line, a field and a message with the remedy.

Long texts of a row are shortened in its fault.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from jobs.did_you_mean import did_you_mean
from jobs.errors import CODES
from jobs.formats.json_lines import Finding
from jobs.intake.reasons import reason_of
from jobs.intake.row_fields import Envelope
from jobs.writing.fields import LIST_TAG, TEXT_TAG

_MESSAGE_CHARACTERS: Final = 300
"""The message of a fault, its field and the names of other fields are each clipped to this many characters."""

_FAULTS: Final = 20
"""At most this many faults of a row are looked at. A hostile row may have a hundred thousand."""

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


def validated(validate: Callable[[], _Model], findings: list[Finding], model: type[BaseModel]) -> _Model | None:
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
    path = [str(part) for n, part in enumerate(detail["loc"]) if n < 2 or part not in (TEXT_TAG, LIST_TAG)]
    return Finding(code, ".".join(path) or None, message)


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


def fault_of(
    findings: Sequence[Finding], row: int, line: int, kind: str = "", custom_id: str | None = None
) -> RowFault:
    """Return the fault of a row: the first finding. Its message also names the fields of the other findings."""
    code, field, message = findings[0]
    others = sorted({finding.field or "the row" for finding in findings[1:]} - {field})
    more = f" (also wrong: {_clipped(', '.join(others))})" if others else ""
    return RowFault(row, line, code, _clipped(message) + more, field and _clipped(field), kind, custom_id)


def shown(value: object) -> str:
    """Return a value as a message quotes it, in at most 80 characters."""
    return _clipped(repr(value), 80)


def _clipped(text: str, most: int = _MESSAGE_CHARACTERS) -> str:
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"

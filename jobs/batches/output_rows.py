"""An output row is the published form of an outcome: one JSON object.

A completed row has its output, its verdict, its usage and its receipt. Any other row has an `error` in place of the output. A
failed row also has the usage of its last attempt. If checks found something, the row has `findings`; if it failed by them, it
also has the output that they refused, as `rejected`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from jobs.batches.batch import PUT_OFF, Closed
from jobs.batches.request_row import RowRequest
from jobs.errors import CODES
from jobs.usage import NAMES, counts_of

_RECEIPT: Final = ("model_revision", "adapter", "engine", "finish_reason", "seed")
PRICED: Final = ("prices", "currency")
"""Fields of the receipt that are published in `usage`: the version of the prices, and the currency of the amounts."""
_JUDGED: Final = ("verdict", "findings", "rejected")
_WHEN: Final = ("worker", "started_at", "finished_at")

TEMPLATE_DIGITS: Final = 12
"""The accounts name a template by this many hex digits of its sha256."""

Line = Mapping[str, Any]
"""A line of a segment: the fields of an `Outcome`, without those that are None."""


def published_row(batch_id: str, line: Line) -> dict[str, Any]:
    """Return the row to publish if this line wins: an output row if the line is completed, else an error row."""
    return (output_row if line["status"] == "completed" else error_row)(batch_id, line)


def output_row(batch_id: str, line: Line) -> dict[str, Any]:
    """Return a completed row. Further fields of the receipt, such as templates and device, follow the fixed ones."""
    receipt = line.get("receipt", {})
    row = {
        **_identity(batch_id, line, "completed"),
        "output": line.get("output"),
        **_judged(line),
        "usage": _usage(line),
        "model": line.get("model", ""),
        **{name: receipt.get(name) for name in _RECEIPT},
        "attempt": line.get("attempt", 1),
        **{name: receipt.get(name) for name in _WHEN},
    }
    return {**row, **_metadata(line), **{n: v for n, v in receipt.items() if n not in row and n not in PRICED}}


def error_row(batch_id: str, line: Line) -> dict[str, Any]:
    """Return a row whose failure is final. Its `usage` is that of the last attempt; this usage is not charged."""
    receipt = line.get("receipt", {})
    return {
        **_identity(batch_id, line, "failed"),
        "error": line.get("error"),
        **_judged(line),
        "usage": _usage(line),
        "model": line.get("model", ""),
        "attempt": line.get("attempt", 1),
        **{name: receipt[name] for name in _WHEN if name in receipt},
        **_metadata(line),
    }


def closed_row(batch_id: str, row: int, request: RowRequest | None, closed: Closed) -> dict[str, Any]:
    """Return the published row for a row that has no outcome in a closed round. `request` is None if no line of the input holds
    the request.
    """
    error: dict[str, Any] = {"code": closed.reason, "message": CODES[closed.reason]}
    status = "expired" if closed.reason in PUT_OFF else closed.reason
    values = {
        "batch_id": batch_id,
        "row": row,
        "custom_id": request.custom_id if request else None,
        "tenant": request.tenant if request else "",
        "kind": request.kind if request else "",
        "status": status,
        "error": {**error, "line": request.line} if request else error,
        "model": request.model if request else "",
    }
    return {**values, "metadata": request.metadata} if request and request.metadata is not None else values


def codes_of(findings: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the codes of a row's findings, each once, in their order: the most severe first."""
    return list(dict.fromkeys(str(found["code"]) for found in findings))


def code_of(error: Any) -> str:
    """Return the code of a row's error; an empty text if it has none."""
    return str(error.get("code", "")) if isinstance(error, Mapping) else ""


def first_template(receipt: Mapping[str, Any]) -> str:
    """Return the shortened hash of the template of a row's first prompt; empty if the prompt came from no template."""
    return short_template(next(iter((receipt.get("templates") or {}).values()), None))


def short_template(sha256: str | None) -> str:
    """Return the first `TEMPLATE_DIGITS` digits of a template's hash; empty for None."""
    return (sha256 or "")[:TEMPLATE_DIGITS]


def _identity(batch_id: str, line: Line, status: str) -> dict[str, Any]:
    return {
        "batch_id": batch_id,
        "row": line["row"],
        "custom_id": line.get("custom_id"),
        "tenant": line.get("tenant", ""),
        "kind": line["kind"],
        "status": status,
    }


def _usage(line: Line) -> dict[str, Any]:
    counts = dict[str, Any](zip(NAMES, counts_of(line["usage"]), strict=True))
    receipt = line.get("receipt", {})
    counts["prices"] = receipt.get("prices")
    return counts if (currency := receipt.get("currency")) is None else {**counts, "currency": currency}


def _judged(line: Line) -> dict[str, Any]:
    """Return what the checks said, without what is missing."""
    return {name: line[name] for name in _JUDGED if line.get(name) is not None}


def _metadata(line: Line) -> dict[str, Any]:
    return {"metadata": line["metadata"]} if "metadata" in line else {}

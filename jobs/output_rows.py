"""Output rows: the published form of an outcome, a JSON object a row.

A completed row carries its output, its usage and its receipt; any other has an `error` in place of the output, and keeps what it
cost, so that waste can be added up from the files alone.
"""

from typing import Any, Final

from jobs.batch import Closed
from jobs.errors import CODES
from jobs.job import RowRequest
from jobs.segment import Outcome

_RECEIPT: Final = ("model_revision", "adapter", "engine", "finish_reason", "seed")
_WHEN: Final = ("worker", "started_at", "finished_at")


def output_row(batch_id: str, outcome: Outcome) -> dict[str, Any]:
    """A completed row. What its receipt holds beyond the fixed fields (templates, device) stands at the end."""
    receipt = outcome.receipt
    row = {
        **_identity(batch_id, outcome, "completed"),
        "output": outcome.output,
        "usage": _usage(outcome),
        "model": outcome.model,
        **{name: receipt.get(name) for name in _RECEIPT},
        "attempt": outcome.attempt,
        **{name: receipt.get(name) for name in _WHEN},
    }
    return {**row, **_metadata(outcome), **{n: v for n, v in receipt.items() if n not in row and n != "prices"}}


def error_row(batch_id: str, outcome: Outcome) -> dict[str, Any]:
    """A row whose failure is final. `usage` is what its last attempt cost; nothing of it is charged."""
    return {
        **_identity(batch_id, outcome, "failed"),
        "error": outcome.error,
        "usage": _usage(outcome),
        "model": outcome.model,
        "attempt": outcome.attempt,
        **{name: outcome.receipt[name] for name in _WHEN if name in outcome.receipt},
        **_metadata(outcome),
    }


def closed_row(batch_id: str, row: int, request: RowRequest | None, closed: Closed) -> dict[str, Any]:
    """A row that had no outcome when its round was closed. None: its request cannot be read."""
    error: dict[str, Any] = {"code": closed.reason, "message": CODES[closed.reason]}
    status = "expired" if closed.reason == "postponed" else closed.reason
    values = {
        "batch_id": batch_id,
        "row": row,
        "custom_id": request.custom_id if request else None,
        "kind": request.kind if request else "",
        "status": status,
        "error": {**error, "line": request.line} if request else error,
        "model": request.model if request else "",
    }
    return {**values, "metadata": request.metadata} if request and request.metadata is not None else values


def _identity(batch_id: str, outcome: Outcome, status: str) -> dict[str, Any]:
    return {
        "batch_id": batch_id,
        "row": outcome.row,
        "custom_id": outcome.custom_id,
        "kind": outcome.kind,
        "status": status,
    }


def _usage(outcome: Outcome) -> dict[str, Any]:
    return {**outcome.usage.as_dict(), "prices": outcome.receipt.get("prices")}


def _metadata(outcome: Outcome) -> dict[str, Any]:
    return {} if outcome.metadata is None else {"metadata": outcome.metadata}

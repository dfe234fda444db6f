"""Outcomes of attempts as a worker would write them, for tests that run no worker."""

from typing import Any, Final

from jobs.batches.segments.line import Outcome
from jobs.lanes.job import JobKey, Lease
from jobs.usage import Usage
from tests.support.clocks import EVENING

RECEIPT: Final = {
    "engine": "stub",
    "finish_reason": "stop",
    "seed": 7,
    "worker": "w",
    "prices": "example-2026-11",
    "started_at": EVENING.isoformat(),
    "finished_at": EVENING.isoformat(),
}


def finding(code: str = "gap", severity: str = "review", message: str = "a gap", **fields: Any) -> dict[str, Any]:
    """Return a finding as an outcome holds it."""
    return {"code": code, "severity": severity, "message": message, "tries": 1, **fields}


def completed(of: Lease | int, **fields: Any) -> Outcome:
    """Return the completed line of a row, which is given by its lease or by its number. `fields` replace fields of the outcome.

    Row n used 100 + n prompt tokens and 10 completion tokens, so that sums show which rows are in them.
    """
    row = of.key.row if isinstance(of, Lease) else of
    usage = Usage(100 + row, 0, 10, 1_000_000_000, 13_889, 1_400_000 + 10_000 * row)
    values = {"status": "completed", "output": {"text": f"Text {row}"}, "usage": usage, "receipt": RECEIPT}
    return _outcome(of, {**values, **fields})


def failed(of: Lease | int, code: str = "empty_output", **fields: Any) -> Outcome:
    """Return the failed line of a row. The failure is final unless `final=False`."""
    return _outcome(of, {"status": "failed", "error": {"code": code, "message": "broken", "line": None}, **fields})


def _outcome(of: Lease | int, fields: dict[str, Any]) -> Outcome:
    lease = of if isinstance(of, Lease) else Lease(JobKey("", of), 1, 1, "w-i-0")
    line: dict[str, Any] = {
        "row": lease.key.row,
        "round": lease.round,
        "fence": lease.fence,
        "claim_id": lease.claim_id,
        "final": True,
        "kind": "chat",
        "model": "stub",
    }
    return Outcome(**{**line, **fields})

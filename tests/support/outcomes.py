"""Outcomes of attempts as a worker would write them, for tests that run no worker."""

from typing import Any

from jobs.batches.segments.segment import Outcome
from jobs.lanes.job import JobKey, Lease


def completed(of: Lease | int, **fields: Any) -> Outcome:
    """The completed line of a leased row, or of a row by its number. `fields` replace those of the outcome."""
    return _outcome(of, {"status": "completed", "output": {"text": "Well said."}, **fields})


def failed(of: Lease | int, code: str = "empty_output", **fields: Any) -> Outcome:
    """The same row's failure, which is final unless `final=False`."""
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

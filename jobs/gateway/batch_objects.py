"""The object `batch` of OpenAI's API, made from a submission, its decision and the status of its batch.

A status follows from what was published, not from a marker: a batch of which every row completed is completed, also where its
deadline closed the round. Optional fields that are not set are left out, since OpenAI's schema has no null there. What OpenAI's
object has no field for stands in `nightpress`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from jobs.batches.batch import Done
from jobs.gateway.statuses import Seen
from jobs.operations.status import BatchStatus
from jobs.prices import exact
from jobs.submissions.records import Decision, LineFault, Submission

ENDED: Final = frozenset({"completed", "failed", "expired", "cancelled"})
"""The statuses of a batch that has ended."""


def batch_object(submission: Submission, decision: Decision | None, seen: Seen | None) -> dict[str, Any]:
    """Return the object. `seen` is the batch, if the submission was admitted."""
    status = batch_status(decision, seen)
    fields = {
        "id": submission.id,
        "object": "batch",
        "endpoint": submission.endpoint,
        "input_file_id": submission.input_file_id,
        "completion_window": submission.window,
        "status": status,
        "created_at": seconds(submission.created_at),
        "expires_at": seconds(submission.deadline),
        "metadata": dict(submission.metadata) or None,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
    }
    if decision is not None and decision.outcome == "refused":
        fields |= {"failed_at": seconds(decision.at), "errors": _errors(decision.faults)}
    if decision is not None and decision.outcome == "cancelled":
        fields |= {"cancelling_at": seconds(decision.at), "cancelled_at": seconds(decision.at)}
    if decision is not None and seen is not None:
        fields |= _of_batch(submission, decision, seen, status)
    return {name: value for name, value in fields.items() if value is not None}


def batch_status(decision: Decision | None, seen: Seen | None) -> str:
    """Return the status in OpenAI's words."""
    if decision is None:
        return "validating"
    if decision.outcome != "admitted" or seen is None:
        return "cancelled" if decision.outcome == "cancelled" else "failed"
    state = seen.status.state
    if state == "published":
        return _ending(seen.status)
    if state == "cancelling":
        return "cancelling"
    return "finalizing" if state in ("publishing", "expiring") else "in_progress"


def seconds(at: datetime) -> int:
    """Return a time in Unix seconds."""
    return int(at.timestamp())


def output_id(submission_id: str, round_: int, *, errors: bool) -> str:
    """Return the id of the file of a published round: its outputs, or its errors."""
    return f"file-{'err' if errors else 'out'}-{submission_id.removeprefix('batch_')}-r{round_}"


def _ending(status: BatchStatus) -> str:
    if status.completed < status.rows:
        if status.cancelled:
            return "cancelled"
        if status.expired:
            return "expired"
    return "completed"


def _of_batch(submission: Submission, decision: Decision, seen: Seen, status: str) -> dict[str, Any]:
    one, done = seen.status, seen.done
    not_done = one.failed + one.cancelled + one.expired
    fields: dict[str, Any] = {
        "in_progress_at": seconds(decision.at),
        "request_counts": {"total": one.rows, "completed": one.completed, "failed": not_done},
        "usage": _usage(one),
        "model": next(iter(seen.batch.lanes.values())).model if len(seen.batch.lanes) == 1 else None,
        "nightpress": _extension(seen),
    }
    if done is not None:
        fields |= _files(submission, done)
    if seen.closed is not None and seen.closed.reason == "cancelled" and status in ("cancelling", "cancelled"):
        fields["cancelling_at"] = seconds(seen.closed.at)
    if one.published_at is not None and status in ENDED:
        fields["finalizing_at"] = fields[f"{status}_at"] = seconds(one.published_at)
    elif status == "finalizing" and seen.closed is not None:
        fields["finalizing_at"] = seconds(seen.closed.at)
    return fields


def _files(submission: Submission, done: Done) -> dict[str, Any]:
    found = {}
    for field, name in (("output_file_id", "output.jsonl"), ("error_file_id", "errors.jsonl")):
        if done.files[name].rows:
            found[field] = output_id(submission.id, done.round, errors=field == "error_file_id")
    return found


def _usage(one: BatchStatus) -> dict[str, Any]:
    used = one.usage
    return {
        "input_tokens": used.prompt_tokens,
        "input_tokens_details": {"cached_tokens": used.cached_prompt_tokens},
        "output_tokens": used.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": used.prompt_tokens + used.completion_tokens,
    }


def _extension(seen: Seen) -> Mapping[str, Any]:
    one = seen.status
    fields = {
        "batch": one.id,
        "state": one.state,
        "round": one.round,
        "tenant": one.tenant,
        "verdicts": dict(one.verdicts) or None,
        "codes": dict(one.codes) or None,
        "rows_per_s": one.rows_per_s,
        "tokens_per_s": one.tokens_per_s,
        "expected_end": _moment(one.expected_end),
        "expected_end_low": _moment(one.expected_end_low),
        "expected_end_high": _moment(one.expected_end_high),
        "charge": exact(one.usage.charge, one.currency),
        "device_cost": exact(one.usage.device_cost, one.currency),
        "wasted": exact(one.wasted.device_cost, one.currency),
        "currency": one.currency,
        "paused": None if one.state != "paused" else one.paused_reason or "an operator paused its model",
    }
    return {name: value for name, value in fields.items() if value is not None}


def _moment(at: datetime | None) -> int | None:
    return None if at is None else seconds(at)


def _errors(faults: tuple[LineFault, ...]) -> dict[str, Any]:
    data = [{n: v for n, v in fault.model_dump(exclude={"format"}).items() if v is not None} for fault in faults]
    return {"object": "list", "data": data}

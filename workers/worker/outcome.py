"""The outcome of an attempt: the line for its segment, and the settlement for the queue.

Only this module turns the end of an attempt into an outcome; `workers.worker.retry` decides whether a failed attempt is tried
again. This module also makes the line of an attempt whose lease was lost. And it makes the final failure of a row that is not
run, because workers died of it or because its request cannot be read.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson

from jobs.batches.budgets.reservation import capped
from jobs.batches.request_row import RowRequest
from jobs.batches.segments.line import Outcome
from jobs.errors import CheckFailed, RowError
from jobs.lanes.job import Job, Lease
from jobs.lanes.protocol import Settlement
from jobs.prices import Prices
from workers.worker.attempt import Attempt
from workers.worker.retry import RetryPolicy


@dataclass(frozen=True)
class OutcomeBuilder:
    """Makes the outcomes of one worker.

    `identity` goes into each receipt: the engine, the device, the model's revision and its number format. `adapters` has the
    revisions of the model's adapters by name; that of the row's adapter goes into its receipt.
    """

    worker: str
    model: str
    device: str
    identity: Mapping[str, Any]
    prices: Prices
    retry: RetryPolicy
    adapters: Mapping[str, str] = field(default_factory=dict)

    def ended(
        self, attempt: Attempt, error: RowError | None, now: datetime, rng: random.Random
    ) -> tuple[Outcome, Settlement]:
        """Return two values for an attempt that has ended: the line, and the settlement, which may ask for a retry.

        The line holds the attempt's output, or the `error` that ended the attempt. If what the kind returned cannot be written as
        JSON, only this row fails, and the other rows of its segment do not.
        """
        job = attempt.job
        delay_s = None if error is None else self.retry.delay_s(error, job.attempt, rng)
        prices = attempt.prices or self.prices
        usage = prices.price(attempt.usage, model=self.model, device=self.device)
        wasted = prices.price(attempt.wasted, model=self.model, device=self.device)
        if attempt.prices is not None:  # a budget limits the batch: no more is charged than was reserved
            usage = capped(usage, attempt.row, prices)
        ours = {
            "worker": self.worker,
            "prices": prices.version,
            "currency": prices.currency,
            "started_at": _rfc3339(attempt.started_at),
            "finished_at": _rfc3339(now),
        }
        outcome = Outcome(
            **self._head(job, job.lease, attempt.row),
            status="completed" if error is None else "failed",
            final=delay_s is None,
            attempt=job.attempt,
            output=None if attempt.output is None else attempt.output.model_dump(mode="json"),
            verdict=None if error is not None else attempt.verdict,
            findings=[found.model_dump(mode="json", exclude_none=True) for found in attempt.findings] or None,
            rejected=None if attempt.rejected is None else attempt.rejected.model_dump(mode="json"),
            error=None if error is None else _as_values(error, attempt.row),
            usage=usage,
            wasted=wasted,
            receipt={**self.identity, **adapter_receipt(attempt.row.adapter, self.adapters), **attempt.receipt, **ours},
        )
        try:
            orjson.dumps((outcome.output, outcome.error, outcome.receipt, outcome.findings, outcome.rejected))
        except TypeError as fault:
            failed = CheckFailed("kind_failed", f"kind {attempt.kind.name}: what it returned is not JSON: {fault}")
            values, receipt = _as_values(failed, attempt.row), {**self.identity, **ours}
            outcome = replace(outcome, status="failed", final=True, output=None, error=values, receipt=receipt)
            outcome = replace(outcome, verdict=None, findings=None, rejected=None)
        if outcome.final:
            return outcome, Settlement(job.lease)
        return outcome, Settlement(job.lease, "retry", int((delay_s or 0.0) * 1000))

    def crashed(self, job: Job, lease: Lease, now: datetime) -> Outcome:
        """Return the line of an attempt whose lease ran out. The line is never final.

        After Redis has lost its data, crashes are counted again from such lines (rule 12).
        """
        return Outcome(
            **self._head(job, lease, None),
            status="crashed",
            final=False,
            attempt=job.attempt,
            solo=job.lost_solo or None,
            receipt={"worker": lease.claim_id, "finished_at": _rfc3339(now)},
        )

    def buried(self, job: Job, row: RowRequest, now: datetime) -> tuple[Outcome, Settlement]:
        """Return the line and the settlement of a row that is buried because its workers died (rule 11 of jobs/PROTOCOL.md)."""
        alone = f", {job.solo_crashes} times with no other row in hand" if job.solo_crashes else ""
        error = RowError("crashed_worker", f"its worker died {job.crashes} times{alone}")
        return self._final_failure(job, row, error, now)

    def unreadable(self, job: Job, error: RowError, now: datetime) -> tuple[Outcome, Settlement]:
        """Return the line and the settlement of a row whose stored request cannot be read: the row has failed for good."""
        return self._final_failure(job, None, error, now)

    def _final_failure(
        self, job: Job, row: RowRequest | None, error: RowError, now: datetime
    ) -> tuple[Outcome, Settlement]:
        outcome = Outcome(
            **self._head(job, job.lease, row),
            status="failed",
            final=True,
            attempt=job.attempt,
            error=_as_values(error, row),
            receipt={**self.identity, "worker": self.worker, "finished_at": _rfc3339(now)},
        )
        return outcome, Settlement(job.lease)

    def _head(self, job: Job, lease: Lease, row: RowRequest | None) -> dict[str, Any]:
        return {
            "row": job.key.row,
            "round": lease.round,
            "fence": lease.fence,
            "claim_id": lease.claim_id,
            "kind": row.kind if row else "",
            "custom_id": row.custom_id if row else None,
            "tenant": row.tenant if row else "",
            "metadata": row.metadata if row else None,
            "model": self.model,
            "cost": row.cost if row else 0,
        }


def _as_values(error: RowError, row: RowRequest | None) -> dict[str, Any]:
    """Return the error as it stands in an outcome: code and message, and if they are known, the input's line and the field."""
    values: dict[str, Any] = {"code": error.code, "message": error.message}
    if row is not None:
        values["line"] = row.line
    if error.field is not None:
        values["field"] = error.field
    return values


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def adapter_receipt(adapter: str | None, revisions: Mapping[str, str]) -> Mapping[str, str]:
    """Return what a receipt says about the adapter of a row beside its name."""
    return {} if adapter is None or adapter not in revisions else {"adapter_revision": revisions[adapter]}

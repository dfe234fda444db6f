"""The reader of statuses asks storage and the queue how far batches are. It reads only what is new since its last look.

Storage decides which rows have outcomes, and the queue which rows wait or are leased. Without a queue, storage alone is asked.
"""

import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from jobs.batches.batch import Batch, BatchPaths, CloseReason, Done
from jobs.batches.budgets.state import BudgetState, state_of
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.published import read_usage
from jobs.batches.quotes.quoted import read_quoted
from jobs.batches.quotes.sample import drawn_counts, read_sample
from jobs.batches.records import no_batch
from jobs.batches.round import Round
from jobs.batches.rounds import Clock, budget_at, now, read_round, require_batch
from jobs.batches.segments.files import each_heads, list_files, until_read
from jobs.errors import NoBatch, QueueUnavailable, StoreDamaged
from jobs.lanes.protocol import Lanes, LaneSnapshot
from jobs.operations.outlook.first_end import Forecaster
from jobs.operations.rate import Progress
from jobs.operations.status import BatchStatus, State, Status
from jobs.planning.intervals import Interval
from jobs.prices import Prices
from jobs.publishing.auditing import read_audit
from jobs.publishing.delivery import is_delivered
from jobs.store.damage import collect_damage
from jobs.store.store import Store
from jobs.usage import Remembered, Usage

FORGET_AFTER: Final = timedelta(hours=1)
"""A reader drops its memory of an open batch that nobody has asked about for this long."""

_ENDING: Final[Mapping[CloseReason, State]] = {
    "cancelled": "cancelling",
    "expired": "expiring",
    "postponed": "publishing",
    "over_budget": "publishing",
}


@dataclass
class _Watched:
    """A reader's memory of one open batch. The thread that brings it up to date holds `lock`."""

    index: OutcomeIndex
    asked_at: datetime
    progress: Progress = field(default_factory=Progress)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class StatusReader:
    """Reads the status of batches, each time only what is new. Safe to share between threads.

    The reader keeps one byte for each row of an open batch that it was asked about, until the batch is published or nobody has
    asked about it for `FORGET_AFTER`.

    Attributes:
        store: The storage.
        queue: The queue; None if no queue is to be asked.
        prices: The prices. A batch without any outcome is shown in the currency of these prices.
        clock: Returns the time, in UTC.
        lanes: Lanes whose workers are shown even if the queue has heard of no batch in them.
        counts_late: Whether to fill `BatchStatus.late`, to name the clusters of `BatchStatus.audit`, and to show quotes that
            somebody has agreed to. If True, the heads of all
            segments of a published batch are read.
        forecaster: Forecasts the end of a batch of which no row has ended yet; None if none is to be forecast.
    """

    store: Store
    queue: Lanes | None = None
    prices: Prices = field(default_factory=Prices)
    clock: Clock = now
    lanes: Collection[str] = ()
    counts_late: bool = False
    forecaster: Forecaster | None = None
    _watched: dict[str, _Watched] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def batch(self, batch_id: str) -> BatchStatus:
        """Return the status of one batch now. Raises NoBatch, StoreUnavailable."""
        found = self.read([batch_id]).batches
        if not found:
            raise no_batch(batch_id)
        return found[0]

    def read(self, batch_ids: Sequence[str], faults: list[StoreDamaged] | None = None) -> Status:
        """Return the status of these batches now, and every worker of every lane. Raises StoreUnavailable.

        A batch that was deleted is left out. A damaged batch is left out, and its error is added to `faults`; without `faults`,
        the error is raised.
        """
        lanes, fault = self._snapshots()
        batches = []
        for batch_id in batch_ids:
            with collect_damage(faults), suppress(NoBatch):
                batches.append(self._status(batch_id, lanes))
                if self.counts_late and batches[-1].published_at is not None:
                    try:
                        batches[-1] = self._with_late(batches[-1])
                    except NoBatch:
                        batches.pop()
        workers = [worker for snapshot in (lanes or {}).values() for worker in snapshot.workers]
        paused = {lane: snapshot.reason for lane, snapshot in (lanes or {}).items() if snapshot.paused}
        return Status(batches, sorted(workers, key=lambda worker: (worker.lane, worker.worker)), fault, paused)

    def _snapshots(self) -> tuple[Mapping[str, LaneSnapshot] | None, str | None]:
        if self.queue is None:
            return None, "NIGHTPRESS_REDIS_URL names no queue to ask"
        try:
            return {lane: self.queue.snapshot(lane) for lane in sorted({*self.queue.lanes(), *self.lanes})}, None
        except QueueUnavailable as error:
            return None, str(error)

    def _status(self, batch_id: str, lanes: Mapping[str, LaneSnapshot] | None) -> BatchStatus:
        try:
            batch = require_batch(self.store, batch_id)
            current = read_round(self.store, batch)
            done = current.published
        except NoBatch:
            self._forget(batch_id)
            raise
        if done is None:
            watched = self._watch(batch)
            with watched.lock:
                watched.index.refresh()
                current = watched.index.current
                done = current.published
                if done is None:
                    at, index = self.clock(), watched.index
                    status = self._with_quote(_unfinished(index, lanes, self.prices.currency), index)
                    return watched.progress.look(
                        self.store, index, status, lanes, at, partial(self._forecast, index, lanes, at)
                    )
        self._forget(batch_id)
        return self._published(batch, current, done)

    def _with_quote(self, one: BatchStatus, index: OutcomeIndex) -> BatchStatus:
        """Add how far the batch is quoted. A quote that was agreed to is added only if details are wanted."""
        batch, quoting = index.batch, index.current.quoting
        if batch.quote is None:
            return one
        if quoting is None or quoting.is_quoted:
            return replace(one, quote=read_quoted(self.store, batch)) if quoting or self.counts_late else one
        return replace(one, drawn=sum(drawn_counts(self.store, batch, read_sample(self.store, batch), quoting)))

    def _forecast(self, index: OutcomeIndex, lanes: Mapping[str, LaneSnapshot] | None, at: datetime) -> Interval | None:
        """Return in how many seconds a batch is done of which no row has ended; None if that is not known."""
        return None if self.forecaster is None or lanes is None else self.forecaster(index, lanes, at)

    def _watch(self, batch: Batch) -> _Watched:
        """Return the memory of the batch. It is empty for a new batch, even if a deleted batch had the same id."""
        at = self.clock()
        with self._lock:
            for batch_id, watched in list(self._watched.items()):
                if at - watched.asked_at > FORGET_AFTER:
                    del self._watched[batch_id]
            known = self._watched.get(batch.batch_id)
            if known is None or known.index.batch != batch:
                known = self._watched[batch.batch_id] = _Watched(
                    OutcomeIndex(self.store, batch, keeps_dispersion=True), at
                )
            known.asked_at = at
            return known

    def _forget(self, batch_id: str) -> None:
        with self._lock:
            self._watched.pop(batch_id, None)

    def _published(self, batch: Batch, current: Round, done: Done) -> BatchStatus:
        usage = read_usage(self.store, done, batch.batch_id)
        audit = read_audit(self.store, batch.batch_id, done)
        if audit is not None and not self.counts_late:
            audit = audit.model_copy(update={"clusters": ()})
        return BatchStatus(
            **_named(batch),
            state="published" if current.stopped_by is None else "paused",
            paused_reason=current.stopped_by,
            budget=_published_budget(self.store, batch, current, usage),
            round=done.round,
            completed=done.counts.get("completed", 0),
            failed=done.counts.get("failed", 0),
            cancelled=done.counts.get("cancelled", 0),
            expired=done.counts.get("expired", 0),
            ready=0,
            delayed=0,
            leased=0,
            waiting=0,
            usage=Usage.from_dict(usage),
            wasted=Usage.from_dict(usage["wasted"]),
            memory=Remembered.from_dict(usage["memory"]) if "memory" in usage else None,
            currency=usage["currency"],
            codes=done.codes,
            verdicts={str(verdict): rows for verdict, rows in done.verdicts.items()},
            published_at=done.at,
            delivered=is_delivered(self.store, batch, done) if batch.output_url else None,
            quote=read_quoted(self.store, batch) if batch.quote is not None and self.counts_late else None,
            audit=audit,
        )

    def _with_late(self, one: BatchStatus) -> BatchStatus:
        """Add the late usage, which is in no published number. It is charged only if a further round publishes its rows."""
        late = spent(self.store, one.id, one.currency) - one.usage - one.wasted
        read_round(
            self.store, require_batch(self.store, one.id)
        )  # raises NoBatch if the batch was deleted while its files were read
        return replace(one, late=late)


def spent(store: Store, batch_id: str, currency: str) -> Usage:
    """Add up what all attempts of a batch used, from the heads of its segments. Amounts in another currency count as 0."""
    paths = BatchPaths(batch_id)

    def added() -> Usage:
        listing, seen, sums = list_files(store, paths), set[str](), Usage()
        for _, heads in each_heads(store, [*listing.alone, *listing.compacted]):
            for head in heads:
                if head.name not in seen:
                    seen.add(head.name)
                    of_head = head.usage + head.wasted
                    sums += of_head if head.currency in {None, currency} else replace(of_head, device_cost=0, charge=0)
        return sums

    return until_read(store, added)


def _published_budget(store: Store, batch: Batch, current: Round, usage: Mapping[str, Any]) -> BudgetState | None:
    """Return the state of the budget of a published batch. `usage` is its `usage.json`."""
    stored = usage.get("budget")
    if stored is None and batch.budget is None:
        return None
    currency = batch.budget.currency if batch.budget is not None else str(usage["currency"])
    budget = None if batch.budget is None else budget_at(store, batch, current.budget_entries)
    until = current.closed.until if current.waits_for_period and current.closed is not None else None
    return BudgetState(
        currency, budget, int(usage["charge"]), 0, int((stored or {}).get("at_risk", 0)), current.stopped_by, until
    )


def _named(batch: Batch) -> dict[str, Any]:
    return {
        "id": batch.batch_id,
        "name": batch.name,
        "tenant": batch.tenant,
        "rows": batch.rows,
        "refused": batch.refused,
        "created_at": batch.created_at,
        "documents": batch.documents.files if batch.documents else 0,
        "languages": batch.documents.languages if batch.documents else (),
        "deadline": batch.deadline,
    }


def _unfinished(index: OutcomeIndex, lanes: Mapping[str, LaneSnapshot] | None, currency: str) -> BatchStatus:
    batch = index.batch
    known = [
        schedule
        for lane in batch.lanes
        if lanes is not None and lane in lanes
        if (schedule := lanes[lane].batches.get(batch.batch_id)) is not None and schedule.round == index.round
    ]
    ready, delayed, leased = (
        sum(schedule.ready for schedule in known),
        sum(schedule.delayed for schedule in known),
        sum(schedule.leased for schedule in known),
    )
    completed, failed = index.counts["completed"], index.counts["failed"]
    return BatchStatus(
        **_named(batch),
        state=_state(index, lanes, leased),
        round=index.round,
        completed=completed,
        failed=failed,
        cancelled=0,
        expired=0,
        ready=ready,
        delayed=delayed,
        leased=leased,
        # A row whose outcome is written but not settled yet is counted twice for a moment: as finished and as leased.
        waiting=max(0, batch.rows - completed - failed - ready - delayed - leased),
        codes=index.codes,
        verdicts=index.verdicts,
        usage=index.usage,
        wasted=index.wasted,
        currency=index.currency or currency,
        paused_reason=index.current.paused.reason if index.current.paused else None,
        budget=state_of(index.book, currency),
    )


def _state(index: OutcomeIndex, lanes: Mapping[str, LaneSnapshot] | None, leased: int) -> State:
    if index.closed is not None:
        return "cancelling" if index.current.given_up else _ENDING[index.closed.reason]
    if index.complete:
        return "publishing"
    if index.current.is_held:
        return "paused" if index.current.paused is not None else "quoted"
    if lanes is None or leased:
        return "open" if lanes is None else "running"
    ours = [lanes[lane] for lane in index.batch.lanes if lane in lanes]
    if ours and all(lane.paused for lane in ours):
        return "paused"
    workers = [worker for lane in ours for worker in lane.workers]
    return "loading" if workers and all(worker.loading_s is not None for worker in workers) else "queued"

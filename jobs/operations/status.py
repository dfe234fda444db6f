"""How far the batches are, as data: counts by state, rates, cost so far, expected end, and who works.

Storage is the truth for outcomes, and the queue for what waits and what is leased; without a queue the rest still holds.
Of a published batch every number is the published one. What is shown, and how, is left to the command.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from jobs.batches.batch import Batch, BatchPaths, CloseReason, Done
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.published import read_usage
from jobs.batches.rounds import Clock, accepted, list_batches, load_batch, now, read_round
from jobs.batches.segments.files import each_heads, list_files, some_outcomes, until_read
from jobs.batches.segments.name import SegmentName
from jobs.errors import QueueUnavailable, StoreDamaged
from jobs.lanes.protocol import Lanes, LaneSnapshot, WorkerRecord
from jobs.operations.rate import Rate
from jobs.prices import Prices
from jobs.publishing.delivery import is_delivered
from jobs.store.damage import collect_damage
from jobs.store.store import Store
from jobs.usage import Usage

EARLIEST: Final = 8

State = Literal["open", "queued", "running", "paused", "cancelling", "expiring", "publishing", "published"]
"""`open` is said of a batch that is not published when no queue can be asked for more."""


_ENDING: Final[Mapping[CloseReason, State]] = {
    "cancelled": "cancelling",
    "expired": "expiring",
    "postponed": "publishing",
}


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """One batch at one moment. `waiting` rows are not on the queue yet; without a queue, all that lack an outcome.

    `delivered`: whether a published round is at the batch's output URL; None where it has none. `late`: what attempts cost
    that came after the round was published; None where nobody looked.
    """

    id: str
    name: str
    tenant: str
    state: State
    round: int
    rows: int
    completed: int
    failed: int
    cancelled: int
    expired: int
    ready: int
    delayed: int
    leased: int
    waiting: int
    usage: Usage
    wasted: Usage
    currency: str
    created_at: datetime
    deadline: datetime | None = None
    paused_reason: str | None = None
    published_at: datetime | None = None
    delivered: bool | None = None
    late: Usage | None = None
    rows_per_s: float | None = None
    tokens_per_s: float | None = None
    expected_end: datetime | None = None

    @property
    def finished(self) -> int:
        """Rows that have an outcome."""
        return self.completed + self.failed + self.cancelled + self.expired

    def as_dict(self) -> dict[str, Any]:
        """The flat form of `status --json`: counts, the six usage fields, times in RFC 3339."""
        values = asdict(self)
        usage, wasted = values.pop("usage"), values.pop("wasted")
        return {**values, **usage, "wasted": wasted}


@dataclass(frozen=True, slots=True)
class Status:
    """Batches and workers at one moment. `queue_fault` says why the queue was not asked.

    `paused` are the lanes that give no jobs, each with the reason why it paused itself; empty when an operator did.
    """

    batches: Sequence[BatchStatus]
    workers: Sequence[WorkerRecord]
    queue_fault: str | None = None
    paused: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The form of `status --json`."""
        return {
            "batches": [batch.as_dict() for batch in self.batches],
            "workers": [asdict(worker) for worker in self.workers],
            "paused": dict(self.paused),
        }


@dataclass
class StatusReader:
    """Reads the status of batches again and again, and only what is new since the last time.

    `lanes` are looked at for workers even if the queue has heard of no batch in them. `counts_late`: of published batches, it
    reads the heads of all segments, to tell what came late.
    """

    store: Store
    queue: Lanes | None = None
    prices: Prices = field(default_factory=Prices)
    clock: Clock = now
    lanes: Collection[str] = ()
    counts_late: bool = False
    _indexes: dict[str, OutcomeIndex] = field(default_factory=dict)
    _rates: dict[str, Rate] = field(default_factory=dict)
    _began: dict[str, datetime] = field(default_factory=dict)

    def batch(self, batch_id: str) -> BatchStatus:
        """One batch now. Raises RequestError when there is none of this id."""
        return self.read([batch_id]).batches[0]

    def read(self, batch_ids: Sequence[str], faults: list[StoreDamaged] | None = None) -> Status:
        """These batches now, and every worker of every lane. Raises RequestError, StoreUnavailable.

        Where `faults` are given, they get what is wrong with a batch that is damaged, and the others are read.
        """
        lanes, fault = self._snapshots()
        batches = []
        for batch_id in batch_ids:
            with collect_damage(faults):
                batches.append(self._of(batch_id, lanes))
                if self.counts_late and batches[-1].state == "published":
                    batches[-1] = self._with_late(batches[-1])
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

    def _of(self, batch_id: str, lanes: Mapping[str, LaneSnapshot] | None) -> BatchStatus:
        batch = accepted(self.store, batch_id)
        done = read_round(self.store, batch).published
        if done is None:
            index = self._indexes.setdefault(batch_id, OutcomeIndex(self.store, batch))
            index.refresh()
            done = index.current.published
            if done is None:
                return self._with_rate(index, _unfinished(index, lanes, self.prices.currency))
        return self._published(batch, done)

    def _published(self, batch: Batch, done: Done) -> BatchStatus:
        usage = read_usage(self.store, done, batch.batch_id)
        return BatchStatus(
            **_named(batch),
            state="published",
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
            currency=usage["currency"],
            published_at=done.at,
            delivered=is_delivered(self.store, batch, done) if batch.output_url else None,
        )

    def _with_late(self, one: BatchStatus) -> BatchStatus:
        """What ended late is in nothing that was published, and is charged only if a further round publishes a row of it."""
        return replace(one, late=spent(self.store, one.id, one.currency) - one.usage - one.wasted)

    def _with_rate(self, index: OutcomeIndex, status: BatchStatus) -> BatchStatus:
        """The rate over the window; before that spans enough, the mean since the first row was started."""
        at = self.clock()
        rate = self._rates.setdefault(status.id, Rate())
        rate.sample(at, status.finished, status.usage.completion_tokens)
        per_second, going_on = rate.per_second, True
        if per_second is None:
            per_second, going_on = self._mean(index, status, at), status.state == "running"
        if per_second is None:
            return status
        rows_per_s, tokens_per_s = per_second
        left = status.rows - status.finished
        end = at + timedelta(seconds=left / rows_per_s) if rows_per_s > 0 and going_on else None
        return replace(status, rows_per_s=rows_per_s, tokens_per_s=tokens_per_s, expected_end=end)

    def _mean(self, index: OutcomeIndex, status: BatchStatus, at: datetime) -> tuple[float, float] | None:
        if index.round > 1:  # the counts hold what was carried
            return None
        if status.id not in self._began:
            began = first_started(self.store, index.paths)
            if began is None:
                return None
            self._began[status.id] = began
        elapsed_s = (at - self._began[status.id]).total_seconds()
        if elapsed_s <= 0:
            return None
        return (status.finished - index.batch.refused) / elapsed_s, status.usage.completion_tokens / elapsed_s


def first_started(store: Store, paths: BatchPaths) -> datetime | None:
    """About when the first row of the batch was started, from the first lines of each worker's first segments."""
    files = list_files(store, paths)
    earliest = sorted(files.alone, key=lambda path: SegmentName.parse(path).n)[:EARLIEST]
    started = [
        outcome.receipt["started_at"]
        for outcome in some_outcomes(store, [*files.compacted[:1], *earliest], EARLIEST)
        if "started_at" in outcome.receipt
    ]
    return min(map(datetime.fromisoformat, started), default=None)


def spent(store: Store, batch_id: str, currency: str) -> Usage:
    """What all attempts of a batch cost, by the heads of its segments. Amounts are those in this currency."""
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


def listed(store: Store, published: int, faults: list[StoreDamaged] | None = None) -> Sequence[str]:
    """The ids of the open batches, oldest first, then of the last few published ones, newest first. `faults` as in `read`."""
    unfinished: list[tuple[datetime, str]] = []
    finished: list[tuple[datetime, str]] = []
    for batch_id in list_batches(store):
        with collect_damage(faults):
            if (batch := load_batch(store, batch_id)) is None:
                continue
            if (done := read_round(store, batch).published) is None:
                unfinished.append((batch.created_at, batch_id))
            else:
                finished.append((done.at, batch_id))
    newest = sorted(finished, reverse=True)[:published]
    return [batch_id for _, batch_id in (*sorted(unfinished), *newest)]


def _named(batch: Batch) -> dict[str, Any]:
    return {
        "id": batch.batch_id,
        "name": batch.name,
        "tenant": batch.tenant,
        "rows": batch.rows,
        "created_at": batch.created_at,
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
        # A row whose outcome is written and not yet settled is in both counts for a moment.
        waiting=max(0, batch.rows - completed - failed - ready - delayed - leased),
        usage=index.usage,
        wasted=index.wasted,
        currency=index.currency or currency,
        paused_reason=index.current.paused.reason if index.current.paused else None,
    )


def _state(index: OutcomeIndex, lanes: Mapping[str, LaneSnapshot] | None, leased: int) -> State:
    if index.closed is not None:
        return "cancelling" if index.current.given_up else _ENDING[index.closed.reason]
    if index.complete:
        return "publishing"
    if index.current.paused is not None:
        return "paused"
    if lanes is None:
        return "open"
    if leased:
        return "running"
    ours = [lanes[lane] for lane in index.batch.lanes if lane in lanes]
    return "paused" if ours and all(lane.paused for lane in ours) else "queued"

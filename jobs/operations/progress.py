"""The progress of an open batch: its rates and its expected end, from what a reader sees of it at each look."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from jobs.batches.batch import Batch, BatchPaths
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.segments.files import list_files, some_outcomes
from jobs.batches.segments.name import SegmentName
from jobs.lanes.protocol import LaneSnapshot
from jobs.operations.rate import Rate, Speed, UnderWay
from jobs.operations.status import BatchStatus
from jobs.store.store import Store

Snapshots = Mapping[str, LaneSnapshot]
"""The lanes of a queue by name."""

FIRST_SEGMENTS: Final = 8
"""To find when a batch's first row was started, this many of its first segments are read, and this many lines of each segment."""


@dataclass
class Progress:
    """A reader's memory of how fast one open batch goes on."""

    rate: Rate = field(default_factory=Rate)
    speed: Speed = field(default_factory=Speed)
    first_started: datetime | None = None

    def look(
        self, store: Store, index: OutcomeIndex, status: BatchStatus, lanes: Snapshots | None, at: datetime
    ) -> BatchStatus:
        """Take a reading, and return the status with the rate and the expected end. `lanes` is None if there is no queue.

        Until the window is long enough, the rate is the mean since the first row was started.
        """
        done, total = _work(index, status)
        is_running = lanes is None or status.leased > 0
        self.rate.sample(at, status.finished, status.usage.completion_tokens, is_running=is_running)
        self.speed.sample(at, done, _under_way(index.batch, status, lanes, at))
        self._note_first_started(store, index, status, is_seen=lanes is not None)
        per_second, left_s = self.rate.per_second or self._mean(index, status, at), self.speed.left_s(total)
        if per_second is None:
            return status
        rows_per_s, tokens_per_s = per_second
        end = None if left_s is None else at + timedelta(seconds=left_s)
        return replace(status, rows_per_s=rows_per_s, tokens_per_s=tokens_per_s, expected_end=end)

    def _note_first_started(self, store: Store, index: OutcomeIndex, status: BatchStatus, *, is_seen: bool) -> None:
        """Look for the time when the first row was started, once there are outcomes. `is_seen`: whether the queue was asked.

        In a further round the time is not known, since outcomes of earlier rounds are in the store too.
        """
        if index.round > 1 or self.first_started is not None or status.finished <= index.batch.refused:
            return
        self.first_started = first_started(store, index.paths)
        if self.first_started is not None:
            self.rate.begin(self.first_started)
            if is_seen:
                self.speed.begin(self.first_started, 0)

    def _mean(self, index: OutcomeIndex, status: BatchStatus, at: datetime) -> tuple[float, float] | None:
        if self.first_started is None or (elapsed_s := (at - self.first_started).total_seconds()) <= 0:
            return None
        return (status.finished - index.batch.refused) / elapsed_s, status.usage.completion_tokens / elapsed_s


def first_started(store: Store, paths: BatchPaths) -> datetime | None:
    """Return about when the first row of the batch was started; None if no line shows it.

    This time comes from the first lines of each worker's first segments.
    """
    files = list_files(store, paths)
    earliest = sorted(files.alone, key=lambda path: SegmentName.parse(path).n)[:FIRST_SEGMENTS]
    started = [
        outcome.receipt["started_at"]
        for outcome in some_outcomes(store, [*files.compacted[:1], *earliest], FIRST_SEGMENTS)
        if "started_at" in outcome.receipt
    ]
    return min(map(datetime.fromisoformat, started), default=None)


def _work(index: OutcomeIndex, status: BatchStatus) -> tuple[int, int]:
    """Return two numbers of expected tokens: of the rows that have an outcome, and of all rows that intake accepted.

    If no row is expected to take a token, each row counts as one.
    """
    total = sum(lane.cost for lane in index.batch.lanes.values())
    return (index.cost, total) if total else (status.finished, status.rows)


def _under_way(batch: Batch, status: BatchStatus, lanes: Snapshots | None, at: datetime) -> UnderWay:
    """Return how many rows of a batch engines have begun, and for how long.

    Workers say it for all rows in their hands, and a batch has a share of them as large as of the lane's leases. If this is not
    known, the batch counts as one row.
    """
    if lanes is None:
        return UnderWay(1, 0)
    rows = seconds = 0.0
    for lane in filter(None, map(lanes.get, batch.lanes)):
        schedule = lane.batches.get(batch.batch_id)
        share = schedule.leased / lane.leased if schedule is not None and lane.leased else 0.0
        rows += share * sum(worker.begun for worker in lane.workers)
        seconds += share * sum(worker.begun * (at.timestamp() - worker.began_at) for worker in lane.workers)
    return UnderWay(rows, seconds) if rows or not status.leased else UnderWay(1, 0)

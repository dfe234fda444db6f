"""The expected end of a batch of which no row has ended yet, from what the accounts know of its models.

It is asked once workers are at work or load the model; a batch that nobody runs has no expected end. As soon as rows have ended,
they tell more than the accounts (jobs/operations/rate.py).
"""

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from jobs.accounts.experience import Experience
from jobs.batches.outcome_index import OutcomeIndex
from jobs.lanes.protocol import LaneSnapshot, WorkerRecord
from jobs.operations.outlook.backlogs import backlogs
from jobs.planning.demand import Demand
from jobs.planning.forecast import Forecast
from jobs.planning.intervals import Interval
from jobs.settings import Settings
from jobs.store.store import Store

SILENT_S: Final = 15
"""A worker that has not been heard of for this many seconds does not count. A living one sends a beat every 5 s."""
FRESH: Final = timedelta(minutes=10)
"""The accounts are read again after this time."""


@dataclass
class Forecaster:
    """Forecasts the end of batches that have just begun. It reads the accounts when it is first asked. Safe to share."""

    store: Store
    settings: Settings
    _known: Experience | None = None
    _read_at: datetime | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, index: OutcomeIndex, snapshots: Mapping[str, LaneSnapshot], at: datetime) -> Interval | None:
        """Return in how many seconds the batch is done; None if nobody runs it, or nothing is known of one of its models.

        Raises StoreUnavailable.
        """
        if not any(_alive(snapshots.get(lane)) for lane in index.batch.lanes):
            return None
        with self._lock:
            if self._known is None or self._read_at is None or at - self._read_at > FRESH:
                self._known, self._read_at = Experience.read(self.store), at
            known = self._known
        return first_end(index, snapshots, known, self.settings, at)


def first_end(
    index: OutcomeIndex, snapshots: Mapping[str, LaneSnapshot], known: Experience, settings: Settings, at: datetime
) -> Interval | None:
    """Return in how many seconds the last row of a batch is done by the workers that are there; None if that is not known."""
    ends = [
        _end_of(one, index, snapshots.get(one.lane), at) for one in backlogs([index], snapshots, known, settings, at)
    ]
    known_ends = [end for end in ends if end is not None]
    if not ends or len(known_ends) < len(ends):
        return None
    return Interval(*(max(getattr(end, name) for end in known_ends) for name in ("low", "expected", "high")))


def _end_of(demand: Demand, index: OutcomeIndex, lane: LaneSnapshot | None, at: datetime) -> Interval | None:
    """Return the end of the batch's rows on one lane, with other batches taking turns."""
    workers = [] if lane is None else _alive(lane)
    if lane is None or demand.rate is None or not workers or not demand.may_run:
        return None
    rows = demand.backlog.rows
    others = [one for batch_id, one in lane.batches.items() if batch_id != index.batch.batch_id]
    before = rows + sum(min(one.live if one.at_end else rows, rows) for one in others)
    loading = [one.loading_s for one in workers if one.loading_s is not None]
    mean_s = demand.rate.slots * demand.rate.seconds(
        demand.backlog.lengths.prompt.mean, demand.backlog.lengths.completion.mean
    )
    done = sum(one.begun * (at.timestamp() - one.began_at) for one in workers if one.begun) / mean_s if mean_s else 0.0
    left = max(rows - min(done, rows / 2), 1.0) + before - rows
    end = Forecast(demand.backlog).end({demand.rate: len(workers)}, left, running=True)
    if not math.isfinite(end.high):
        return None
    load_s = max(0.0, demand.rate.load_s - min(loading)) if len(loading) == len(workers) else 0.0
    return Interval(end.low + load_s, end.expected + load_s, end.high + load_s)


def _alive(lane: LaneSnapshot | None) -> list[WorkerRecord]:
    return [] if lane is None else [one for one in lane.workers if one.silent_s < SILENT_S]

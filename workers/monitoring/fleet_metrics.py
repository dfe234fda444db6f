"""The metrics of a fleet, for Prometheus: those of all its workers, of the queue, of open batches and of publishing.

A scrape gets the figures of the last `update`, and asks neither workers nor Redis nor the storage.
"""

import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from itertools import product
from typing import Any, Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from jobs.batches.batch import Batch, Done
from jobs.batches.outcome_index import OutcomeIndex
from jobs.checks.batch.report import Audit
from jobs.lanes.protocol import LaneSnapshot
from jobs.operations.status import BatchStatus
from jobs.prices import BILLION
from workers.monitoring.counts import Counts, Key, Totals, WorkerSamples, families
from workers.monitoring.table import FLEET_METRICS, MODEL, TABLE, WORKER_METRICS, MetricInfo

Gauges = dict[Key, tuple[float, ...]]

UP: Final = {"redis": "nightpress_redis_up", "store": "nightpress_store_up"}
"""The name of a probe -> the metric that shows whether it was answered."""


class FleetMetrics:
    """Collects the metrics of a fleet. Any thread may call `published`, `audited` and `collect`, one thread all other methods.

    `clock` returns the seconds since 1970. `is_up` tells for a name of UP whether Redis or the storage answers; None if it is not
    known yet. `undelivered` returns how many batches owe outputs to their output URL; None if it is not known yet.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.is_up: Callable[[str], bool | None] = lambda _: None
        self.undelivered: Callable[[], int | None] = lambda: None
        self.registry = CollectorRegistry()
        self._clock = clock
        self._lock = threading.Lock()
        self._counts = Counts()
        self._totals = Totals(clock())
        self._models: set[str] = set()
        self._progress: dict[str, BatchStatus] = {}
        self._lasting: Gauges = {
            ("nightpress_build_info", (version("nightpress"), platform.python_version())): (1.0,),
        }
        self._shown: Gauges = {}
        for key in _series_at_zero(FLEET_METRICS):
            self._counts.add(key[0], *key[1], amount=0.0)
        self.registry.register(_Collected(self))
        ProcessCollector(registry=self.registry)

    def published(self, _: Batch, done: Done, seconds: float) -> None:
        """Count a published round, and the seconds that its publishing took."""
        self._counts.observe("nightpress_publish_duration_seconds", seconds)
        for status, rows in done.counts.items():
            self._counts.add("nightpress_published_rows_total", status, amount=rows)
        with self._lock:
            self._lasting["nightpress_last_publish_timestamp_seconds", ()] = (self._clock(),)

    def audited(self, report: Audit) -> None:
        """Note what the audit of a round found: for each kind, the highest share of any tenant."""
        with self._lock:
            for kind in {figures.kind for figures in report.figures}:
                share = max(figures.collapse for figures in report.figures if figures.kind == kind)
                self._lasting["nightpress_collapse_ratio", (kind,)] = (share,)

    def progressed(self, statuses: Sequence[BatchStatus]) -> None:
        """Note how far the open batches are, and when they are expected to be done."""
        self._progress = {one.id: one for one in statuses}

    def update(
        self,
        statuses: Iterable[Mapping[str, Any]],
        lanes: Mapping[str, LaneSnapshot],
        indexes: Iterable[OutcomeIndex],
        now: datetime,
        *,
        deaths: Mapping[str, int] | None = None,
        damaged: int = 0,
    ) -> None:
        """Replace the figures of workers, lanes and open batches.

        `deaths` is the number of workers that died so far, by model, and `damaged` the number of batches that wait for a file.
        """
        batches = list(indexes)
        gauges: Gauges = {("nightpress_damaged_batches", ()): (float(damaged),)}
        gauges |= self._workers(statuses)
        gauges |= {("nightpress_worker_deaths_total", (model,)): (float(n),) for model, n in (deaths or {}).items()}
        gauges |= {
            ("nightpress_worker_deaths_total", (model,)): (0.0,)
            for model in self._models
            if model not in (deaths or {})
        }
        gauges |= _queue(lanes, batches, now)
        gauges |= self._batches(batches, now)
        shown = {**gauges, **self._totals.samples()}
        with self._lock:
            self._shown = shown

    def swept(self) -> None:
        """Note that the fleet has looked at all open batches, with Redis and the storage there."""
        with self._lock:
            self._lasting["nightpress_last_sweep_timestamp_seconds", ()] = (self._clock(),)

    def collect(self) -> Iterator[Metric]:
        """Yield every metric as it is now."""
        with self._lock:
            shown = {**self._lasting, **self._shown}
        shown |= self._counts.samples()
        for name, metric in UP.items():
            if (up := self.is_up(name)) is not None:
                shown[metric, ()] = (float(up),)
        if (owed := self.undelivered()) is not None:
            shown["nightpress_undelivered_batches", ()] = (float(owed),)
        yield from families(shown)

    def _workers(self, statuses: Iterable[Mapping[str, Any]]) -> Gauges:
        """Add up what workers have counted, and return their gauges and how many workers each model has."""
        gauges: Gauges = {}
        models = dict.fromkeys(self._models, 0)
        at = self._clock()
        for status in statuses:
            model, worker = str(status["model"]), str(status["worker"])
            models[model] = models.get(model, 0) + 1
            if model not in self._models:
                self._models.add(model)
                self._totals.begin(model, WORKER_SERIES)
            told: WorkerSamples = status["metrics"]
            self._totals.add(told, model, at)
            gauges |= {(name, (worker, model)): (value,) for name, value in told.gauges.items()}
        self._totals.forget(at)
        return gauges | {("nightpress_workers", (model,)): (float(n),) for model, n in models.items()}

    def _batches(self, indexes: Sequence[OutcomeIndex], now: datetime) -> Gauges:
        """Return the open batches and their rows by state, how many are late, and the least margin to a deadline."""
        rows = dict.fromkeys(TABLE["nightpress_open_rows"].labels["state"], 0)
        states = dict.fromkeys(TABLE["nightpress_open_batches"].labels["state"], 0)
        late, margins = 0, list[float]()
        for index in indexes:
            states[_state(index)] += 1
            due, known = _due(index), self._progress.get(index.batch.batch_id)
            end = None if known is None else known.expected_end
            if known is not None:
                rows["completed"] += known.completed
                rows["failed"] += known.failed
                rows["left"] += known.rows - known.finished
            if due is None:
                continue
            late += now >= due or (end is not None and end > due)
            if end is not None or now >= due:
                margins.append((due - max(now, end or now)).total_seconds())
        gauges: Gauges = {("nightpress_open_batches", (state,)): (float(n),) for state, n in states.items()}
        if not indexes or any(index.batch.batch_id in self._progress for index in indexes):
            gauges |= {("nightpress_open_rows", (state,)): (float(n),) for state, n in rows.items()}
        gauges["nightpress_late_batches", ()] = (float(late),)
        gauges |= _budgets(indexes)
        if margins:
            gauges["nightpress_deadline_margin_seconds", ()] = (min(margins),)
        return gauges


def _budgets(indexes: Sequence[OutcomeIndex]) -> Gauges:
    """Add up the budgets of open batches that have one of their own, by currency."""
    sums: dict[str, list[int]] = {}
    for book in (index.book for index in indexes if index.batch.budget is not None):
        if book is not None and book.currency is not None:
            whole = sums.setdefault(book.currency, [0, 0, 0])
            for place, amount in enumerate((book.budget or 0, book.used, book.reserved)):
                whole[place] += amount
    return {
        ("nightpress_open_budgets", (currency, part)): (amount / BILLION,)
        for currency, whole in sums.items()
        for part, amount in zip(("budget", "used", "reserved"), whole, strict=True)
    }


def _state(index: OutcomeIndex) -> str:
    if index.closed is not None:
        return "closed"
    return "paused" if index.current.is_held else "open"


def _due(index: OutcomeIndex) -> datetime | None:
    """Return when an open batch is due: at its deadline, or in its first round at its `publish_at` if that is earlier."""
    soft = index.batch.publish_at if index.round == 1 else None
    return min((at for at in (index.deadline, soft) if at is not None), default=None)


def _queue(lanes: Mapping[str, LaneSnapshot], indexes: Sequence[OutcomeIndex], now: datetime) -> Gauges:
    oldest: dict[str, float] = {}
    for index in indexes:
        age_s = (now - index.batch.created_at).total_seconds()
        for lane in index.batch.lanes:
            oldest[lane] = max(age_s, oldest.get(lane, 0.0))
    gauges: Gauges = {}
    for lane, snapshot in lanes.items():
        for state, n in (("ready", snapshot.ready), ("delayed", snapshot.delayed), ("leased", snapshot.leased)):
            gauges["nightpress_queue_rows", (lane, state)] = (float(n),)
        gauges["nightpress_queue_oldest_age_seconds", (lane,)] = (oldest.get(lane, 0.0),)
        for cause, holds in (("operator", not snapshot.reason), ("deaths", bool(snapshot.reason))):
            gauges["nightpress_lane_paused", (lane, cause)] = (float(snapshot.paused and holds),)
    return gauges


def _series_at_zero(table: Mapping[str, MetricInfo]) -> Iterator[Key]:
    """Yield the series of counters whose labels have known values, without the label of the model.

    They begin at 0, so that their first increase is seen.
    """
    for name, info in table.items():
        known = [values for label, values in info.labels.items() if label != MODEL]
        if info.type == "counter" and all(known) and (info.of_workers or MODEL not in info.labels):
            yield from ((name, labels) for labels in product(*known))


WORKER_SERIES: Final = tuple(_series_at_zero(WORKER_METRICS))
"""The series that each model has from its first worker on."""


class _Collected(Collector):
    """Gives the metrics of a fleet to a registry of Prometheus' client."""

    def __init__(self, fleet: FleetMetrics) -> None:
        self._fleet = fleet

    def collect(self) -> Iterable[Metric]:
        return self._fleet.collect()

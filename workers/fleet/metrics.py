"""The metrics of a fleet, for Prometheus: metrics of all its workers, of the queue and of publishing, served on one port.

The samples of each worker get the labels `worker` and `gen_ai_request_model`. `workers/worker/metrics.py` explains the names of
metrics, and what a label may hold.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from prometheus_client import CollectorRegistry, Gauge, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from jobs.batches.outcome_index import OutcomeIndex
from jobs.checks.batch.report import Audit
from jobs.lanes.protocol import LaneSnapshot
from workers.worker.metrics import BUCKETS

METRICS: Final[dict[str, str]] = {
    "nightpress_workers": "Workers that answer, by model.",
    "nightpress_queue_rows": "Rows on the queue, by lane and state: ready, delayed, leased.",
    "nightpress_queue_oldest_age_seconds": "Age of the oldest open batch that has rows to do in a lane.",
    "nightpress_open_batches": "Batches that are not published.",
    "nightpress_publish_duration_seconds": "Histogram of how long the publishing of a round took.",
    "nightpress_collapse_ratio": "Share of the rows of a kind that repeat others, in the last round that was audited.",
}
"""The metrics that a fleet adds to the metrics of its workers, with their help texts, as docs/reference.md shows them."""


@dataclass
class FleetMetrics:
    """Serves the metrics of a fleet. A scrape gets the figures of the last `update`, and asks neither workers nor Redis."""

    _metrics: list[Metric] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self._registry = CollectorRegistry()
        name = "nightpress_publish_duration_seconds"
        self._publish = Histogram(name, METRICS[name], buckets=BUCKETS, registry=self._registry)
        name = "nightpress_collapse_ratio"
        self._collapse = Gauge(name, METRICS[name], ["kind"], registry=self._registry)
        self._registry.register(_Current(self))

    def serve(self, host: str, port: int) -> int:
        """Answer scrapes from now on. Returns the port: the system chooses one if `port` is 0. Raises OSError."""
        server, thread = start_http_server(port, host, self._registry)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        self._stop = stop
        return int(server.server_port)

    def close(self) -> None:
        """Stop answering scrapes."""
        if self._stop is not None:
            self._stop()

    def published(self, seconds: float) -> None:
        """Count a published round, and the seconds that its publishing took."""
        self._publish.observe(seconds)

    def audited(self, report: Audit) -> None:
        """Note what the audit of a round found: for each kind, the highest share of any tenant."""
        for kind in {figures.kind for figures in report.figures}:
            shares = [figures.collapse for figures in report.figures if figures.kind == kind]
            self._collapse.labels(kind).set(max(shares))

    def update(
        self,
        statuses: Iterable[Mapping[str, Any]],
        lanes: Mapping[str, LaneSnapshot],
        indexes: Iterable[OutcomeIndex],
        now: datetime,
    ) -> None:
        """Replace the figures of workers, lanes and open batches."""
        metrics = [*_workers(list(statuses)), *_queue(lanes, list(indexes), now)]
        with self._lock:
            self._metrics = metrics

    def current(self) -> list[Metric]:
        """Return the figures of the last `update`."""
        with self._lock:
            return self._metrics


def _workers(statuses: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    """Merge the samples of all workers into one family for each metric, and count the workers of each model."""
    merged: dict[str, Metric] = {}
    models: dict[str, int] = {}
    for status in statuses:
        model = str(status["model"])
        models[model] = models.get(model, 0) + 1
        labels = {"worker": str(status["worker"]), "gen_ai_request_model": model}
        for family in text_string_to_metric_families(status["metrics"]):
            target = merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                if not sample.name.endswith("_created"):
                    target.add_sample(sample.name, {**sample.labels, **labels}, sample.value)
    yield from merged.values()
    workers = GaugeMetricFamily("nightpress_workers", METRICS["nightpress_workers"], labels=["gen_ai_request_model"])
    for model, n in models.items():
        workers.add_metric([model], n)
    yield workers


def _queue(lanes: Mapping[str, LaneSnapshot], indexes: Sequence[OutcomeIndex], now: datetime) -> Iterator[Metric]:
    rows = GaugeMetricFamily("nightpress_queue_rows", METRICS["nightpress_queue_rows"], labels=["lane", "state"])
    name = "nightpress_queue_oldest_age_seconds"
    oldest = GaugeMetricFamily(name, METRICS[name], labels=["lane"])
    for lane, snapshot in lanes.items():
        for state, n in (("ready", snapshot.ready), ("delayed", snapshot.delayed), ("leased", snapshot.leased)):
            rows.add_metric([lane, state], n)
        ages = [(now - index.batch.created_at).total_seconds() for index in indexes if lane in index.batch.lanes]
        oldest.add_metric([lane], max(ages, default=0.0))
    yield rows
    yield oldest
    yield GaugeMetricFamily("nightpress_open_batches", METRICS["nightpress_open_batches"], value=len(indexes))


class _Current(Collector):
    """Gives the figures of the last `update` to the registry."""

    def __init__(self, fleet: FleetMetrics) -> None:
        self._fleet = fleet

    def collect(self) -> Iterable[Metric]:
        return self._fleet.current()

"""Metrics for Prometheus: what each worker counts, and what the fleet serves of all of them on one port.

A worker counts in its own process and hands its samples over as text with its status; the fleet adds the worker's name, and
its own figures of queue and publishing. Names follow Prometheus' conventions, and OpenTelemetry's for generative AI where it
has one (a dot is an underscore). No label is a text, a row or a batch: their values are bounded by the settings.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.segments.segment import Outcome
from jobs.errors import CODES
from jobs.lanes.protocol import LaneSnapshot
from workers.engines.protocol import EngineStats

METRICS: Final[dict[str, str]] = {
    "nightpress_rows_total": "Attempts that are durable, by outcome: completed, failed, retried, crashed.",
    "nightpress_attempt_duration_seconds": "Histogram of how long such an attempt took, by error_type: a code of the table "
    "above, _OTHER for one of a kind's own, none if it completed.",
    "gen_ai_client_token_usage": "Histogram of the tokens of such an attempt, by gen_ai_token_type: input, output, and cached, "
    "a part of input.",
    "nightpress_engine_steps_total": "Steps of an engine.",
    "nightpress_engine_slots": "Texts that an engine can write at once.",
    "nightpress_engine_slots_in_use": "Texts that it writes.",
    "nightpress_device_seconds_total": "Time of the devices, by account: busy, idle, load.",
    "nightpress_lease_losses_total": "Leases that ran out under a worker or were given up.",
    "nightpress_flush_duration_seconds": "Histogram of how long the storage took to make a segment durable.",
    "nightpress_workers": "Workers that answer, by model.",
    "nightpress_queue_rows": "Rows on the queue, by lane and state: ready, delayed, leased.",
    "nightpress_queue_oldest_age_seconds": "Age of the oldest open batch that has rows to do in a lane.",
    "nightpress_open_batches": "Batches that are not published.",
    "nightpress_publish_duration_seconds": "Histogram of how long the publishing of a round took.",
}
"""Each metric, as the README shows it."""

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Seconds."""

TOKEN_BUCKETS: Final = tuple(4.0**n for n in range(11))
"""As OpenTelemetry has them, as far as a context reaches."""

OTHER: Final = "_OTHER"

NS: Final = 1e9


class WorkerMetrics:
    """What one worker counts. Thread-safe."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._rows = Counter("nightpress_rows", _said("nightpress_rows_total"), ["outcome"], registry=self._registry)
        name = "gen_ai_client_token_usage"
        labels = ["gen_ai_token_type"]
        self._tokens = Histogram(name, _said(name), labels, buckets=TOKEN_BUCKETS, registry=self._registry)
        name = "nightpress_attempt_duration_seconds"
        self._took = Histogram(name, _said(name), ["error_type"], buckets=BUCKETS, registry=self._registry)
        name = "nightpress_flush_duration_seconds"
        self._flush = Histogram(name, _said(name), buckets=BUCKETS, registry=self._registry)

    def written(self, outcomes: Sequence[Outcome]) -> None:
        """These are durable."""
        for one in outcomes:
            retried = one.status == "failed" and not one.final
            self._rows.labels("retried" if retried else one.status).inc()
            spent = one.usage + one.wasted
            for kind, tokens in (
                ("input", spent.prompt_tokens),
                ("cached", spent.cached_prompt_tokens),
                ("output", spent.completion_tokens),
            ):
                self._tokens.labels(kind).observe(tokens)
            if (took_s := _took_s(one)) is not None:
                self._took.labels(_error_type(one)).observe(took_s)

    def flush_time(self) -> AbstractContextManager[Any]:
        """Measures what is done within it as a flush."""
        timer: AbstractContextManager[Any] = self._flush.time()
        return timer

    def text(self, stats: EngineStats | None, lease_losses: int) -> str:
        """All samples in the text format, those of the engine among them."""
        samples: str = generate_latest(self._registry).decode()
        if stats is None:
            return samples
        registry = CollectorRegistry()
        registry.register(_Once(_engine(stats, lease_losses)))
        return samples + generate_latest(registry).decode()


def _took_s(outcome: Outcome) -> float | None:
    """From the first prompt to the end; None where no attempt was made."""
    began, ended = outcome.receipt.get("started_at"), outcome.receipt.get("finished_at")
    if began is None or ended is None:
        return None
    return max(0.0, (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds())


def _error_type(outcome: Outcome) -> str:
    """A code that is documented, so that there are only so many."""
    code = (outcome.error or {}).get("code", "")
    return code if code in CODES or not code else OTHER


def _engine(stats: EngineStats, lease_losses: int) -> list[Metric]:
    device = CounterMetricFamily(
        "nightpress_device_seconds", _said("nightpress_device_seconds_total"), labels=["account"]
    )
    for account, spent_ns in (("busy", stats.busy_ns), ("idle", stats.idle_ns), ("load", stats.load_ns)):
        device.add_metric([account], max(spent_ns, 0) / NS)
    return [
        device,
        CounterMetricFamily("nightpress_engine_steps", _said("nightpress_engine_steps_total"), value=stats.steps),
        CounterMetricFamily("nightpress_lease_losses", _said("nightpress_lease_losses_total"), value=lease_losses),
        GaugeMetricFamily("nightpress_engine_slots", _said("nightpress_engine_slots"), value=stats.slots),
        GaugeMetricFamily(
            "nightpress_engine_slots_in_use", _said("nightpress_engine_slots_in_use"), value=stats.running
        ),
    ]


@dataclass
class FleetMetrics:
    """What a fleet serves. `note` is called by its loop; a scrape gets what was noted last, and asks nobody."""

    _metrics: list[Metric] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self._registry = CollectorRegistry()
        name = "nightpress_publish_duration_seconds"
        self._publish = Histogram(name, _said(name), buckets=BUCKETS, registry=self._registry)
        self._registry.register(_Current(self))

    def serve(self, host: str, port: int) -> int:
        """Answer scrapes from now on. Returns the port, which the system chooses for 0. Raises OSError."""
        server, thread = start_http_server(port, host, self._registry)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        self._stop = stop
        return int(server.server_port)

    def close(self) -> None:
        """Answer no more."""
        if self._stop is not None:
            self._stop()

    def published(self, seconds: float) -> None:
        """The publishing of a round took so long."""
        self._publish.observe(seconds)

    def note(
        self,
        statuses: Iterable[Mapping[str, Any]],
        lanes: Mapping[str, LaneSnapshot],
        indexes: Iterable[OutcomeIndex],
        now: datetime,
    ) -> None:
        """How workers, queue and open batches stand."""
        metrics = [*_workers(list(statuses)), *_queue(lanes, list(indexes), now)]
        with self._lock:
            self._metrics = metrics

    def current(self) -> list[Metric]:
        """What was noted last."""
        with self._lock:
            return self._metrics


def _workers(statuses: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    """The samples of all workers, each with the labels `worker` and `gen_ai_request_model`."""
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
    workers = GaugeMetricFamily("nightpress_workers", _said("nightpress_workers"), labels=["gen_ai_request_model"])
    for model, n in models.items():
        workers.add_metric([model], n)
    yield workers


def _queue(lanes: Mapping[str, LaneSnapshot], indexes: Sequence[OutcomeIndex], now: datetime) -> Iterator[Metric]:
    rows = GaugeMetricFamily("nightpress_queue_rows", _said("nightpress_queue_rows"), labels=["lane", "state"])
    name = "nightpress_queue_oldest_age_seconds"
    oldest = GaugeMetricFamily(name, _said(name), labels=["lane"])
    for lane, snapshot in lanes.items():
        for state, n in (("ready", snapshot.ready), ("delayed", snapshot.delayed), ("leased", snapshot.leased)):
            rows.add_metric([lane, state], n)
        ages = [(now - index.batch.created_at).total_seconds() for index in indexes if lane in index.batch.lanes]
        oldest.add_metric([lane], max(ages, default=0.0))
    yield rows
    yield oldest
    yield GaugeMetricFamily("nightpress_open_batches", _said("nightpress_open_batches"), value=len(indexes))


class _Once(Collector):
    """Families that are collected as they are."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


class _Current(Collector):
    """What the fleet noted last."""

    def __init__(self, fleet: FleetMetrics) -> None:
        self._fleet = fleet

    def collect(self) -> Iterable[Metric]:
        return self._fleet.current()


def _said(name: str) -> str:
    return METRICS[name]

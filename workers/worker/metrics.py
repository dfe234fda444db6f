"""The metrics of one worker, for Prometheus.

A worker counts in its own process, and returns its samples as text in its status; `workers/fleet/metrics.py` serves them. Names
follow Prometheus' conventions. If OpenTelemetry has a name for a metric of generative AI, that name is used, with underscores for
dots. No label holds a text, a row or a batch, because Prometheus keeps a series for each value of a label.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jobs.batches.segments.line import Outcome
from jobs.errors import CODES
from jobs.usage import Remembered, Usage
from workers.engines.protocol import EngineStats

METRICS: Final[dict[str, str]] = {
    "nightpress_rows_total": "Attempts that are durable, by outcome: completed, failed, retried, crashed.",
    "nightpress_verdicts_total": "Completed rows that were checked, by verdict: fit, review.",
    "nightpress_findings_total": "Findings in completed and failed rows, by code of the check (_OTHER if it is of another "
    "package) and severity: fail, review, note.",
    "nightpress_attempt_duration_seconds": "Histogram of how long such an attempt took, by error_type: a code of the table "
    "above, _OTHER for one of a kind's own, none if it completed.",
    "gen_ai_client_token_usage": "Histogram of the tokens of such an attempt, by gen_ai_token_type: input, output, and cached, "
    "a part of input.",
    "nightpress_memory_segments_total": "Segments of completed rows that were looked up in the translation memory, by answer: "
    "known, asked.",
    "nightpress_memory_saved_tokens_total": "Tokens that known segments had cost when a model wrote them, by "
    "gen_ai_token_type: input, output.",
    "nightpress_engine_steps_total": "Steps of an engine.",
    "nightpress_engine_slots": "Texts that an engine can write at once.",
    "nightpress_engine_slots_in_use": "Texts that it writes.",
    "nightpress_device_seconds_total": "Time of the devices, by account: busy, idle, load.",
    "nightpress_lease_losses_total": "Leases that ran out under a worker, or that it gave up since a row hung.",
    "nightpress_flush_duration_seconds": "Histogram of how long the storage took to make a segment durable.",
}
"""The metrics of one worker, with their help texts, as docs/reference.md shows them."""

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds, in seconds, of the buckets of every duration histogram (attempt, flush, publish)."""

TOKEN_BUCKETS: Final = tuple(4.0**n for n in range(11))
"""Upper bounds, in tokens, of the buckets of the token histogram: OpenTelemetry's bounds, up to about a million tokens."""

OTHER: Final = "_OTHER"
"""The label `error_type` of every error code that `CODES` lacks, such as a code of a kind's own."""

NS: Final = 1e9
"""The nanoseconds in a second."""


class WorkerMetrics:
    """Counts the attempts, tokens and durations of one worker. Thread-safe."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._rows = Counter("nightpress_rows", _meaning("nightpress_rows_total"), ["outcome"], registry=self._registry)
        name, labels = "nightpress_verdicts", ["verdict"]
        self._verdicts = Counter(name, _meaning(f"{name}_total"), labels, registry=self._registry)
        name, labels = "nightpress_findings", ["code", "severity"]
        self._findings = Counter(name, _meaning(f"{name}_total"), labels, registry=self._registry)
        name, labels = "nightpress_memory_segments", ["answer"]
        self._segments = Counter(name, _meaning(f"{name}_total"), labels, registry=self._registry)
        name, labels = "nightpress_memory_saved_tokens", ["gen_ai_token_type"]
        self._saved = Counter(name, _meaning(f"{name}_total"), labels, registry=self._registry)
        name = "gen_ai_client_token_usage"
        labels = ["gen_ai_token_type"]
        self._tokens = Histogram(name, _meaning(name), labels, buckets=TOKEN_BUCKETS, registry=self._registry)
        name = "nightpress_attempt_duration_seconds"
        self._took = Histogram(name, _meaning(name), ["error_type"], buckets=BUCKETS, registry=self._registry)
        name = "nightpress_flush_duration_seconds"
        self._flush = Histogram(name, _meaning(name), buckets=BUCKETS, registry=self._registry)
        self.spent = Usage()
        """What the attempts that are durable took, waste included."""

    def written(self, outcomes: Sequence[Outcome]) -> None:
        """Count these outcomes, which are durable now."""
        for one in outcomes:
            retried = one.status == "failed" and not one.final
            self._rows.labels("retried" if retried else one.status).inc()
            if one.verdict:
                self._verdicts.labels(one.verdict).inc()
            for found in one.findings or ():
                code = found["code"] if found["code"] in CODES else OTHER
                self._findings.labels(code, found["severity"]).inc()
            if one.status == "completed" and "memory" in one.receipt:
                self._remembered(Remembered.from_dict(one.receipt["memory"]))
            spent = one.usage + one.wasted
            self.spent += spent
            for kind, tokens in (
                ("input", spent.prompt_tokens),
                ("cached", spent.cached_prompt_tokens),
                ("output", spent.completion_tokens),
            ):
                self._tokens.labels(kind).observe(tokens)
            if (took_s := _took_s(one)) is not None:
                self._took.labels(_error_type(one)).observe(took_s)

    def _remembered(self, answered: Remembered) -> None:
        self._segments.labels("known").inc(answered.known)
        self._segments.labels("asked").inc(answered.segments - answered.known)
        self._saved.labels("input").inc(answered.prompt_tokens)
        self._saved.labels("output").inc(answered.completion_tokens)

    def flush_time(self) -> AbstractContextManager[Any]:
        """Measure the block under `with` as the duration of one flush."""
        timer: AbstractContextManager[Any] = self._flush.time()
        return timer

    def text(self, stats: EngineStats | None, lease_losses: int) -> str:
        """Return all samples in Prometheus' text format, with the engine's samples if `stats` is given."""
        samples: str = generate_latest(self._registry).decode()
        if stats is None:
            return samples
        registry = CollectorRegistry()
        registry.register(_Once(_engine(stats, lease_losses)))
        return samples + generate_latest(registry).decode()


def _took_s(outcome: Outcome) -> float | None:
    """Return the seconds from the start of the attempt to its end; None if the receipt lacks one of these two times."""
    began, ended = outcome.receipt.get("started_at"), outcome.receipt.get("finished_at")
    if began is None or ended is None:
        return None
    return max(0.0, (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds())


def _error_type(outcome: Outcome) -> str:
    """Return the code of the outcome's error; empty if it has no error.

    A code that `CODES` lacks becomes `_OTHER`, so that the label has few values.
    """
    code = (outcome.error or {}).get("code", "")
    return code if code in CODES or not code else OTHER


def _engine(stats: EngineStats, lease_losses: int) -> list[Metric]:
    device = CounterMetricFamily(
        "nightpress_device_seconds", _meaning("nightpress_device_seconds_total"), labels=["account"]
    )
    for account, spent_ns in (("busy", stats.busy_ns), ("idle", stats.idle_ns), ("load", stats.load_ns)):
        device.add_metric([account], max(spent_ns, 0) / NS)
    return [
        device,
        CounterMetricFamily("nightpress_engine_steps", _meaning("nightpress_engine_steps_total"), value=stats.steps),
        CounterMetricFamily("nightpress_lease_losses", _meaning("nightpress_lease_losses_total"), value=lease_losses),
        GaugeMetricFamily("nightpress_engine_slots", _meaning("nightpress_engine_slots"), value=stats.slots),
        GaugeMetricFamily(
            "nightpress_engine_slots_in_use", _meaning("nightpress_engine_slots_in_use"), value=stats.running
        ),
    ]


class _Once(Collector):
    """A collector that gives ready-made metric families to a registry."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _meaning(name: str) -> str:
    return METRICS[name]

"""The table of metrics: every metric that Nightpress serves, with its type, its labels and what it means.

docs/reference.md shows this table, and `scripts/checks/monitoring` checks alerts and dashboards against it. Names follow
Prometheus' conventions. If OpenTelemetry has a name for a metric of generative AI, that name is used, with underscores for dots.
No label holds a text, a row, a batch or a tenant, because Prometheus keeps a series for each value of a label.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Type = Literal["counter", "gauge", "histogram"]

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds, in seconds, of the buckets of every duration histogram (attempt, flush, publish)."""

TOKEN_BUCKETS: Final = tuple(4.0**n for n in range(11))
"""Upper bounds, in tokens, of the buckets of the token histogram: OpenTelemetry's bounds, up to about a million tokens."""

ANY: Final[tuple[str, ...]] = ()
"""The values of a label that may have any value, such as the name of a model."""

MODEL: Final = "gen_ai_request_model"
"""The label with the alias of a model."""


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """One metric: its type, what it means, and its labels, each with the values that it may have (`ANY`: any value).

    `buckets` are the upper bounds of a histogram's buckets. `of_workers` is True if workers count the metric.
    """

    type: Type
    meaning: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    buckets: tuple[float, ...] = ()
    of_workers: bool = False

    def samples(self, name: str) -> tuple[str, ...]:
        """Return the names of the samples that a metric of this `name` has in Prometheus."""
        return tuple(f"{name}_{part}" for part in ("bucket", "count", "sum")) if self.type == "histogram" else (name,)


def _counted(type_: Type, meaning: str, *, buckets: tuple[float, ...] = (), **labels: tuple[str, ...]) -> MetricInfo:
    """Make a metric that workers count. The fleet adds up the counts of all workers of a model, under the label of the model."""
    return MetricInfo(type_, meaning, {**labels, MODEL: ANY}, buckets, of_workers=True)


def _of_each_worker(meaning: str) -> MetricInfo:
    return MetricInfo("gauge", meaning, {"worker": ANY, MODEL: ANY}, of_workers=True)


def _gauge(meaning: str, **labels: tuple[str, ...]) -> MetricInfo:
    return MetricInfo("gauge", meaning, labels)


_TOKENS: Final = ("input", "output")

WORKER_METRICS: Final[dict[str, MetricInfo]] = {
    "nightpress_rows_total": _counted(
        "counter", "Attempts that are durable, by outcome.", outcome=("completed", "failed", "retried", "crashed")
    ),
    "nightpress_verdicts_total": _counted(
        "counter", "Completed rows that were checked, by verdict.", verdict=("fit", "review")
    ),
    "nightpress_findings_total": _counted(
        "counter",
        "Findings in completed and failed rows, by code of the check (_OTHER if it is of another package) and severity.",
        code=ANY,
        severity=("fail", "review", "note"),
    ),
    "nightpress_attempt_duration_seconds": _counted(
        "histogram",
        "How long such an attempt took, by error_type: a code of the table above, _OTHER for one of a kind's own, empty if it "
        "completed.",
        buckets=BUCKETS,
        error_type=ANY,
    ),
    "gen_ai_client_token_usage": _counted(
        "histogram",
        "The tokens of such an attempt; cached are a part of input.",
        buckets=TOKEN_BUCKETS,
        gen_ai_token_type=("input", "cached", "output"),
    ),
    "nightpress_memory_segments_total": _counted(
        "counter",
        "Segments of completed rows that were looked up in the translation memory, by answer.",
        answer=("known", "asked"),
    ),
    "nightpress_memory_saved_tokens_total": _counted(
        "counter", "Tokens that known segments had cost when a model wrote them.", gen_ai_token_type=_TOKENS
    ),
    "nightpress_charge_total": _counted(
        "counter",
        "What completed rows are charged, in the currency. A row that was done twice counts twice; the accounts bill it once.",
        currency=ANY,
    ),
    "nightpress_device_seconds_total": _counted(
        "counter", "Time of the devices, by account.", account=("busy", "idle", "load")
    ),
    "nightpress_device_cost_total": _counted(
        "counter", "What that time costs at the prices of the settings, in the currency.",
        account=("busy", "idle", "load"), currency=ANY,
    ),
    "nightpress_wasted_device_seconds_total": _counted(
        "counter", "Busy time of the devices for attempts that completed no row, and for answers that were thrown away."
    ),
    "nightpress_engine_steps_total": _counted("counter", "Steps of the engines."),
    "nightpress_lease_losses_total": _counted(
        "counter", "Leases that ran out under a worker, or that it gave up since a row hung."
    ),
    "nightpress_flush_duration_seconds": _counted(
        "histogram", "How long the storage took to make a segment durable.", buckets=BUCKETS
    ),
    "nightpress_engine_slots": _of_each_worker("Texts that the engine of a worker can write at once."),
    "nightpress_engine_slots_in_use": _of_each_worker("Texts that it writes."),
    "nightpress_worker_resident_memory_bytes": _of_each_worker("Memory of the worker's process that is not swapped out."),
}  # fmt: skip
"""The metrics that workers count. Counters and histograms are sums over all workers of a model, those that have ended included.
"""

FLEET_METRICS: Final[dict[str, MetricInfo]] = {
    "nightpress_build_info": _gauge("Always 1; the labels say what runs.", version=ANY, python_version=ANY),
    "nightpress_workers": _gauge("Workers that answer, by model.", **{MODEL: ANY}),
    "nightpress_worker_deaths_total": MetricInfo("counter", "Workers that died, by model.", {MODEL: ANY}),
    "nightpress_queue_rows": _gauge(
        "Rows on the queue, by lane and state.", lane=ANY, state=("ready", "delayed", "leased")
    ),
    "nightpress_queue_oldest_age_seconds": _gauge("Age of the oldest open batch that has rows in a lane.", lane=ANY),
    "nightpress_lane_paused": _gauge(
        "1 while a lane gives out no rows, else 0: paused by an operator, or by deaths of workers.",
        lane=ANY,
        cause=("operator", "deaths"),
    ),
    "nightpress_open_batches": _gauge(
        "Batches that are not published: closed ones were cancelled or reached their deadline.",
        state=("open", "paused", "closed"),
    ),
    "nightpress_open_rows": _gauge(
        "Rows of open batches, as the log last had them: at most a minute old. Absent before that.",
        state=("completed", "failed", "left"),
    ),
    "nightpress_open_budgets": _gauge(
        "Budgets of open batches, in the currency: in sum, what their rows were charged, and what is reserved for rows at work.",
        currency=ANY,
        part=("budget", "used", "reserved"),
    ),
    "nightpress_late_batches": _gauge(
        "Open batches whose deadline or publish_at has passed, or is expected to pass before their last row is done."
    ),
    "nightpress_deadline_margin_seconds": _gauge(
        "The least time between an open batch's expected end and its deadline; below 0 it is late. Absent if none is known."
    ),
    "nightpress_damaged_batches": _gauge("Open batches that wait for a damaged file to be restored."),
    "nightpress_undelivered_batches": _gauge("Published batches whose outputs are not at their output URL."),
    "nightpress_published_rows_total": MetricInfo(
        "counter",
        "Rows of the rounds that this fleet published, by their outcome; at a publish_at, those left for the next round are "
        "expired.",
        {"status": ("completed", "failed", "cancelled", "expired")},
    ),
    "nightpress_publish_duration_seconds": MetricInfo(
        "histogram", "How long the publishing of a round took.", buckets=BUCKETS
    ),
    "nightpress_last_publish_timestamp_seconds": _gauge("When a round was last published. Absent before the first."),
    "nightpress_collapse_ratio": _gauge(
        "Share of the rows of a kind that repeat others, in the last round that was audited.", kind=ANY
    ),
    "nightpress_redis_up": _gauge("1 if Redis answers, else 0."),
    "nightpress_store_up": _gauge("1 if the storage answers, else 0."),
    "nightpress_last_sweep_timestamp_seconds": _gauge(
        "When the fleet last looked at all open batches, with Redis and the storage there."
    ),
}
"""The metrics of the fleet itself."""

PROCESS_METRICS: Final[dict[str, MetricInfo]] = {
    "process_cpu_seconds_total": MetricInfo("counter", "Processor time of the process of `work`."),
    "process_resident_memory_bytes": _gauge("Its memory that is not swapped out."),
    "process_virtual_memory_bytes": _gauge("Its virtual memory."),
    "process_start_time_seconds": _gauge("When it began."),
    "process_open_fds": _gauge("Its open files."),
    "process_max_fds": _gauge("The most files that it may open."),
}
"""The metrics of the serving process, with the names that all exporters use; on Linux only."""

TABLE: Final[dict[str, MetricInfo]] = {**WORKER_METRICS, **FLEET_METRICS, **PROCESS_METRICS}
"""Every metric that is served."""

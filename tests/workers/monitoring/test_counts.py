"""Shows workers/monitoring/counts.py beside the official client, which counts the same observations."""

import pytest

pytest.importorskip("prometheus_client", reason="the extra `workers` is not installed")

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from workers.monitoring.counts import Counts, families
from workers.monitoring.table import BUCKETS, TABLE

NAME = "nightpress_publish_duration_seconds"


class Given(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


def text(registry: CollectorRegistry) -> list[str]:
    """What a scrape gets, without the times at which the client has made its metrics."""
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]


def test_histograms_and_counters_are_those_of_the_official_client() -> None:
    """Values on a bound belong to its bucket."""
    theirs, ours, counts = CollectorRegistry(), CollectorRegistry(), Counts()
    histogram = Histogram(NAME, TABLE[NAME].meaning, buckets=BUCKETS, registry=theirs)
    info = TABLE["nightpress_published_rows_total"]
    counter = Counter("nightpress_published_rows_total", info.meaning, ["status"], registry=theirs)
    for value in (0.0, 0.004, 0.005, 0.0051, 1.0, 59.9, 60.0, 300.0, 301.0, 10_000.0):
        histogram.observe(value)
        counts.observe(NAME, value)
    for status, rows in (("completed", 7), ("failed", 2), ("completed", 1)):
        counter.labels(status).inc(rows)
        counts.add("nightpress_published_rows_total", status, amount=rows)
    ours.register(Given(list(families(counts.samples()))))
    assert text(ours) == text(theirs)

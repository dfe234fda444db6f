"""Counts: the counters and histograms of one process, and their sums over many processes.

A worker counts in its own process. The fleet adds the counts of all workers of a model together, so that the number of series
does not grow with the number of workers, and so that no counter falls as a worker ends. Only what has changed since the last
look at a worker costs anything.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from workers.monitoring.table import TABLE

Key = tuple[str, tuple[str, ...]]
"""The name of a metric, and the values of its labels in the order of the table."""

Samples = Mapping[Key, tuple[float, ...]]
"""The values of counters and histograms. A counter has one value. A histogram has the number of observations in each bucket, in
those above all bounds, and last their sum.
"""

FORGET_S: Final = 3600.0
"""Seconds after which a worker that has not been heard of is forgotten. Its counts stay in the sums."""


class Counts:
    """The counters and histograms of one process. Thread-safe."""

    def __init__(self) -> None:
        self._values: dict[Key, list[float]] = {}
        self._lock = threading.Lock()

    def add(self, name: str, *labels: str, amount: float = 1.0) -> None:
        """Raise a counter of the table. `labels` are the values of its first labels."""
        with self._lock:
            self._values.setdefault((name, labels), [0.0])[0] += amount

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Add an observation to a histogram of the table. `labels` are the values of its first labels."""
        bounds = TABLE[name].buckets
        with self._lock:
            values = self._values.get((name, labels))
            if values is None:
                values = self._values[name, labels] = [0.0] * (len(bounds) + 2)
            values[bisect_left(bounds, value)] += 1.0
            values[-1] += value

    def samples(self) -> dict[Key, tuple[float, ...]]:
        """Return the present values."""
        with self._lock:
            return {key: tuple(values) for key, values in self._values.items()}


@dataclass(frozen=True, slots=True)
class WorkerSamples:
    """What one life of a worker tells: `counts` since it began at `born`, in seconds since 1970, and `gauges` by name.

    `life` tells this life from other lives with the same name.
    """

    life: str
    born: float
    counts: Samples
    gauges: Mapping[str, float] = field(default_factory=dict)


class Totals:
    """The sums of the counts of all workers, by model.

    A worker that is older than these sums was adopted from another fleet. Only what it counts from then on is added, since the
    other fleet has served the rest.
    """

    def __init__(self, since: float) -> None:
        self._since = since
        self._sums: dict[Key, list[float]] = {}
        self._last: dict[str, tuple[Samples, float]] = {}

    def begin(self, model: str, series: Iterable[Key]) -> None:
        """Let counters of a model begin at 0, so that their first increase is seen."""
        for name, labels in series:
            self._sums.setdefault((name, (*labels, model)), [0.0])

    def add(self, told: WorkerSamples, model: str, at: float) -> None:
        """Add what a worker has counted since the last call for it. `at` is the present, in seconds of any clock."""
        known = self._last.get(told.life)
        if known is None and told.born < self._since:
            known = told.counts, at
        before: Samples = {} if known is None else known[0]
        for (name, labels), values in told.counts.items():
            old = before.get((name, labels))
            if old == values:
                continue
            key = name, (*labels, model)
            sums = self._sums.get(key)
            if sums is None:
                sums = self._sums[key] = [0.0] * len(values)
            for n, value in enumerate(values):
                sums[n] += value - (0.0 if old is None else old[n])
        self._last[told.life] = told.counts, at

    def forget(self, at: float) -> None:
        """Forget the workers that have not been heard of for FORGET_S seconds."""
        for life in [life for life, (_, seen) in self._last.items() if at - seen > FORGET_S]:
            del self._last[life]

    def samples(self) -> dict[Key, tuple[float, ...]]:
        """Return the present sums."""
        return {key: tuple(values) for key, values in self._sums.items()}


def families(samples: Mapping[Key, tuple[float, ...]]) -> Iterator[Metric]:
    """Yield a family of Prometheus for each metric of `samples`. A gauge has one value, like a counter."""
    by_name: dict[str, list[tuple[tuple[str, ...], tuple[float, ...]]]] = {}
    for (name, labels), values in samples.items():
        by_name.setdefault(name, []).append((labels, values))
    for name, several in by_name.items():
        info = TABLE[name]
        if info.type == "histogram":
            family = HistogramMetricFamily(name, info.meaning, labels=list(info.labels))
            for labels, values in several:
                family.add_metric(labels, _cumulative(info.buckets, values), values[-1])
            yield family
            continue
        of_type = CounterMetricFamily if info.type == "counter" else GaugeMetricFamily
        simple = of_type(name, info.meaning, labels=list(info.labels))
        for labels, values in several:
            simple.add_metric(labels, values[0])
        yield simple


def _cumulative(bounds: tuple[float, ...], values: tuple[float, ...]) -> list[tuple[str, float]]:
    """Return the buckets as Prometheus has them: each counts what is at most its bound."""
    found, total = [], 0.0
    for bound, n in zip((*map(str, bounds), "+Inf"), values, strict=False):
        total += n
        found.append((bound, total))
    return found

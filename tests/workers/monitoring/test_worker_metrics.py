"""Shows workers/monitoring/worker_metrics.py: what a worker counts."""

from dataclasses import replace

import pytest

pytest.importorskip("prometheus_client", reason="the extra `workers` is not installed")

from jobs.batches.segments.line import Outcome
from jobs.prices import BILLION, Prices
from jobs.usage import Usage
from tests.support.outcomes import finding
from workers.engines.protocol import EngineStats
from workers.monitoring.table import MODEL, WORKER_METRICS
from workers.monitoring.worker_metrics import WorkerMetrics

SECRET = "a secret that nobody may read"


def test_a_code_that_only_a_kind_knows_makes_no_label_of_its_own() -> None:
    metrics = WorkerMetrics()
    receipt = {"started_at": "2026-11-23T22:00:00Z", "finished_at": "2026-11-23T22:00:02Z"}
    head = Outcome(0, 1, 1, "c", "failed", True, "k", error={"code": f"no rhyme in {SECRET}"}, receipt=receipt)
    metrics.written([head, replace(head, error={"code": "empty_output"}), replace(head, receipt={})])
    counts = metrics.samples(None, 0).counts
    assert SECRET not in repr(counts)
    took = {labels: values for (name, labels), values in counts.items() if "attempt_duration" in name}
    assert {labels: (sum(values[:-1]), values[-1]) for labels, values in took.items()} == {
        ("_OTHER",): (1.0, 2.0),
        ("empty_output",): (1.0, 2.0),
    }


def test_verdicts_and_findings_are_counted() -> None:
    metrics = WorkerMetrics()
    fit = Outcome(0, 1, 1, "c", "completed", True, "k", verdict="fit")
    review = replace(fit, verdict="review", findings=[finding("gap"), finding("echo", "note")])
    broken = replace(fit, status="failed", verdict=None, findings=[finding("gap", "fail"), finding(SECRET, "fail")])
    crashed = Outcome(0, 1, 1, "c", "crashed", False, "")
    metrics.written([fit, fit, review, broken, replace(broken, final=False), replace(fit, verdict=None), crashed])
    counts = metrics.samples(None, 0).counts
    counted = {(name, *labels): values[0] for (name, labels), values in counts.items()}
    assert {key: value for key, value in counted.items() if "verdicts" in key[0] or "findings" in key[0]} == {
        ("nightpress_verdicts_total", "fit"): 2.0,
        ("nightpress_verdicts_total", "review"): 1.0,
        ("nightpress_findings_total", "gap", "review"): 1.0,
        ("nightpress_findings_total", "echo", "note"): 1.0,
        ("nightpress_findings_total", "gap", "fail"): 2.0,
        ("nightpress_findings_total", "_OTHER", "fail"): 2.0,
    }
    assert SECRET not in repr(counts)


def test_time_and_money_of_attempts_that_completed_nothing_are_waste() -> None:
    metrics = WorkerMetrics()
    used, thrown_away = (
        Usage(device_ns=3_000_000_000, charge=2 * BILLION),
        Usage(device_ns=1_000_000_000, charge=BILLION),
    )
    fit = Outcome(0, 1, 1, "c", "completed", True, "k", usage=used, wasted=thrown_away, receipt={"currency": "EUR"})
    metrics.written([fit, replace(fit, status="failed", final=False), replace(fit, status="crashed", final=False)])
    counts = metrics.samples(None, 0).counts
    shown = [counts["nightpress_wasted_device_seconds_total", ()], counts["nightpress_charge_total", ("EUR",)]]
    assert shown == [(1 + 4 + 4,), (2.0,)]


def test_device_time_costs_what_the_prices_say() -> None:
    metrics = WorkerMetrics(Prices(currency="EUR", version="own", device_hour={"NVIDIA H": 3 * BILLION}, models={}))
    hour = 3_600_000_000_000
    told = metrics.samples(EngineStats("NVIDIA H200", 8, 0, 5, 9, 0, 0, busy_ns=hour, idle_ns=hour // 2, load_ns=-1), 4)
    assert {
        labels: value for (name, labels), (value,) in told.counts.items() if name == "nightpress_device_cost_total"
    } == {
        ("busy", "EUR"): 3.0,
        ("idle", "EUR"): 1.5,
        ("load", "EUR"): 0.0,
    }
    assert told.counts["nightpress_lease_losses_total", ()] == (4.0,)
    assert told.gauges["nightpress_engine_slots_in_use"] == 5.0
    assert told.gauges["nightpress_worker_resident_memory_bytes"] > 1_000_000


def test_each_count_has_the_labels_of_the_table() -> None:
    metrics = WorkerMetrics()
    receipt = {"started_at": "2026-11-23T22:00:00Z", "finished_at": "2026-11-23T22:00:02Z", "memory": {"segments": 2}}
    metrics.written(
        [Outcome(0, 1, 1, "c", "completed", True, "k", verdict="fit", findings=[finding("gap")], receipt=receipt)]
    )
    metrics.flushed(0.1)
    told = metrics.samples(EngineStats("cpu", 8, 0, 5, 9, 0, 0, 1, 1, 1), 0)
    assert {name for name, _ in told.counts} | told.gauges.keys() == WORKER_METRICS.keys()
    for (name, labels), values in told.counts.items():
        known = [one for label, one in WORKER_METRICS[name].labels.items() if label != MODEL]
        assert len(labels) == len(known)
        assert all(not one or label in one for label, one in zip(labels, known, strict=True)), (name, labels)
        assert len(values) == (len(WORKER_METRICS[name].buckets) + 2 if WORKER_METRICS[name].buckets else 1)

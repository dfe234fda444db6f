"""Shows workers/worker/metrics.py: what a worker counts."""

from dataclasses import replace

import pytest

pytest.importorskip("prometheus_client", reason="the extra `workers` is not installed")

from jobs.batches.segments.line import Outcome
from tests.support.outcomes import finding
from workers.worker.metrics import WorkerMetrics

SECRET = "a secret that nobody may read"


def test_a_code_that_only_a_kind_knows_makes_no_label_of_its_own() -> None:
    metrics = WorkerMetrics()
    receipt = {"started_at": "2026-11-23T22:00:00Z", "finished_at": "2026-11-23T22:00:02Z"}
    head = Outcome(0, 1, 1, "c", "failed", True, "k", error={"code": f"no rhyme in {SECRET}"}, receipt=receipt)
    metrics.written([head, replace(head, error={"code": "empty_output"}), replace(head, receipt={})])
    text = metrics.text(None, 0)
    assert SECRET not in text
    assert 'nightpress_attempt_duration_seconds_sum{error_type="_OTHER"} 2.0' in text
    assert 'nightpress_attempt_duration_seconds_count{error_type="empty_output"} 1.0' in text


def test_verdicts_and_findings_are_counted() -> None:
    metrics = WorkerMetrics()
    fit = Outcome(0, 1, 1, "c", "completed", True, "k", verdict="fit")
    review = replace(fit, verdict="review", findings=[finding("gap"), finding("echo", "note")])
    broken = replace(fit, status="failed", verdict=None, findings=[finding("gap", "fail"), finding(SECRET, "fail")])
    crashed = Outcome(0, 1, 1, "c", "crashed", False, "")
    metrics.written([fit, fit, review, broken, replace(broken, final=False), replace(fit, verdict=None), crashed])
    text = metrics.text(None, 0)
    counted = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith(("nightpress_verdicts_total", "nightpress_findings_total"))
    }
    assert counted == {
        'nightpress_verdicts_total{verdict="fit"}': 2.0,
        'nightpress_verdicts_total{verdict="review"}': 1.0,
        'nightpress_findings_total{code="gap",severity="review"}': 1.0,
        'nightpress_findings_total{code="echo",severity="note"}': 1.0,
        'nightpress_findings_total{code="gap",severity="fail"}': 2.0,
        'nightpress_findings_total{code="_OTHER",severity="fail"}': 2.0,
    }
    assert SECRET not in text

"""Shows workers/worker/metrics.py: what a worker counts."""

from dataclasses import replace

import pytest

pytest.importorskip("prometheus_client", reason="the extra `workers` is not installed")

from jobs.batches.segments.line import Outcome
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

"""Shows workers/fleet/metrics.py: what a scrape of a working fleet gets, and that every documented metric moves."""

import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

pytest.importorskip("prometheus_client", reason="the extra `workers` is not installed")

from prometheus_client.parser import text_string_to_metric_families

from jobs.batches.open_batches import OpenBatches
from jobs.checks.batch.audit import AuditRow, audit
from jobs.intake.accept import IntakeOptions, accept_file
from jobs.lanes.protocol import LaneSnapshot
from jobs.lanes.redis_queue import RedisQueue
from jobs.memory.entry import Entry
from jobs.memory.files import write_section
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.opening import open_store
from workers.fleet.metrics import METRICS as FLEET
from workers.fleet.metrics import FleetMetrics
from workers.worker.metrics import METRICS, WorkerMetrics
from workers.worker.worker import Worker, WorkerPlan

SECRET = "a secret that nobody may read"


def scraped(port: int) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Return metric -> labels -> value, for all samples of a scrape. The official client parses them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        assert family.type != "unknown", family.name
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    assert SECRET not in text
    return found


def total(samples: dict[tuple[tuple[str, str], ...], float], **labels: str) -> float:
    return sum(value for given, value in samples.items() if labels.items() <= dict(given).items())


def look_at(moved: set[str], samples: dict[str, dict[tuple[tuple[str, str], ...], float]]) -> set[str]:
    """Add the metrics that are above 0 in `samples` to `moved`, and return `moved`."""
    moved.update(name for name, values in samples.items() if total(values) > 0)
    return moved


def test_each_metric_of_the_table_moves_in_a_run(tmp_path: Path, redis_url: str, until: Any) -> None:
    """In the middle of the run Redis forgets everything, so that leases are lost as well."""
    settings = Settings(
        store_url=str(tmp_path / "store"), model="stub", flush_s=0.05, batch_scan_s=0.1, log_level="error", max_attempts=2,
        models={"stub": {"engine": "stub", "checks": True, "slots": 4,
                         "options": {"step_s": 0.002, "failure_rate": 0.4, "seed": 3}}},
        backoff_s=0.0, lease_s=0.6,
    )  # fmt: skip
    rows = tmp_path / "rows.jsonl"
    known = '{"kind": "translation", "text": "Good night.", "source_language": "en", "target_language": "de"}\n'
    rows.write_text(f'{{"kind": "chat", "prompt": "{SECRET}"}}\n' * 60 + known)
    store = open_store(settings.store_url)
    entry = Entry(
        "Good night.", "Gute Nacht.", "en", "de", datetime.now(UTC), "editor", prompt_tokens=7, completion_tokens=3
    )
    write_section(store, settings.tenant, "import-0123456789abcdef.jsonl", [entry])
    batch = accept_file(store, rows, IntakeOptions(name=SECRET.replace(" ", "-")), settings, "k").batch
    queue = RedisQueue.from_settings(settings, store, redis_url)
    fleet = FleetMetrics()
    sweeper = Sweeper(store, queue, OpenBatches(store, batch_scan_s=0.1), settings.prices, on_published=fleet.published)
    fleet.audited(audit([AuditRow(str(n), "chat", "a", "the same eight words in each of them") for n in range(2)]))
    worker = Worker(WorkerPlan("w-1", "stub", redis_url, settings))
    port = fleet.serve("127.0.0.1", 0)

    def update() -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
        lanes = {lane: queue.snapshot(lane) for lane in queue.lanes()}
        fleet.update([worker.status()], lanes, sweeper.batches, batch.created_at + timedelta(seconds=90))
        return scraped(port)

    moved: set[str] = set()
    try:
        with ThreadPoolExecutor(1) as thread:
            ended = thread.submit(worker.run)
            sweeper.sweep()
            until(lambda: "nightpress_rows_total" in look_at(moved, update()), 60, "the first rows")
            redis.Redis.from_url(redis_url).flushall()
            until(lambda: "nightpress_lease_losses_total" in look_at(moved, update()), 60, "leases are lost")
            until(lambda: look_at(moved, update()) and sweeper.sweep() == 0, 60, "the batch is published")
            end = update()
            look_at(moved, end)
            worker.stop(1.0)
            ended.result()
    finally:
        fleet.close()
    done = sweeper.published[batch.batch_id]
    assert total(end["nightpress_rows_total"], outcome="completed") >= done.counts["completed"] > 0
    assert (
        total(
            end["gen_ai_client_token_usage_sum"], gen_ai_token_type="output", gen_ai_request_model="stub", worker="w-1"
        )
        > 0
    )
    assert total(end["nightpress_open_batches"]) == 0
    assert total(end["nightpress_publish_duration_seconds_count"]) == 1
    assert total(end["nightpress_flush_duration_seconds_bucket"], le="+Inf") > 1
    assert total(end["nightpress_attempt_duration_seconds_count"], error_type="generation_failed") > 0
    histograms = ("duration_seconds", "token_usage")
    assert {f"{name}_count" if name.endswith(histograms) else name for name in METRICS | FLEET} <= moved
    allowed = {
        "worker",
        "gen_ai_request_model",
        "outcome",
        "verdict",
        "code",
        "severity",
        "error_type",
        "gen_ai_token_type",
        "account",
        "lane",
        "state",
        "le",
        "kind",
        "answer",
    }
    assert {name for samples in end.values() for labels in samples for name, _ in labels} <= allowed


def test_a_worker_that_is_loading_is_counted_already() -> None:
    fleet = FleetMetrics()
    status = {"worker": "w", "model": "m", "metrics": WorkerMetrics().text(None, 0)}
    lane = LaneSnapshot("m", False, 3, 2, 1, 0, {}, ())
    fleet.update([status, {**status, "worker": "v"}], {"m": lane}, (), datetime.now(UTC))
    families = {family.name: family for family in fleet.current()}
    assert families["nightpress_workers"].samples[0].value == 2
    assert [sample.value for sample in families["nightpress_queue_rows"].samples] == [3, 2, 1]


def test_the_samples_of_two_workers_stand_in_one_family() -> None:
    fleet = FleetMetrics()
    both = [{"worker": name, "model": "m", "metrics": WorkerMetrics().text(None, 0)} for name in "ab"]
    fleet.update(both, {}, (), datetime.now(UTC))
    names = [family.name for family in fleet.current()]
    assert len(names) == len(set(names))


def test_the_collapse_of_a_kind_is_that_of_its_worst_tenant_in_the_last_audit() -> None:
    def rows(*tenants: str) -> list[AuditRow]:
        return [
            AuditRow(str(n), "chat", tenant, "the same eight words in each of them") for n, tenant in enumerate(tenants)
        ]

    fleet = FleetMetrics()
    port = fleet.serve("127.0.0.1", 0)
    try:
        for given, share in ((rows("a", "b", "b"), 0.5), (rows("a", "b"), 0.0)):
            fleet.audited(audit(given))
            assert scraped(port)["nightpress_collapse_ratio"] == {(("kind", "chat"),): share}
    finally:
        fleet.close()

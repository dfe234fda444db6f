"""Shows workers/monitoring/fleet_metrics.py: what a scrape of a working fleet gets, and that every documented metric moves."""

import shutil
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

pytest.importorskip("prometheus_client", reason="the extra `workers` is not installed")

from prometheus_client.parser import text_string_to_metric_families

from jobs.batches.open_batches import OpenBatches
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.rounds import close, pause
from jobs.checks.batch.audit import AuditRow, audit
from jobs.intake.accept import IntakeOptions, accept, accept_file
from jobs.kinds.registry import load_kinds
from jobs.lanes.protocol import LaneSnapshot
from jobs.lanes.redis_queue import RedisQueue
from jobs.memory.entry import Entry
from jobs.memory.files import write_section
from jobs.operations.status_reader import StatusReader
from jobs.prices import BILLION, Money
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.opening import open_store
from workers.monitoring.counts import FORGET_S, Samples, WorkerSamples
from workers.monitoring.fleet_metrics import FleetMetrics
from workers.monitoring.monitor import Monitor
from workers.monitoring.table import TABLE
from workers.worker.worker import Worker, WorkerPlan

MONEY = Money(amount=BILLION, currency="USD")
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
    batch = accept_file(store, rows, IntakeOptions(name=SECRET.replace(" ", "-"), budget=MONEY), settings, "k").batch
    queue = RedisQueue.from_settings(settings, store, redis_url)
    monitor = Monitor()
    fleet = monitor.metrics
    sweeper = Sweeper(store, queue, OpenBatches(store, batch_scan_s=0.1), settings.prices, on_published=fleet.published)
    fleet.audited(audit([AuditRow(str(n), "chat", "a", "the same eight words in each of them") for n in range(2)]))
    worker = Worker(WorkerPlan("w-1", "stub", redis_url, settings))
    port = monitor.serve("127.0.0.1", 0)
    monitor.watch(store, queue)
    fleet.undelivered = lambda: 1

    def update() -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
        lanes = {lane: queue.snapshot(lane) for lane in queue.lanes()}
        now = batch.created_at + timedelta(seconds=90)
        fleet.progressed(StatusReader(store, queue).read([index.batch.batch_id for index in sweeper.batches]).batches)
        fleet.swept()
        fleet.update([worker.status()], lanes, sweeper.batches, now, deaths={"stub": 1}, damaged=1)
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
        monitor.close()
    done = sweeper.published[batch.batch_id]
    assert total(end["nightpress_rows_total"], outcome="completed") >= done.counts["completed"] > 0
    assert total(end["gen_ai_client_token_usage_sum"], gen_ai_token_type="output", gen_ai_request_model="stub") > 0
    assert total(end["nightpress_open_batches"]) == 0
    assert total(end["nightpress_publish_duration_seconds_count"]) == 1
    assert total(end["nightpress_flush_duration_seconds_bucket"], le="+Inf") > 1
    assert total(end["nightpress_attempt_duration_seconds_count"], error_type="generation_failed") > 0
    silent = {"nightpress_deadline_margin_seconds", "nightpress_late_batches", "nightpress_lane_paused"}
    assert {f"{name}_count" if TABLE[name].buckets else name for name in TABLE.keys() - silent} <= moved
    assert_as_in_the_table(end)


def assert_as_in_the_table(end: dict[str, dict[tuple[tuple[str, str], ...], float]]) -> None:
    """Each sample has the name, the labels and the values of labels that the table says."""
    for name, info in TABLE.items():
        for sample in info.samples(name):
            for labels in end.get(sample, {}):
                given = {label: value for label, value in labels if label != "le"}
                assert given.keys() == info.labels.keys(), name
                assert all(not info.labels[label] or value in info.labels[label] for label, value in given.items()), (
                    name
                )
    served = {sample for name, info in TABLE.items() for sample in info.samples(name)}
    assert end.keys() - served <= {f"{name}_created" for name in TABLE}, "a metric that the table lacks"


def told(life: str, rows: float, born: float | None = None) -> dict[str, Any]:
    counts: Samples = {("nightpress_rows_total", ("completed",)): (rows,)}
    return {"worker": f"w-{life}", "model": "m", "metrics": WorkerSamples(life, born or time.time(), counts)}


def values(fleet: FleetMetrics, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    """Labels -> value, for the samples of a metric."""
    found = [sample for family in fleet.collect() for sample in family.samples if sample.name == name]
    return {tuple(sorted(sample.labels.items())): sample.value for sample in found}


def completed(fleet: FleetMetrics) -> float:
    return total(values(fleet, "nightpress_rows_total"), outcome="completed", gen_ai_request_model="m")


def test_a_worker_that_is_loading_is_counted_already() -> None:
    fleet = FleetMetrics()
    lane = LaneSnapshot("m", False, 3, 2, 1, 0, {}, ())
    fleet.update([told("a", 0), told("b", 0)], {"m": lane}, (), datetime.now(UTC))
    assert list(values(fleet, "nightpress_workers").values()) == [2]
    assert list(values(fleet, "nightpress_queue_rows").values()) == [3, 2, 1]


def test_counts_of_workers_are_added_up_and_never_fall() -> None:
    fleet = FleetMetrics()
    now = datetime.now(UTC)
    seen = []
    for statuses in (
        [told("a", 5), told("b", 2)],
        [told("a", 7), told("b", 2)],
        [told("b", 3)],  # the other one died
        [told("b", 3), told("c", 4)],  # and was replaced
        [told("a", 8), told("c", 4)],  # it had only been slow to answer
        [],
    ):
        fleet.update(statuses, {}, (), now)
        seen.append(completed(fleet))
    assert seen == [7, 9, 10, 14, 15, 15]
    assert list(values(fleet, "nightpress_workers").values()) == [0], "a model without workers has a 0, and no gap"


def test_a_worker_of_an_earlier_fleet_counts_from_its_adoption_on() -> None:
    fleet = FleetMetrics()
    for rows in (500, 500, 503):
        fleet.update([told("a", rows, born=time.time() - 60)], {}, (), datetime.now(UTC))
    assert completed(fleet) == 3


def test_a_worker_that_was_not_heard_of_for_long_is_forgotten_with_its_counts_kept() -> None:
    at = [time.time()]
    fleet = FleetMetrics(lambda: at[0])
    fleet.update([told("a", 5, born=at[0])], {}, (), datetime.now(UTC))
    at[0] += 2 * FORGET_S
    fleet.update([], {}, (), datetime.now(UTC))
    assert fleet._totals._last == {}
    assert completed(fleet) == 5


def test_counters_begin_at_0_so_that_their_first_increase_is_seen() -> None:
    fleet = FleetMetrics()
    fleet.update([told("a", 0)], {}, (), datetime.now(UTC))
    assert len(values(fleet, "nightpress_rows_total")) == 4
    assert list(values(fleet, "nightpress_worker_deaths_total").values()) == [0]
    assert len(values(fleet, "nightpress_published_rows_total")) == 4


@pytest.mark.parametrize(
    ("deadline_s", "publish_at_s", "expected_s", "late", "margin_s"),
    [
        pytest.param(None, None, 100, 0, None, id="no deadline"),
        pytest.param(100, None, None, 0, None, id="a deadline, and no expected end yet"),
        pytest.param(100, None, 90, 0, 10, id="in time"),
        pytest.param(100, None, 130, 1, -30, id="later than the deadline"),
        pytest.param(100, 50, 90, 1, -40, id="later than publish_at"),
        pytest.param(-5, None, None, 1, -5, id="the deadline has passed"),
        pytest.param(-5, None, -8, 1, -5, id="an expected end in the past is now"),
    ],
)
def test_a_batch_is_late_by_its_deadline(
    tmp_path: Path,
    deadline_s: int | None,
    publish_at_s: int | None,
    expected_s: int | None,
    late: int,
    margin_s: int | None,
) -> None:
    store, now = open_store(str(tmp_path)), datetime.now(UTC)
    lines = [b'{"kind": "chat", "prompt": "Hi"}']

    def at(seconds: int | None) -> datetime | None:
        return None if seconds is None else now + timedelta(seconds=seconds)

    batch = accept(
        store, lines, IntakeOptions(), kinds=load_kinds(), settings=Settings(model="stub"), run_key="k"
    ).batch
    index = OutcomeIndex(store, batch.model_copy(update={"deadline": at(deadline_s), "publish_at": at(publish_at_s)}))
    index.refresh()
    fleet = FleetMetrics()
    status = StatusReader(store).batch(batch.batch_id)
    fleet.progressed([replace(status, expected_end=at(expected_s))])
    fleet.update([], {}, [index], now)
    assert list(values(fleet, "nightpress_late_batches").values()) == [late]
    assert list(values(fleet, "nightpress_deadline_margin_seconds").values()) == [margin_s] * (margin_s is not None)
    assert total(values(fleet, "nightpress_open_batches"), state="open") == 1
    assert total(values(fleet, "nightpress_open_rows"), state="left") == 1
    fleet.update([], {}, [], now)
    assert total(values(fleet, "nightpress_open_rows")) == 0, "the batch was published meanwhile"


def test_paused_batches_and_lanes_are_told_apart(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    indexes = []
    for run_key in "abc":
        accepted = accept(
            store, [b'{"kind": "chat", "prompt": "Hi"}'], IntakeOptions(), kinds=load_kinds(),
            settings=Settings(model="stub"), run_key=run_key,
        )  # fmt: skip
        if run_key == "a":
            pause(store, accepted.batch, "its first rows all failed")
        if run_key == "b":
            close(store, accepted.batch.batch_id, "cancelled")
        indexes.append(OutcomeIndex(store, accepted.batch))
        indexes[-1].refresh()
    lanes = {
        "by-hand": LaneSnapshot("by-hand", True, 0, 0, 0, 0, {}, ()),
        "by-itself": LaneSnapshot("by-itself", True, 0, 0, 0, 0, {}, (), reason="5 workers died"),
        "going": LaneSnapshot("going", False, 0, 0, 0, 0, {}, ()),
    }
    fleet = FleetMetrics()
    fleet.update([], lanes, indexes, datetime.now(UTC))
    assert values(fleet, "nightpress_open_rows") == {}, "nobody has looked yet how far they are"
    states = {dict(labels)["state"]: n for labels, n in values(fleet, "nightpress_open_batches").items()}
    assert states == {"open": 1, "paused": 1, "closed": 1}
    paused = values(fleet, "nightpress_lane_paused")
    assert [dict(labels) for labels, one in paused.items() if one] == [
        {"cause": "operator", "lane": "by-hand"},
        {"cause": "deaths", "lane": "by-itself"},
    ]
    assert len(paused) == 6


def test_an_update_asks_no_storage(tmp_path: Path) -> None:
    """1,000 workers and 200 batches are added up from what is known; the batches' files are gone by then."""
    store, now = open_store(str(tmp_path / "store")), datetime.now(UTC)
    made = accept(
        store, [b'{"kind": "chat", "prompt": "Hi"}'], IntakeOptions(), kinds=load_kinds(), settings=Settings(model="stub"),
        run_key="k",
    )  # fmt: skip
    index = OutcomeIndex(store, made.batch)
    index.refresh()
    shutil.rmtree(tmp_path / "store")
    fleet = FleetMetrics()
    fleet.update([told(str(n), 1) for n in range(1000)], {}, [index] * 200, now)
    assert completed(fleet) == 1000
    assert total(values(fleet, "nightpress_open_batches")) == 200
    series = sum(len(family.samples) for family in fleet.collect() if "worker" not in family.name)
    assert series < 100, "they do not grow with the number of workers"


def test_the_collapse_of_a_kind_is_that_of_its_worst_tenant_in_the_last_audit() -> None:
    def rows(*tenants: str) -> list[AuditRow]:
        return [
            AuditRow(str(n), "chat", tenant, "the same eight words in each of them") for n, tenant in enumerate(tenants)
        ]

    fleet = FleetMetrics()
    for given, share in ((rows("a", "b", "b"), 0.5), (rows("a", "b"), 0.0)):
        fleet.audited(audit(given))
        assert values(fleet, "nightpress_collapse_ratio") == {(("kind", "chat"),): share}

"""Shows that `nightpress work` puts all of workers/monitoring together: a port that tells of the fleet, Redis and the storage."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from jobs.batches.batch import Batch
from jobs.batches.open_batches import OpenBatches
from jobs.errors import QueueUnavailable, RequestError
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.lanes.redis_queue import RedisQueue
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.opening import open_store
from workers.commands.work import Work
from workers.monitoring.worker_metrics import WorkerMetrics


@dataclass
class Replica:
    parked: bool = False


@dataclass
class Fleet:
    """What `tick` asks of a fleet: one worker that has loaded its model, and one that waits for room."""

    away: bool = False
    deaths: Mapping[str, int] = field(default_factory=lambda: {"stub": 3})
    replicas: tuple[Replica, ...] = (Replica(), Replica(), Replica(parked=True))

    @property
    def cluster(self) -> "Fleet":
        return self

    def is_away(self) -> bool:
        return self.away

    def statuses(self) -> list[dict[str, Any]]:
        return [{"worker": "w-1", "model": "stub", "load_s": 1.0, "metrics": WorkerMetrics().samples(None, 0)}]


class Queue:
    """A queue that can be away."""

    def __init__(self, queue: RedisQueue) -> None:
        self._queue = queue
        self.away = False

    def lanes(self) -> Any:
        return self._asked("lanes")

    def snapshot(self, *args: str) -> Any:
        return self._asked("snapshot", *args)

    def ping(self) -> None:
        if self.away:
            raise QueueUnavailable("Redis at a:1 does not answer")

    def _asked(self, name: str, *args: str) -> Any:
        if self.away:
            raise QueueUnavailable("Redis at a:1 does not answer")
        return getattr(self._queue, name)(*args)


@dataclass
class Answering:
    """A `work` that serves its port, with the sweeper that its supervisor would give it."""

    work: Work
    port: int
    sweeper: Sweeper
    queue: Queue
    batch: Batch

    def ask(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}") as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def tick(self, fleet: Fleet) -> None:
        self.work._metrics_at = float("-inf")
        self.work.tick(self.sweeper, fleet)  # type: ignore[arg-type]


@pytest.fixture
def answering(tmp_path: Path, fake_queue: RedisQueue) -> Iterator[Answering]:
    settings = Settings(store_url=str(tmp_path), model="stub", metrics_port=0)
    store, queue = open_store(settings.store_url), Queue(fake_queue)
    lines = [orjson.dumps({"kind": "chat", "prompt": "Hi"})]
    batch = accept(store, lines, IntakeOptions(), kinds=load_kinds(), settings=settings, run_key="k").batch
    work = Work(settings)
    with capture_logs() as logs:
        work._serve_metrics()
    sweeper = Sweeper(store, queue, OpenBatches(store, batch_scan_s=0.0), settings.prices)  # type: ignore[arg-type]
    fake_queue.pause("stub")
    sweeper.batches.scan()
    yield Answering(work, logs[0]["port"], sweeper, queue, batch)
    work._monitor.close()


def test_the_port_tells_of_fleet_redis_and_storage(answering: Answering, until: Callable[..., Any]) -> None:
    one = answering
    one.work.show_phase("starting Ray")
    assert json.loads(one.ask("/readyz")[1])["checks"]["fleet"]["fault"] == "starting Ray"
    assert list(one.work.models(one.sweeper)) == ["stub"]
    one.tick(Fleet())
    until(lambda: one.ask("/readyz")[0] == 200, 20, "readiness")
    assert json.loads(one.ask("/readyz")[1])["checks"]["workers"] == {"ok": True, "wanted": 2, "up": 1, "loaded": 1}
    one.work.is_reached(one.sweeper, 1)
    text = one.ask("/metrics")[1]
    for line in (
        'nightpress_worker_deaths_total{gen_ai_request_model="stub"} 3.0',
        'nightpress_open_batches{state="open"} 1.0',
        'nightpress_lane_paused{cause="operator",lane="stub"} 1.0',
        'nightpress_workers{gen_ai_request_model="stub"} 1.0',
        "nightpress_redis_up 1.0",
        "nightpress_store_up 1.0",
        "nightpress_damaged_batches 0.0",
    ):
        assert line in text
    assert "nightpress_last_sweep_timestamp_seconds 1." in text
    assert "nightpress_undelivered_batches" not in text, "nobody has looked yet"


def test_a_server_of_ones_own_is_asked_from_the_start(
    tmp_path: Path, redis_url: str, until: Callable[..., Any]
) -> None:
    """Ray may take minutes to start."""
    work = Work(Settings(store_url=str(tmp_path), model="stub", metrics_port=0, redis_url=redis_url))
    work._serve_metrics()
    work.show_phase("starting Ray")
    try:
        until(lambda: all(probe.answer().ok for probe in work._monitor.health.probes.values()), 20, "the answers")
        checks = work._monitor.health.ready()[1]["checks"]
        assert (checks["queue"], checks["store"]) == ({"ok": True}, {"ok": True})
        assert checks["fleet"]["fault"] == "starting Ray"
    finally:
        work._monitor.close()


def test_figures_of_lanes_stay_while_redis_is_away(answering: Answering, until: Callable[..., Any]) -> None:
    one = answering
    one.queue.away = True
    one.work.models(one.sweeper)
    one.queue.away = False
    one.tick(Fleet())
    one.queue.away = True
    one.tick(Fleet())
    until(lambda: '"for_s"' in one.ask("/readyz")[1], 20, "the probe")
    status, body = one.ask("/readyz")
    assert status == 503
    assert json.loads(body)["checks"]["queue"]["fault"] == "Redis at a:1 does not answer"
    assert one.ask("/healthz")[0] == 200
    assert 'nightpress_queue_rows{lane="stub",state="ready"} 0.0' in one.ask("/metrics")[1]


def test_a_cluster_that_is_away_is_told_and_asked_nothing(answering: Answering) -> None:
    answering.tick(Fleet(away=True))
    checks = json.loads(answering.ask("/readyz")[1])["checks"]
    assert checks["fleet"]["fault"].startswith("the Ray cluster does not answer")
    assert checks["workers"]["up"] == 0


def test_an_interrupted_fleet_is_not_ready(answering: Answering) -> None:
    answering.tick(Fleet())
    answering.work.interrupt()
    answering.tick(Fleet())
    assert json.loads(answering.ask("/readyz")[1])["checks"]["fleet"]["fault"] == "ending"


def test_without_a_port_nothing_is_asked(tmp_path: Path, fake_queue: RedisQueue) -> None:
    settings = Settings(store_url=str(tmp_path), model="stub")
    store = open_store(settings.store_url)
    work = Work(settings)
    work._serve_metrics()
    sweeper = Sweeper(store, fake_queue, OpenBatches(store), settings.prices)
    work.models(sweeper)
    work.tick(sweeper, None)  # type: ignore[arg-type]
    assert work._monitor.health.probes == {}


def test_a_port_that_is_taken_is_named(answering: Answering, tmp_path: Path) -> None:
    settings = Settings(store_url=str(tmp_path), model="stub", metrics_port=answering.port)
    with pytest.raises(RequestError, match=rf"no metrics at 127\.0\.0\.1:{answering.port}: .*in use.*Set metrics_port"):
        Work(settings)._serve_metrics()

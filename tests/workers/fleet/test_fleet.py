"""Shows workers/fleet/fleet.py and workers/fleet/actor.py on a local Ray: the dead are replaced, the rest drain."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable, UnavailableError
from jobs.lanes.redis_queue import RedisQueue
from jobs.settings import Settings
from workers.fleet.fleet import Fleet, connect, workers_per_lane

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    connect(None, local=True)
    yield
    ray.shutdown()


@pytest.fixture
def fleet(local_ray: None, tmp_path: Path, redis_url: str) -> Iterator[Fleet]:
    del local_ray
    settings = Settings(
        store_url=str(tmp_path / "store"),
        model="stub",
        lease_s=3,
        log_level="error",
        models={
            "gone": {"source": str(tmp_path / "nowhere"), "device": "cpu"},
            "broken": {"engine": "stub", "options": {"load_fault": "exit"}},
        },
    )
    made = Fleet(settings, redis_url)
    yield made
    made.kill()


def pids(fleet: Fleet) -> set[int]:
    queue = RedisQueue.from_url(fleet.redis_url)
    try:
        return {worker.pid for worker in queue.snapshot("stub").workers if worker.worker.startswith(fleet.name)}
    finally:
        queue.close()


def test_a_killed_worker_is_replaced_and_the_fleet_drains(fleet: Fleet, until: Callable[..., Any]) -> None:
    fleet.staff("stub", 1)
    fleet.staff("stub", 1)
    assert len(fleet.replicas) == 1
    (pid,) = until(lambda: pids(fleet), 60, "the worker")
    os.kill(pid, signal.SIGKILL)

    def replaced() -> bool:
        fleet.watch()
        return bool(pids(fleet) - {pid})

    until(replaced, 60, "another worker")
    assert fleet.replicas[0].deaths == 1
    assert [status["worker"] for status in fleet.statuses(10.0)] == [fleet.replicas[0].worker]
    fleet.drain(1.0)
    assert fleet.replicas[0].handle is None


def test_a_model_that_is_not_there_ends_the_fleet_with_its_remedy(fleet: Fleet, until: Callable[..., Any]) -> None:
    fleet.staff("gone", 1)

    def watched() -> bool:
        fleet.watch()
        return False

    with pytest.raises(ModelUnavailable):
        until(watched, 60, "the fault")


def test_workers_that_die_before_they_are_loaded_end_the_fleet(
    fleet: Fleet, until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.fleet.fleet.BACKOFF_S", 0.01)
    fleet.staff("broken", 1)

    def watched() -> bool:
        fleet.watch()
        return False

    with pytest.raises(ModelUnavailable, match=r"no worker for broken can start, 4 have died") as fault:
        until(watched, 120, "the fault")
    assert fault.value.exit_status == 3
    assert "\n" not in str(fault.value)


def test_workers_by_the_devices(local_ray: None) -> None:
    del local_ray
    cpus = int(ray.cluster_resources()["CPU"])
    assert workers_per_lane(ModelCard(engine="stub")) == max(1, cpus - 1)


def test_a_cluster_that_is_not_there_is_said() -> None:
    if ray.is_initialized():
        pytest.skip("this process has a Ray already")
    with pytest.raises(UnavailableError, match="ray start --head"):
        connect("127.0.0.1:1")

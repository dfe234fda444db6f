"""Shows workers/fleet/fleet.py on a fake cluster: its drain, and the faults that workers report."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from jobs.errors import ModelUnavailable, QueueUnavailable, StoreDamaged, StoreUnavailable
from jobs.settings import Settings
from tests.support.fake_cluster import FakeCluster
from workers.commands.run import phase_of
from workers.fleet.aside import in_line
from workers.fleet.fleet import AGAIN_S, Fleet
from workers.fleet.handles import End


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster([Counter({"CPU": 2})], draining_s=30.0)


@pytest.fixture
def fleet(cluster: FakeCluster) -> Iterator[Fleet]:
    made = Fleet(Settings(), "redis://nowhere", cluster, aside=in_line, monotonic=cluster.monotonic)
    made.staff("stub", 2)
    cluster.place()
    yield made
    made.kill()


def test_it_waits_until_the_workers_have_ended(fleet: Fleet, cluster: FakeCluster) -> None:
    fleet.drain(60.0)
    assert cluster.seconds == pytest.approx(30.0, abs=1.0)
    assert [worker.killed for worker in cluster.workers] == [True, True]


def test_it_ends_when_the_workers_are_killed_meanwhile(fleet: Fleet, cluster: FakeCluster) -> None:
    fleet.drain(60.0, meanwhile=fleet.kill)
    assert cluster.seconds < 1.0
    assert [worker.killed for worker in cluster.workers] == [True, True]


def test_it_does_not_wait_for_those_that_wait_for_room(fleet: Fleet, cluster: FakeCluster) -> None:
    cluster.draining_s = 0.0
    fleet.staff("stub", 4)
    cluster.place()
    fleet.drain(60.0)
    assert cluster.seconds < 1.0
    assert [worker.killed for worker in cluster.workers] == [True] * 4


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        pytest.param({"store_fault": "is full", "store_damage": "is damaged"}, StoreUnavailable, id="away"),
        pytest.param({"store_fault": "", "store_damage": "is damaged"}, StoreDamaged, id="damaged"),
        pytest.param({"store_fault": "", "store_damage": ""}, None, id="well"),
    ],
)
def test_a_storage_that_is_away_is_raised_before_a_damaged_file(
    fleet: Fleet, cluster: FakeCluster, status: dict[str, str], fault: type[StoreUnavailable] | None
) -> None:
    cluster.status = {"queue_fault": "", **status}
    for _ in range(2):
        try:
            fleet.check_workers()
            found = None
        except StoreUnavailable as error:
            found = type(error)
        assert found is fault


def test_nothing_is_asked_while_the_cluster_is_away(fleet: Fleet, cluster: FakeCluster) -> None:
    fleet.kill()
    asked: list[str] = []

    def has_work(lane: str) -> bool:
        asked.append(lane)
        return False

    cluster.away = True
    fleet.allocate(has_work)
    assert asked == []
    cluster.away = False
    fleet.allocate(has_work)
    assert asked == ["stub"]


def test_workers_that_have_ended_are_forgotten_before_others_take_their_names(
    fleet: Fleet, cluster: FakeCluster
) -> None:
    forgotten: list[tuple[str, str]] = []
    started: list[int] = []

    def forget(lane: str, worker: str) -> None:
        forgotten.append((lane, worker))
        started.append(len(cluster.workers))

    fleet.forget = forget
    name = fleet.replicas[0].worker
    cluster.workers[0].kill()
    fleet.watch()
    assert forgotten == [("stub", name)]
    assert started == [2], "the worker that replaces it has not been started before"
    assert fleet.replicas[0].worker == name
    cluster.draining_s = 0.0
    fleet.drain(1.0)
    assert len(forgotten) == 3


def test_a_redis_that_is_away_keeps_no_fleet_from_going_on(fleet: Fleet, cluster: FakeCluster) -> None:
    calls: list[str] = []

    def forget(lane: str, worker: str) -> None:
        calls.append(worker)
        raise QueueUnavailable("Redis is away")

    fleet.forget = forget
    for worker in cluster.workers:
        worker.kill()
    fleet.watch()
    assert len(calls) == 2
    assert len(cluster.workers) == 4


def test_a_model_counts_as_loading_until_one_of_its_workers_has_loaded_it(fleet: Fleet, cluster: FakeCluster) -> None:
    cluster.loads = False
    assert (fleet.loading(), phase_of(fleet)) == ({}, "starting workers")
    fleet.watch()
    cluster.seconds += 75
    assert phase_of(fleet) == "loading stub for 75 s"
    cluster.loads = True
    cluster.seconds += 5
    fleet.watch()
    assert (fleet.loading(), phase_of(fleet)) == ({}, "generating")
    fleet.replicas[0].alias = "other"
    fleet.replicas[0].loaded = False
    assert phase_of(fleet) == "generating, loading other for 80 s"
    fleet.replicas[0].alias = "stub"


@pytest.mark.parametrize("keeps", [True, False], ids=["detached", "in the foreground"])
def test_a_model_that_cannot_be_loaded_ends_a_command_and_no_detached_fleet(
    fleet: Fleet, cluster: FakeCluster, keeps: bool
) -> None:
    cluster.keeps = keeps
    cluster.workers[0].exit = End("there is no folder", ModelUnavailable("there is no folder"))
    if not keeps:
        with pytest.raises(ModelUnavailable, match="there is no folder"):
            fleet.watch()
        return
    with capture_logs() as logs:
        fleet.watch()
    assert [(log["event"], log["model"], log["again_s"]) for log in logs] == [("model.unavailable", "stub", AGAIN_S)]
    cluster.seconds += AGAIN_S - 1
    fleet.watch()
    assert len(cluster.workers) == 2
    cluster.seconds += 1
    fleet.watch()
    assert len(cluster.workers) == 3


def test_workers_that_an_earlier_fleet_has_left_are_adopted_and_none_beside_them_is_started(
    fleet: Fleet, cluster: FakeCluster
) -> None:
    """One of them still waits for room. One is of a model that the catalog no longer has, and is ended."""
    cluster.keeps = True
    fleet.staff("stub", 3)
    cluster.workers[1].plan = replace(cluster.workers[1].plan, alias="gone")
    names = [replica.worker for replica in fleet.replicas]
    fleet.abandon()
    assert not any(worker.killed for worker in cluster.workers)
    adopting = Fleet(Settings(), "redis://nowhere", cluster, aside=in_line, monotonic=cluster.monotonic)
    adopting.adopt()
    adopting.staff("stub", 2)
    assert [replica.worker for replica in adopting.replicas] == [names[0], names[2]]
    assert [replica.placed for replica in adopting.replicas] == [True, False]
    assert [worker.killed for worker in cluster.workers] == [False, True, False]
    assert len(cluster.workers) == 3
    adopting.kill()

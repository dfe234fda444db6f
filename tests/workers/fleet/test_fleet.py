"""Shows workers/fleet/fleet.py on a fake cluster: its drain, and the faults that workers report."""

from collections import Counter
from collections.abc import Iterator

import pytest

from jobs.errors import StoreDamaged, StoreUnavailable
from jobs.settings import Settings
from tests.support.fake_cluster import FakeCluster
from workers.fleet.fleet import Fleet


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster([Counter({"CPU": 2})], draining_s=30.0)


@pytest.fixture
def fleet(cluster: FakeCluster) -> Iterator[Fleet]:
    made = Fleet(Settings(), "redis://nowhere", cluster, monotonic=cluster.monotonic)
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

"""Shows workers/fleet/fleet.py on an imitation of Ray: its drain, and what it hears of the storage."""

from collections import Counter
from collections.abc import Iterator

import pytest

from jobs.errors import StoreDamaged, StoreUnavailable
from jobs.settings import Settings
from tests.workers.imitated_ray import ImitatedRay
from workers.fleet.fleet import Fleet
from workers.fleet.gcs_watch import ControlStore


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> ImitatedRay:
    made = ImitatedRay([Counter({"CPU": 2})], draining_s=30.0)
    made.take_the_place_of_ray(monkeypatch)
    return made


@pytest.fixture
def fleet(cluster: ImitatedRay) -> Iterator[Fleet]:
    made = Fleet(Settings(), "redis://nowhere", monotonic=cluster.monotonic)
    made.staff("stub", 2)
    cluster.place()
    yield made
    made.kill()


def test_it_waits_until_the_workers_have_ended(fleet: Fleet, cluster: ImitatedRay) -> None:
    fleet.drain(60.0)
    assert cluster.seconds == pytest.approx(30.0, abs=1.0)
    assert [actor.killed for actor in cluster.actors] == [True, True]


def test_it_ends_when_the_workers_are_killed_meanwhile(fleet: Fleet, cluster: ImitatedRay) -> None:
    fleet.drain(60.0, meanwhile=fleet.kill)
    assert cluster.seconds < 1.0
    assert [actor.killed for actor in cluster.actors] == [True, True]


def test_it_does_not_wait_for_those_that_wait_for_room(fleet: Fleet, cluster: ImitatedRay) -> None:
    cluster.draining_s = 0.0
    fleet.staff("stub", 4)
    cluster.place()
    fleet.drain(60.0)
    assert cluster.seconds < 1.0
    assert [actor.killed for actor in cluster.actors] == [True] * 4


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        pytest.param({"store_fault": "is full", "store_damage": "is damaged"}, StoreUnavailable, id="away"),
        pytest.param({"store_fault": "", "store_damage": "is damaged"}, StoreDamaged, id="damaged"),
        pytest.param({"store_fault": "", "store_damage": ""}, None, id="well"),
    ],
)
def test_what_workers_say_of_the_storage_is_told_apart(
    fleet: Fleet, cluster: ImitatedRay, said: dict[str, str], fault: type[StoreUnavailable] | None
) -> None:
    cluster.said = {"queue_fault": "", **said}
    for _ in range(2):
        try:
            fleet.ask_the_workers()
            found = None
        except StoreUnavailable as error:
            found = type(error)
        assert found is fault


def test_nothing_is_asked_of_ray_while_its_control_store_is_away(fleet: Fleet, cluster: ImitatedRay) -> None:
    fleet.kill()
    answers = True
    fleet._control_store = ControlStore("head:6379", 60.0, answers=lambda _: answers, monotonic=cluster.monotonic)
    fleet._control_store.look()
    cluster.seconds, answers = 1.0, False
    fleet._control_store.look()
    asked: list[str] = []

    def has_work(lane: str) -> bool:
        asked.append(lane)
        return False

    fleet.share(has_work)
    assert asked == []
    cluster.seconds, answers = 4.0, True
    fleet._control_store.look()
    fleet.share(has_work)
    assert asked == ["stub"]

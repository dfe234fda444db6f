"""Shows workers/fleet/nodes/draining.py, and how a fleet leaves nodes that drain, on a fake cluster."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping

import pytest
import structlog

from jobs.settings import Settings
from tests.support.fake_cluster import FakeCluster
from workers.fleet import fleet as fleets
from workers.fleet.aside import in_line
from workers.fleet.fleet import EXIT_S, Fleet
from workers.fleet.handles import End
from workers.fleet.nodes.draining import MARGIN_S, DrainWatch


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster([Counter({"CPU": 2}), Counter({"CPU": 2})], draining_s=3.0)


@pytest.fixture
def fleet(cluster: FakeCluster) -> Iterator[Fleet]:
    clock = cluster.monotonic
    made = Fleet(Settings(drain_s=20), "redis://nowhere", cluster, aside=in_line, monotonic=clock, clock=clock)
    made.staff("stub", 2)
    cluster.place()
    made.watch()
    yield made
    made.kill()


def on(cluster: FakeCluster, node: str) -> list[str]:
    """The workers on a node that were neither stopped nor killed."""
    return [worker.plan.worker for worker in cluster.active() if worker.node() == node]


def test_workers_of_a_draining_node_leave_in_the_time_that_is_left(fleet: Fleet, cluster: FakeCluster) -> None:
    (leaving,) = [worker for worker in cluster.workers if worker.node() == "node-1"]
    (staying,) = [worker for worker in cluster.workers if worker.node() == "node-0"]
    cluster.drains["node-1"] = cluster.seconds + 60
    fleet.watch()
    assert leaving.drain_s == 60 - MARGIN_S
    assert staying.drain_s is None
    assert not leaving.killed, "it finishes its rows"


def test_another_worker_starts_elsewhere_before_the_first_has_left(fleet: Fleet, cluster: FakeCluster) -> None:
    cluster.drains["node-1"] = cluster.seconds + 60
    fleet.watch()
    cluster.place()
    fleet.watch()
    assert len(on(cluster, "node-0")) == 2
    assert on(cluster, "node-1") == []
    names = [worker.plan.worker for worker in cluster.workers]
    assert len(set(names)) == 3, "two workers with one name would be one worker to the queue"
    assert len(fleet.replicas) == 2
    assert {replica.deaths for replica in fleet.replicas} == {0}


def test_a_worker_that_has_left_is_ended_and_forgotten(fleet: Fleet, cluster: FakeCluster) -> None:
    forgotten: list[str] = []
    fleet.forget = lambda _, worker: forgotten.append(worker)
    (leaving,) = [worker for worker in cluster.workers if worker.node() == "node-1"]
    cluster.drains["node-1"] = cluster.seconds + 60
    fleet.watch()
    assert forgotten == []
    cluster.seconds += cluster.draining_s
    fleet.watch()
    assert forgotten == [leaving.plan.worker]
    assert fleet.retiring == []


def test_a_worker_that_stays_too_long_is_killed(fleet: Fleet, cluster: FakeCluster) -> None:
    cluster.draining_s = 1e9
    (leaving,) = [worker for worker in cluster.workers if worker.node() == "node-1"]
    cluster.drains["node-1"] = cluster.seconds + 60
    fleet.watch()
    cluster.seconds += 60 - MARGIN_S + EXIT_S - 0.1
    fleet.watch()
    assert not leaving.killed
    cluster.seconds += 0.2
    fleet.watch()
    assert leaving.killed


@pytest.mark.parametrize(
    ("left_s", "grace_s"),
    [
        pytest.param(math.inf, 20.0, id="no end is known: drain_s"),
        pytest.param(5.0, 5.0 - MARGIN_S, id="5 s"),
        pytest.param(0.5, 0.0, id="hardly any"),
        pytest.param(-30.0, 0.0, id="it should have ended already"),
    ],
)
def test_the_grace_is_the_time_until_the_node_ends(
    left_s: float, grace_s: float, fleet: Fleet, cluster: FakeCluster
) -> None:
    cluster.drains["node-1"] = cluster.seconds + left_s
    fleet.watch()
    assert [worker.drain_s for worker in cluster.workers if worker.stopped] == [grace_s]


def test_a_nearer_end_is_told_and_the_same_one_only_once(fleet: Fleet, cluster: FakeCluster) -> None:
    cluster.draining_s = 1e9
    (leaving,) = [worker for worker in cluster.workers if worker.node() == "node-1"]
    told: list[float] = []
    leaving.stop = told.append  # type: ignore[method-assign, assignment]
    for ends_at in (100.0, 100.0, 99.5, 30.0, 30.0, 200.0):
        cluster.drains["node-1"] = ends_at
        cluster.seconds += 0.5
        fleet.watch()
    assert told == [100.0 - 0.5 - MARGIN_S, 30.0 - 2.0 - MARGIN_S]
    assert len(fleet.replicas) == 2
    assert len(fleet.retiring) == 1


def test_a_worker_that_makes_room_for_another_model_is_told_the_end_of_its_node(
    fleet: Fleet, cluster: FakeCluster
) -> None:
    cluster.draining_s = 1e9
    replica = next(one for one in fleet.replicas if one.handle is not None and one.handle.node() == "node-1")
    fleet._stop(replica, 20.0)
    replica.leaving_until = cluster.seconds + 20.0 + EXIT_S
    (leaving,) = [worker for worker in cluster.workers if worker.node() == "node-1"]
    cluster.drains["node-1"] = cluster.seconds + 5
    fleet.watch()
    assert leaving.drain_s == 5 - MARGIN_S
    assert fleet.retiring == [], "another model gets the room, so it has no successor"


def test_a_drain_of_the_fleet_waits_for_workers_that_leave_their_nodes(fleet: Fleet, cluster: FakeCluster) -> None:
    cluster.draining_s = 10.0
    cluster.drains["node-1"] = cluster.seconds + 60
    fleet.watch()
    fleet.drain(15.0)
    assert cluster.seconds >= 10.0
    assert all(worker.killed for worker in cluster.workers)
    assert all(worker.drain_s == 15.0 for worker in cluster.workers if worker.room is not None)


def test_killing_the_fleet_kills_workers_that_leave_their_nodes(fleet: Fleet, cluster: FakeCluster) -> None:
    cluster.drains["node-1"] = cluster.seconds + 60
    fleet.watch()
    fleet.kill()
    assert all(worker.killed for worker in cluster.workers)


def test_a_worker_that_leaves_by_itself_is_replaced_at_once_and_is_no_failed_start(
    fleet: Fleet, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More workers leave in a row than may die before their model is loaded."""
    monkeypatch.setattr(fleets, "BACKOFF_S", 0.0)
    for _ in range(fleets.START_TRIES + 1):
        last = cluster.workers[-1]
        last.slow, last.exit = True, End("its node drains", left=True)  # slow: its model was never loaded
        with structlog.testing.capture_logs() as logs:
            fleet.watch()
        assert [log["event"] for log in logs] == ["worker.left"]
        cluster.place()
        fleet.watch()
    assert {replica.failed_starts for replica in fleet.replicas} == {0}


def test_the_room_of_a_draining_node_does_not_count(cluster: FakeCluster) -> None:
    assert cluster.capacity().total("CPU") == 4
    cluster.drains["node-0"] = 60.0
    assert cluster.capacity().total("CPU") == 2


def test_the_watch_keeps_its_last_answer_while_the_cluster_does_not_answer() -> None:
    answers: list[Mapping[str, float] | None] = [{}, {"a": 5.0}, None, {}]
    watch = DrainWatch(lambda: answers.pop(0))
    seen = []
    for _ in range(4):
        watch.look()
        seen.append(watch.nodes)
    assert seen == [{}, {"a": 5.0}, {"a": 5.0}, {}]

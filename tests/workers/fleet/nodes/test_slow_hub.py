"""Shows that a hub which is slow or silent keeps neither the fleet nor other models from their work."""

from collections import Counter
from collections.abc import Iterator
from typing import cast

import pytest

from jobs.errors import HubUnavailable, ModelUnavailable
from jobs.settings import Settings
from tests.support.fake_cluster import FakeCluster
from workers.fleet import fleet as fleets
from workers.fleet.allocation import FETCH_S, Room, plan_moves
from workers.fleet.aside import in_line
from workers.fleet.fleet import START_TRIES, Fleet
from workers.fleet.handles import Capacity, End, WorkerHandle
from workers.fleet.replica import Replica

NEEDS = {"GPU": 1.0, "CPU": 1.0}
SILENT = HubUnavailable("no weights of model far can be had (no byte has come for 120 s)")


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster([Counter({"CPU": 2})])


@pytest.fixture
def fleet(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    monkeypatch.setattr(fleets, "BACKOFF_S", 0.0)
    settings = Settings(models={"far": {"engine": "stub"}})
    made = Fleet(settings, "redis://nowhere", cluster, aside=in_line, monotonic=cluster.monotonic)
    yield made
    made.kill()


def end_starts(fleet: Fleet, cluster: FakeCluster, error: ModelUnavailable) -> None:
    """Let the workers of `far` end before their model is loaded, one more than may do so."""
    for _ in range(START_TRIES + 1):
        for worker in cluster.workers:
            if worker.plan.alias == "far" and not worker.killed:
                worker.slow, worker.exit = True, End(str(error), error)
        fleet.watch()
        cluster.place()
        fleet.watch()


def test_other_models_go_on_while_the_hub_is_silent(fleet: Fleet, cluster: FakeCluster) -> None:
    fleet.staff("stub", 1)
    cluster.place()
    fleet.staff("far", 1)
    cluster.place()
    end_starts(fleet, cluster, SILENT)
    assert [worker.plan.alias for worker in cluster.active()] == ["stub", "far"], "it is tried again and again"


def test_a_fleet_of_one_model_ends_if_the_hub_stays_silent(fleet: Fleet, cluster: FakeCluster) -> None:
    fleet.staff("far", 1)
    cluster.place()
    with pytest.raises(ModelUnavailable, match=r"no worker for far can start, 4 have died.*no byte has come for 120 s"):
        end_starts(fleet, cluster, SILENT)


def test_a_hub_that_refuses_ends_the_fleet_at_once(fleet: Fleet, cluster: FakeCluster) -> None:
    fleet.staff("stub", 1)
    fleet.staff("far", 1)
    cluster.place()
    with pytest.raises(ModelUnavailable, match="404"):
        end_starts(fleet, cluster, ModelUnavailable("no weights of model far can be had (404)"))


@pytest.mark.parametrize(("fetching_s", "makes_way"), [(FETCH_S - 1, False), (FETCH_S, True)])
def test_the_only_worker_of_a_model_makes_way_while_it_waits_for_weights(fetching_s: float, makes_way: bool) -> None:
    """Both models have rows, and there is one GPU."""
    handle = cast("WorkerHandle", object())
    holder = Replica("far", 0, handle, needs=NEEDS, placed=True, fetching_s=fetching_s)
    waiting = Replica("near", 0, handle, needs=NEEDS, waiting_since=0.0)
    room = Room(Capacity({"GPU": 0.0, "CPU": 7.0}, [{"GPU": 1.0, "CPU": 8.0}]), NEEDS)
    moves = plan_moves([holder, waiting], {"far", "near"}, room, 100.0)
    assert list(moves.leave) == ([holder] if makes_way else [])


def test_a_worker_that_has_its_weights_no_longer_counts_as_waiting_for_them(fleet: Fleet, cluster: FakeCluster) -> None:
    cluster.loads = False
    cluster.status = {"fetching_s": 75.0}
    fleet.staff("far", 1)
    cluster.place()
    fleet.watch()
    assert fleet.replicas[0].fetching_s == 75.0
    cluster.loads, cluster.status = True, {"fetching_s": 0.0}
    fleet.watch()
    assert fleet.replicas[0].fetching_s == 0.0

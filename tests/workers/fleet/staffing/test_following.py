"""Shows how a fleet follows its plan, on a fake cluster that grants every demand: what is asked of it stays at the plan."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from jobs.settings import Settings
from tests.support.fake_cluster import FakeCluster
from workers.fleet.aside import in_line
from workers.fleet.fleet import Fleet
from workers.fleet.handles import Capacity
from workers.fleet.staffing.deadlines import Deadlines
from workers.fleet.staffing.planner import Staffing

NODE = {"CPU": 8, "GPU": 1}
GROWS = {"CPU": 8_000, "GPU": 1_000}


@dataclass
class Night:
    """A fleet that follows the plan of its staffing, on a cluster where a second passes at each step."""

    cluster: FakeCluster
    fleet: Fleet
    staffing: Staffing
    rows: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)

    def pass_s(self, seconds: int) -> None:
        for _ in range(seconds):
            self.cluster.seconds += 1.0
            self.cluster.place()
            self.staffing.rows = dict(self.rows)
            self.fleet.watch()
            self.fleet.allocate(self.staffing.has_rows)
            self.fleet.follow(self.staffing.plan([alias for alias, n in self.rows.items() if n], self.fleet))
            self.cluster.status = {"running": 0} if not any(self.rows.values()) else {"running": 5}
            self.most |= Counter(worker.plan.alias for worker in self.alive())

    def alive(self) -> list[Any]:
        return [worker for worker in self.cluster.workers if not worker.killed]

    def asked(self) -> Mapping[str, int]:
        return dict(Counter(worker.plan.alias for worker in self.alive()))


@pytest.fixture
def make_night() -> Iterator[Callable[..., Night]]:
    made: list[Night] = []

    def make(nodes: int = 0, workers: int | None = None, *, grows: bool = True, **settings: Any) -> Night:
        card = {"engine": "causal", "source": "nowhere", "slots": 10}
        options = {"drain_s": 5, "models": {"a": card, "b": card}, **settings}
        cluster = FakeCluster(
            [Counter({"CPU": 4}), *(Counter(NODE) for _ in range(nodes))],
            grows_by=NODE if grows else None,
            grown=GROWS if grows else {},
        )
        fleet = Fleet(Settings(**options), "redis://nowhere", cluster, aside=in_line, monotonic=cluster.monotonic)
        made.append(Night(cluster, fleet, Staffing(fleet.settings, Deadlines(fleet.settings, in_line), workers)))
        return made[-1]

    yield make
    for night in made:
        night.fleet.kill()


def test_a_cluster_that_grants_every_demand_is_asked_for_the_plan_and_no_more(make_night: Callable[..., Night]) -> None:
    night = make_night()
    night.rows.update(a=95, b=40)
    night.pass_s(300)
    assert night.asked() == {"a": 10, "b": 4}
    assert night.most == {"a": 10, "b": 4}, "not even for a while"
    assert len(night.cluster.nodes) == 1 + 14
    assert night.cluster.requests[-1] == [{"CPU": 1.0, "GPU": 1.0}] * 14, "a bundle for each worker"


def test_a_limit_of_gpus_is_kept_and_both_models_have_workers(make_night: Callable[..., Night]) -> None:
    night = make_night(max_gpus=6)
    night.rows.update(a=9500, b=9500)
    night.pass_s(300)
    assert night.asked() == {"a": 3, "b": 3}
    assert len(night.cluster.nodes) == 1 + 6


def test_nodes_bring_cores_if_only_the_growth_of_gpus_is_known(make_night: Callable[..., Night]) -> None:
    """The head has four cores, and each worker needs one."""
    night = make_night()
    night.cluster.grown = {"GPU": 8}
    night.rows.update(a=9500, b=9500)
    night.pass_s(60)
    assert night.asked() == {"a": 4, "b": 4}


def test_a_model_that_comes_later_gets_a_worker_within_the_limit(make_night: Callable[..., Night]) -> None:
    """The first model has all that may be asked for, so it gives a worker up. The cluster never holds more than the limit."""
    night = make_night(max_gpus=4)
    night.rows.update(a=9500)
    night.pass_s(30)
    assert night.asked() == {"a": 4}
    night.rows.update(b=9500)
    for _ in range(200):
        night.pass_s(1)
        assert len(night.alive()) <= 4
    assert night.asked() == {"a": 3, "b": 1}


def test_a_cluster_of_one_gpu_serves_two_models_in_turn_and_is_asked_for_one(make_night: Callable[..., Night]) -> None:
    night = make_night(nodes=1, grows=False)
    night.rows.update(a=50, b=50)
    night.pass_s(60)
    (first,) = night.asked()
    del night.rows[first]
    night.pass_s(60)
    (second,) = night.asked()
    assert {first, second} == {"a", "b"}
    assert max(night.most.values()) == 1


def test_two_models_of_the_same_labelled_node_are_not_both_given_all_of_it(
    make_night: Callable[..., Night], monkeypatch: pytest.MonkeyPatch
) -> None:
    card = {"engine": "stub", "slots": 1, "labels": {"tier": "spot"}}
    night = make_night(grows=False, models={"a": card, "b": card})
    nodes, labels = [{"CPU": 16.0}, {"CPU": 4.0}], [{}, {"tier": "spot"}]
    capacity = Capacity({"CPU": 20.0}, nodes, labels=labels)
    monkeypatch.setattr(night.cluster, "capacity", lambda: capacity)
    night.staffing.rows = {"a": 100, "b": 100}
    assert night.staffing.plan(["a", "b"], night.fleet).workers == {"a": 2, "b": 2}


def test_workers_that_wait_are_taken_back_when_their_rows_are_done(make_night: Callable[..., Night]) -> None:
    night = make_night(nodes=2, grows=False)
    night.cluster.grown = GROWS  # it is slow to grow
    night.rows.update(a=95)
    night.pass_s(5)
    assert night.asked() == {"a": 10}
    night.rows.update(a=-80)
    night.pass_s(5)
    assert night.asked() == {"a": 2}


def test_an_idle_fleet_goes_to_nothing_and_takes_its_request_back(make_night: Callable[..., Night]) -> None:
    night = make_night(idle_s=60)
    night.rows.update(a=95, b=40)
    night.pass_s(30)
    night.rows.clear()
    night.pass_s(50)
    assert night.asked() == {"a": 10, "b": 4}, "they may soon be needed again"
    night.pass_s(60)
    assert night.asked() == {}
    assert night.cluster.requests[-1] == []
    night.rows.update(b=25)
    night.pass_s(30)
    assert night.asked() == {"b": 3}


@pytest.mark.parametrize("settings", [{"idle_s": None}, {"idle_s": 60, "workers": 3}], ids=["by setting", "by number"])
def test_idle_workers_stay_where_they_are_wanted(make_night: Callable[..., Night], settings: dict[str, Any]) -> None:
    night = make_night(**settings)
    night.rows.update(a=25)
    night.pass_s(30)
    night.rows.clear()
    night.pass_s(300)
    assert night.asked() == {"a": 3}


def test_the_last_rows_of_a_night_keep_only_the_workers_that_they_need(make_night: Callable[..., Night]) -> None:
    night = make_night(idle_s=60)
    night.rows.update(a=95)
    night.pass_s(10)
    night.rows.update(a=-90)
    busy = night.alive()[0]
    for _ in range(200):
        night.pass_s(1)
        for worker in night.cluster.workers:
            worker.running = 5 if worker is busy else 0
    assert night.alive() == [busy]


def test_a_model_whose_node_is_on_its_way_takes_no_worker_from_another(make_night: Callable[..., Night]) -> None:
    night = make_night(nodes=2, grows=False)
    night.cluster.grown = {"CPU": 100, "GPU": 3}
    night.rows.update(a=15)
    night.pass_s(5)
    night.rows.update(b=5)
    night.pass_s(120)
    assert [worker.plan.alias for worker in night.cluster.active()] == ["a", "a"]
    assert night.asked() == {"a": 2, "b": 1}, "the cluster sees what it should add"


def test_a_night_that_has_time_gets_only_the_workers_that_its_deadlines_need(
    make_night: Callable[..., Night], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker more is a node more. On a cluster that does not grow, the machines are there, and all of them work."""
    for grows, asked in ((True, 3), (False, 8)):
        night = make_night(nodes=8, grows=grows)
        monkeypatch.setattr(night.staffing.deadlines, "least", lambda lane: 3 if lane == "a" else None)
        night.rows.update(a=9500)
        night.pass_s(30)
        assert night.asked() == {"a": asked}

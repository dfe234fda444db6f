"""Shows workers/fleet/allocation.py on a fake cluster: if there are more models than room, each has its turn."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs

from jobs.settings import Settings
from tests.support.fake_cluster import FakeCluster
from workers.fleet.allocation import LONG_S, START_S
from workers.fleet.aside import in_line
from workers.fleet.fleet import IDLE_S, Fleet

CPUS_2 = [Counter({"CPU": 2})]
GPU_1 = [Counter({"CPU": 8, "GPU": 1})]
GPUS_4 = [Counter({"CPU": 16, "GPU": 4})]


@dataclass
class SimulatedNight:
    """A fleet on a fake cluster, and the rows that each model has left. A worker does one row a second."""

    cluster: FakeCluster
    fleet: Fleet
    rows: Counter[str] = field(default_factory=Counter)
    done: list[str] = field(default_factory=list)

    def staff(self, **workers: int) -> None:
        for alias, n in workers.items():
            self.fleet.staff(alias, n)

    def pass_s(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.cluster.seconds += 1.0
            self.cluster.place()
            self.fleet.watch()
            self.fleet.allocate(lambda lane: self.rows[lane] > 0)
            for worker in self.cluster.active():
                alias = worker.plan.alias
                if self.rows[alias]:
                    self.rows[alias] -= 1
                    if not self.rows[alias]:
                        self.done.append(alias)

    def active(self) -> Mapping[str, int]:
        return dict(Counter(worker.plan.alias for worker in self.cluster.active()))

    def waiting(self) -> Mapping[str, int]:
        return dict(Counter(worker.plan.alias for worker in self.cluster.waiting()))


@pytest.fixture
def make_night() -> Iterator[Callable[..., SimulatedNight]]:
    made: list[SimulatedNight] = []

    def make(nodes: list[Counter[str]], models: Mapping[str, Mapping[str, Any]], **workers: int) -> SimulatedNight:
        cluster = FakeCluster([Counter(node) for node in nodes], draining_s=3.0, freeing_s=4.0)
        settings = Settings(models={alias: {"engine": "stub", **card} for alias, card in models.items()}, drain_s=5)
        fleet = Fleet(settings, "redis://nowhere", cluster, aside=in_line, monotonic=cluster.monotonic)
        made.append(SimulatedNight(cluster, fleet))
        made[-1].staff(**workers)
        return made[-1]

    yield make
    for night in made:
        night.fleet.kill()


def gpu(share: float = 1.0) -> dict[str, Any]:
    return {"engine": "stub", "num_gpus": share}  # of all engines only the stub may hold several


def test_all_models_are_served_in_turn_if_there_are_more_than_cores(make_night: Callable[..., SimulatedNight]) -> None:
    night = make_night(CPUS_2, {alias: {} for alias in "abcd"})
    night.rows.update(dict.fromkeys("abcd", 20))
    with capture_logs() as logs:
        for alias in "abcd":
            night.staff(**{alias: 1})
            night.pass_s(1)
        assert night.active() == {"a": 1, "b": 1}
        night.pass_s(200)
    assert night.done == ["a", "b", "c", "d"], "the model that has waited longest is next"
    waiting = [log for log in logs if log["event"] == "model.waiting"]
    assert waiting == [
        {
            "event": "model.waiting",
            "log_level": "warning",
            "model": alias,
            "lacks": "CPU",
            "needs": 1.0,
            "total": 2,
            "held_by": ["a", "b"],
        }
        for alias in "cd"
    ]


def test_the_model_that_has_waited_longest_is_next_whatever_the_clusters_order(
    make_night: Callable[..., SimulatedNight],
) -> None:
    night = make_night(GPU_1, dict.fromkeys("abcd", gpu()))
    night.rows.update(a=30, b=5, c=5, d=5)
    for alias in "abcd":
        night.staff(**{alias: 1})
        night.pass_s(3)
    night.pass_s(20)
    assert night.waiting() == {"b": 1}, "the others stand back"
    night.pass_s(100)
    assert night.done == ["a", "b", "c", "d"]


def test_a_model_waits_from_the_time_when_it_has_rows(make_night: Callable[..., SimulatedNight]) -> None:
    night = make_night(GPU_1, dict.fromkeys("abcd", gpu()), a=1)
    night.rows.update(a=60)
    night.pass_s(2)
    night.staff(b=1, c=1, d=1)
    for alias in "dcb":
        night.pass_s(10)
        night.rows.update({alias: 5})
    night.pass_s(150)
    assert night.done == ["a", "d", "c", "b"]


def test_a_pending_worker_of_a_model_without_rows_is_withdrawn(make_night: Callable[..., SimulatedNight]) -> None:
    night = make_night(GPU_1, {"a": gpu(), "b": gpu()}, a=1)
    night.pass_s(2)
    night.rows.update(b=10)
    night.staff(b=1, a=2)
    night.pass_s(60)
    assert night.done == ["b"]
    assert [worker.room is not None for worker in night.cluster.workers] == [True, True, False]


def test_an_idle_worker_makes_room_for_a_model_that_comes_later(make_night: Callable[..., SimulatedNight]) -> None:
    night = make_night(GPU_1, {"a": gpu(), "b": gpu()}, a=1)
    night.rows.update(a=10)
    night.pass_s(100)
    assert night.active() == {"a": 1}, "no other model wants its room"
    night.rows.update(b=10)
    night.staff(a=1, b=1)
    night.pass_s(60)
    assert night.done == ["a", "b"]
    assert (night.active(), night.waiting()) == ({"b": 1}, {}), "a model without rows gets no worker back"
    night.rows.update(a=5)
    night.pass_s(60)
    assert night.done == ["a", "b", "a"]


def test_a_model_without_a_worker_gets_one_from_the_model_with_most(make_night: Callable[..., SimulatedNight]) -> None:
    night = make_night(GPUS_4, {"a": gpu(), "b": gpu(), "c": gpu()}, a=4)
    night.rows.update(a=100_000)
    night.pass_s(10)
    night.rows.update(b=100_000, c=60)
    night.staff(b=4, c=4)
    night.pass_s(40)
    assert night.active() == {"a": 2, "b": 1, "c": 1}
    assert [worker.plan.alias for worker in night.cluster.workers if worker.stopped] == ["a", "a"], (
        "no more than are needed"
    )
    night.pass_s(60)
    assert night.rows["c"] == 0
    night.pass_s(20)
    assert "c" not in night.active(), "and gives it back when it is done"
    assert sum(night.active().values()) == 4
    assert set(night.active()) == {"a", "b"}
    workers = len(night.cluster.workers)
    night.pass_s(100)
    assert len(night.cluster.workers) == workers, "then all stay where they are"


def test_no_more_workers_leave_than_are_needed(make_night: Callable[..., SimulatedNight]) -> None:
    night = make_night(GPUS_4, {"a": gpu(), "b": gpu()}, a=4)
    night.rows.update(a=100_000, b=100_000)
    night.pass_s(2)
    night.staff(b=1)
    night.pass_s(60)
    assert night.active() == {"a": 3, "b": 1}
    assert [worker.plan.alias for worker in night.cluster.workers if worker.stopped] == ["a"]


def test_an_idle_worker_leaves_also_if_other_programs_use_the_cluster(
    make_night: Callable[..., SimulatedNight],
) -> None:
    night = make_night([Counter({"CPU": 8, "GPU": 2})], {"a": gpu(), "b": gpu()})
    night.cluster.nodes[0].subtract({"CPU": 1, "GPU": 1})
    night.staff(a=1)
    night.rows.update(b=5)
    night.pass_s(2)
    night.staff(b=1)
    night.pass_s(LONG_S - 5)
    assert night.active() == {"a": 1}, "the worker may be just coming up"
    night.pass_s(30)
    assert night.done == ["b"]


def test_no_worker_leaves_for_room_that_other_programs_have_freed(make_night: Callable[..., SimulatedNight]) -> None:
    night = make_night([Counter({"CPU": 8, "GPU": 2})], {"a": gpu(), "b": gpu()})
    others = Counter({"CPU": 1, "GPU": 1})
    night.cluster.nodes[0].subtract(others)
    night.staff(a=1)
    night.rows.update(b=100_000)
    night.pass_s(2)
    night.staff(b=1)
    night.pass_s(20)
    night.cluster.nodes[0].update(others)
    night.cluster.freed_at = night.cluster.seconds
    night.pass_s(20)
    assert night.active() == {"a": 1, "b": 1}


def test_no_worker_is_given_up_while_all_models_have_one(make_night: Callable[..., SimulatedNight]) -> None:
    night = make_night(GPUS_4, {"a": gpu(), "b": gpu()})
    night.rows.update(a=100_000, b=100_000)
    night.staff(a=3)
    night.pass_s(1)
    night.staff(b=4)
    night.pass_s(100)
    assert night.active() == {"a": 3, "b": 1}
    assert night.waiting() == {"b": 3}, "a cluster that can grow sees what is wanted"
    assert not [worker for worker in night.cluster.workers if worker.killed or worker.stopped]


def test_workers_that_hold_none_of_the_lacking_resource_stay(make_night: Callable[..., SimulatedNight]) -> None:
    night = make_night(GPU_1, {"cpu": {}, "idle": {}, "a": gpu(), "b": gpu()}, cpu=3, idle=2, a=1)
    night.rows.update(cpu=100_000, a=100_000, b=10)
    night.pass_s(2)
    night.staff(b=1)
    night.pass_s(100)
    assert night.active() == {"cpu": 3, "idle": 2, "a": 1}
    assert night.rows["b"] == 10


def test_a_large_model_gets_the_room_of_several_small_workers(make_night: Callable[..., SimulatedNight]) -> None:
    night = make_night(GPU_1, {"small": gpu(0.25), "large": gpu(0.5)}, small=4)
    night.rows.update(small=100_000, large=20)
    night.pass_s(2)
    night.staff(large=2)
    night.pass_s(60)
    assert night.rows["large"] == 0
    night.pass_s(60)
    assert night.active() == {"small": 4}


@pytest.mark.parametrize("needs", [pytest.param(2.0, id="more than a node has"), pytest.param(9.0, id="than all have")])
def test_a_model_that_fits_on_no_node_costs_the_others_no_worker(
    make_night: Callable[..., SimulatedNight], needs: float
) -> None:
    night = make_night(GPU_1 * 4, {"a": gpu(), "huge": gpu(needs)}, a=4)
    night.rows.update(a=100_000, huge=5)
    night.pass_s(2)
    with capture_logs() as logs:
        night.staff(huge=1, a=5)
        night.pass_s(200)
    assert night.active() == {"a": 4}
    assert night.waiting() == {"a": 1, "huge": 1}, "no model stands back for it"
    (waiting,) = [log for log in logs if log["event"] == "model.waiting"]
    assert (waiting["lacks"], waiting["needs"], waiting["total"], waiting["held_by"]) == ("GPU", needs, 4, ["a"])


def test_busy_workers_leave_if_free_room_is_in_pieces_on_several_nodes(
    make_night: Callable[..., SimulatedNight],
) -> None:
    night = make_night([Counter({"CPU": 8, "GPU": 2})] * 3, {"a": gpu(), "large": gpu(2.0)}, a=6)
    night.rows.update(a=100_000, large=20)
    night.pass_s(2)
    night.staff(large=1)
    night.pass_s(2 * LONG_S)
    assert night.rows["large"] == 0
    assert len([worker for worker in night.cluster.workers if worker.stopped and worker.plan.alias == "a"]) == 4


def test_a_model_waits_for_room_in_pieces_while_the_others_keep_their_last_worker(
    make_night: Callable[..., SimulatedNight],
) -> None:
    night = make_night([Counter({"CPU": 8, "GPU": 2})] * 2, {"a": gpu(), "b": gpu(), "large": gpu(2.0)}, a=1, b=1)
    night.rows.update(a=150, b=160, large=20)
    night.pass_s(2)
    night.staff(large=1)
    night.pass_s(2 * LONG_S)
    assert night.active() == {"a": 1, "b": 1}
    night.pass_s(2 * LONG_S)
    assert night.done == ["a", "b", "large"]


def test_workers_that_are_slow_to_come_up_cost_no_other_worker(make_night: Callable[..., SimulatedNight]) -> None:
    night = make_night(GPUS_4, {"a": gpu(), "b": gpu()}, a=2)
    night.rows.update(a=100_000, b=100_000)
    night.pass_s(2)
    night.cluster.slow = True
    night.staff(b=2)
    with capture_logs() as logs:
        night.pass_s(START_S + 20)
    assert night.active() == {"a": 2}
    for worker in night.cluster.workers:
        worker.slow = False
    night.pass_s(2)
    assert night.active() == {"a": 2, "b": 2}
    assert not [log for log in logs if log["event"] == "model.waiting"]


def test_an_idle_fleet_gives_back_as_much_as_another_program_waits_for(
    make_night: Callable[..., SimulatedNight],
) -> None:
    night = make_night([Counter({"CPU": 4})], {"a": {}, "b": {}}, a=4)
    night.rows.update(a=40)
    night.pass_s(5)
    night.staff(b=1)
    night.pass_s(7)
    assert night.active() == {"a": 4}
    assert night.waiting() == {"b": 1}
    night.cluster.others = [{"CPU": 3.0}, {"CPU": 1000.0}]
    night.pass_s(IDLE_S - 20)
    assert sum(night.active().values()) == 4, "rows may come at any moment"
    night.pass_s(IDLE_S)
    assert night.active() == {"a": 1}
    assert not night.waiting(), "an idle worker that waits would take the room"
    night.cluster.nodes[0]["CPU"] -= 3
    night.cluster.others = []
    night.pass_s(IDLE_S)
    assert night.active() == {"a": 1}
    night.rows.update(a=5, b=5)
    night.cluster.nodes[0]["CPU"] += 3
    night.pass_s(30)
    assert not +night.rows, "its workers come back with new rows"


def test_workers_with_rows_leave_for_no_other_program(make_night: Callable[..., SimulatedNight]) -> None:
    night = make_night(CPUS_2, {"a": {}}, a=2)
    night.rows.update(a=1_000)
    night.cluster.others = [{"CPU": 1.0}]
    night.pass_s(3 * IDLE_S)
    assert night.active() == {"a": 2}


def test_idle_workers_stay_loaded_while_nobody_else_waits(make_night: Callable[..., SimulatedNight]) -> None:
    """Workers of this fleet that wait without rows do not count as demands of other programs."""
    night = make_night(CPUS_2, {"a": {}, "b": {}}, a=2, b=2)
    night.pass_s(3 * IDLE_S)
    assert sum(night.active().values()) == 2
    assert not night.cluster.active()[0].stopped


def test_a_model_that_only_waits_for_a_slow_ray_lacks_nothing(make_night: Callable[..., SimulatedNight]) -> None:
    """All processors are free, but Ray places no worker."""
    night = make_night(CPUS_2, {"a": {}}, a=1)
    night.cluster.freeing_s, night.cluster.freed_at = 10_000.0, 0.0
    night.rows.update(a=5)
    with capture_logs() as logs:
        night.pass_s(2 * LONG_S)
    assert night.waiting() == {"a": 1}
    assert not [log for log in logs if log["event"] == "model.waiting"]

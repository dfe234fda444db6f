"""Shows workers/fleet/desk/attendance.py with supervisors on a fake cluster: two of them over one store are one fleet."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
from structlog.testing import capture_logs

from jobs.errors import StoreUnavailable, UnavailableError
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.opening import open_store
from tests.support.fake_cluster import DeskRoom, FakeCluster, FakeDesk, holder
from workers.fleet.aside import in_line
from workers.fleet.desk.seat import SILENT_S, Desk, Wish
from workers.fleet.fleet import Fleet
from workers.fleet.handles import Cluster
from workers.fleet.supervisor import Supervisor, open_models


@dataclass
class Goal:
    """Goes on until the function says that it is reached. It counts its sweeps and ticks."""

    cluster: FakeCluster
    reached: Callable[["Goal"], bool]
    aliases: Iterable[str] | None = None
    sweeps: int = 0
    ticks: int = 0
    fleet: Fleet | None = None
    on_tick: Callable[[int], None] = lambda _: None

    def models(self, sweeper: Sweeper) -> Iterable[str]:
        return open_models(sweeper.batches) if self.aliases is None else self.aliases

    def look(self, sweeper: Sweeper) -> None:
        del sweeper

    def is_reached(self, sweeper: Sweeper, still_open: int | None) -> bool:
        del sweeper, still_open
        self.sweeps += 1
        return self.reached(self)

    def tick(self, sweeper: Sweeper, fleet: Fleet) -> None:
        del sweeper
        self.fleet = fleet
        self.ticks += 1
        self.cluster.place()
        self.on_tick(self.ticks)

    def show_phase(self, phase: str) -> None:
        del phase


@dataclass
class Office:
    """A store, a cluster that grants every demand, and the desk of the store on it."""

    settings: Settings
    cluster: FakeCluster
    room: DeskRoom = field(default_factory=DeskRoom)

    def supervisor(self, name: str, wish: Wish | None = None, **more: object) -> Supervisor:
        def open_desk(_: Cluster) -> Desk:
            return FakeDesk(self.room, holder(name))

        options = {"open_desk": open_desk, "burying": in_line, "wish": wish or Wish(), "sweep_s": 0.01, **more}
        store = open_store(self.settings.store_url)
        return Supervisor(self.settings, store, lambda: self.cluster, lambda *_: None, **options)  # type: ignore[arg-type]

    def submit(self, rows: int, model: str) -> None:
        lines = [orjson.dumps({"kind": "chat", "model": model, "prompt": f"Say {n}."}) for n in range(rows)]
        accept(
            open_store(self.settings.store_url),
            lines,
            IntakeOptions(),
            kinds=load_kinds(),
            settings=self.settings,
            run_key=model,
        )

    def asked(self) -> Counter[str]:
        return Counter(worker.plan.alias for worker in self.cluster.workers if not worker.killed)


@pytest.fixture
def office(tmp_path: Path, redis_url: str) -> Office:
    card = {"engine": "stub", "slots": 10, "num_gpus": 1}
    settings = Settings(
        store_url=str(tmp_path / "store"), redis_url=redis_url, model="a", drain_s=1, models={"a": card, "b": card}
    )
    cluster = FakeCluster(
        [Counter({"CPU": 4})], grows_by={"CPU": 8, "GPU": 1}, grown={"CPU": 800, "GPU": 100}, keeps=True
    )
    return Office(settings, cluster)


def run_beside(made: Supervisor, goal: Goal) -> threading.Thread:
    thread = threading.Thread(target=made.run, args=[goal], daemon=True)
    thread.start()
    return thread


def test_two_works_ask_for_no_more_workers_than_one(office: Office, until: Callable[..., object]) -> None:
    office.submit(95, "a")
    office.submit(40, "b")
    first_goal = Goal(office.cluster, lambda _: False)
    first = office.supervisor("first")
    running = run_beside(first, first_goal)
    until(lambda: sum(office.asked().values()) == 14, 30, "the plan")
    second = office.supervisor("second")
    with capture_logs() as logs:
        second.run(Goal(office.cluster, lambda goal: goal.sweeps > 20))
    assert first_goal.ticks > 0
    assert office.asked() == {"a": 10, "b": 4}
    assert len(office.cluster.workers) == 14, "not for a while either"
    (joined,) = [log for log in logs if log["event"] == "fleet.joined"]
    assert "gpu-1 (process 7) runs the workers of this store" in joined["message"]
    first.interrupt()
    running.join(30)


def test_what_a_second_command_wants_the_first_does(office: Office, until: Callable[..., object]) -> None:
    office.submit(30, "a")
    office.submit(30, "b")
    first = office.supervisor("first", Wish(("a",)))
    running = run_beside(first, Goal(office.cluster, lambda _: False, aliases=("a",)))
    until(lambda: office.asked() == {"a": 3}, 30, "the first model")
    second = office.supervisor("second", Wish(("b",), 2))
    beside = run_beside(second, Goal(office.cluster, lambda _: False, aliases=("b",)))
    until(lambda: office.asked()["b"] == 2, 30, "the second model")
    second.interrupt()
    beside.join(30)
    first.interrupt()
    running.join(30)


def test_the_next_takes_over_when_the_first_ends_and_adopts_its_workers(
    office: Office, until: Callable[..., object]
) -> None:
    """The first dies without a word, as by SIGKILL, on a cluster that keeps its workers."""
    office.submit(30, "a")

    def dies(ticks: int) -> None:
        if ticks > 3 and office.asked() == {"a": 3}:
            raise RuntimeError("killed")

    first_goal = Goal(office.cluster, lambda _: False, on_tick=dies)
    with pytest.raises(RuntimeError, match="killed"):
        office.supervisor("first").run(first_goal)
    workers = list(office.cluster.workers)
    assert office.asked() == {"a": 3}, "its workers go on"
    goal = Goal(office.cluster, lambda goal: goal.ticks > 5)
    with capture_logs() as logs:
        office.supervisor("second").run(goal)
    assert [log["workers"] for log in logs if log["event"] == "fleet.adopted"] == [3]
    assert office.cluster.workers == workers, "none was started beside them"
    assert [worker.drain_s for worker in workers] == [1.0] * 3, "and it drains them at its end"


def test_an_order_drains_the_fleet_and_a_second_ends_it_at_once(office: Office) -> None:
    office.submit(30, "a")
    office.cluster.draining_s = 1_000.0

    def orders(ticks: int) -> None:
        if ticks == 3 and office.room.seat is not None:
            office.room.seat.order(2)

    made = office.supervisor("first")
    made.run(Goal(office.cluster, lambda _: False, on_tick=orders))
    assert made.interrupts == 2
    assert office.asked() == {}
    assert office.room.seat is None, "the seat is free"


def test_a_supervisor_that_was_silent_leaves_its_workers_to_the_one_that_took_over(office: Office) -> None:
    office.submit(30, "a")

    def is_taken_over(ticks: int) -> None:
        if ticks == 5 and office.room.seat is not None:
            office.room.seconds += SILENT_S
            assert office.room.seat.take(holder("second")) is None

    with pytest.raises(UnavailableError, match="another supervisor has taken over"):
        office.supervisor("first").run(Goal(office.cluster, lambda _: False, on_tick=is_taken_over))
    assert office.asked() == {"a": 3}
    assert office.room.seat is not None
    assert office.room.seat.holder.id == "second"


def test_a_store_that_is_away_at_the_start_is_waited_for(office: Office) -> None:
    asked: list[int] = []

    def open_desk(_: Cluster) -> Desk:
        asked.append(1)
        if len(asked) < 3:
            raise StoreUnavailable("it does not answer")
        return FakeDesk(office.room, holder("first"))

    goal = Goal(office.cluster, lambda goal: goal.ticks > 2)
    office.supervisor("first", open_desk=open_desk).run(goal)
    assert len(asked) == 3
    assert goal.ticks > 2


def test_the_desk_is_told_how_the_fleet_is(office: Office) -> None:
    office.submit(30, "a")
    seen: list[object] = []

    def look(ticks: int) -> None:
        if ticks > 3 and office.room.seat is not None:
            seen.append(office.room.seat.show()["fleet"])

    office.supervisor("first").run(Goal(office.cluster, lambda goal: goal.ticks > 8, on_tick=look))
    figures = {"rows": 30, "planned": 3, "asked": 3, "up": 3, "loaded": 3}
    assert seen[-1] == {"models": {"a": figures}, "state": "working"}

"""Shows workers/fleet/supervisor.py on a fake cluster: what it starts, when it ends, and how it is interrupted."""

import atexit
import faulthandler
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from jobs.batches.batch import BatchPaths
from jobs.batches.rounds import close
from jobs.errors import QueueUnavailable, UnavailableError
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.publishing.publish import publish
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.opening import open_store
from tests.support.fake_cluster import FakeCluster
from workers.commands.interrupts import on_interrupt
from workers.fleet import supervisor as supervising
from workers.fleet.aside import Aside, in_line
from workers.fleet.desk.seat import Wish
from workers.fleet.fleet import Fleet
from workers.fleet.handles import Cluster, End
from workers.fleet.supervisor import Supervisor


@dataclass
class Ticks:
    """A goal that is reached after `most` ticks. A test gives a function that is called at each tick."""

    cluster: FakeCluster
    most: int = 3
    aliases: Iterable[str] = ("stub",)
    on_tick: Callable[[int], None] = lambda _: None
    open: list[int | None] = field(default_factory=list)
    phases: list[str] = field(default_factory=list)
    ticks: int = 0

    def models(self, sweeper: Sweeper) -> Iterable[str]:
        del sweeper
        return self.aliases

    def look(self, sweeper: Sweeper) -> None:
        del sweeper

    def is_reached(self, sweeper: Sweeper, still_open: int | None) -> bool:
        del sweeper
        self.open.append(still_open)
        return self.ticks >= self.most

    def tick(self, sweeper: Sweeper, fleet: Fleet) -> None:
        del sweeper, fleet
        self.ticks += 1
        self.cluster.place()
        self.on_tick(self.ticks)

    def show_phase(self, phase: str) -> None:
        self.phases.append(phase)


@pytest.fixture
def settings(tmp_path: Path, redis_url: str) -> Settings:
    return Settings(store_url=str(tmp_path / "store"), redis_url=redis_url, model="stub", drain_s=7.0)


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster([Counter({"CPU": 3})])


def supervisor(
    settings: Settings, connect: Callable[[], Cluster], reported: list[str] | None = None, **more: Any
) -> Supervisor:
    events = [] if reported is None else reported
    store = open_store(settings.store_url)
    more = {"burying": in_line, **more}  # a thread would move the time of the fake cluster
    wish = Wish(workers=more.pop("workers", 1))
    more["wish"] = wish
    return Supervisor(settings, store, connect, lambda event, _: events.append(event), sweep_s=0.01, **more)


def submit(settings: Settings, key: str) -> str:
    lines = [orjson.dumps({"kind": "chat", "prompt": "Say."})]
    store = open_store(settings.store_url)
    return accept(store, lines, IntakeOptions(), kinds=load_kinds(), settings=settings, run_key=key).batch.batch_id


@pytest.mark.parametrize(("only", "drain_s"), [(None, 7.0), (frozenset(["b"]), 0.0)], ids=["all", "one batch"])
def test_workers_are_started_and_drained_when_the_goal_is_reached(
    settings: Settings, cluster: FakeCluster, only: frozenset[str] | None, drain_s: float
) -> None:
    goal = Ticks(cluster)
    with capture_logs() as logs:
        supervisor(settings, lambda: cluster, only=only, workers=2).run(goal)
    assert [worker.drain_s for worker in cluster.workers] == [drain_s] * 2
    assert all(worker.killed for worker in cluster.workers)
    (started,) = [log for log in logs if log["event"] == "fleet.started"]
    assert (started["workers"], started["lanes"], started["address"]) == (2, ["stub"], "a fake cluster")
    assert goal.open == [0] * 4, "nothing is swept once the goal is reached"


def test_an_interrupted_fleet_drains_and_sweeps_what_it_finished(settings: Settings, cluster: FakeCluster) -> None:
    cluster.draining_s = 5.0
    made = supervisor(settings, lambda: cluster, only=frozenset(["b"]))
    goal = Ticks(cluster, most=1_000, on_tick=lambda n: made.interrupt() if n == 2 else None)
    made.run(goal)
    assert goal.ticks == 2
    assert len(goal.open) == 3, "and once more after the drain"
    assert [worker.drain_s for worker in cluster.workers] == [7.0]
    assert set(goal.phases) >= {"finishing what is nearly done; Ctrl-C again to stop at once"}


def test_a_hundred_workers_lost_at_once_hold_up_no_publishing(settings: Settings) -> None:
    """Every death hangs until the test allows it, as it may while a node is lost."""
    cluster = FakeCluster([Counter({"CPU": 101})])
    may_die = threading.Event()
    goal = Ticks(cluster, most=1_000)
    made = supervisor(settings, lambda: cluster, workers=100, burying=Aside(), publishing=Aside())
    batch_id = ""

    def on_tick(n: int) -> None:
        nonlocal batch_id
        if n == 2:
            cluster.die_slowly = may_die.wait
            for worker in cluster.active():
                worker.exit = End("it was lost")
            batch_id = submit(settings, "k")
            close(made.store, batch_id, "cancelled")
        if n > 2 and not may_die.is_set() and made.store.exists(BatchPaths(batch_id).done(1)):
            assert not cluster.active(), "none is replaced before it is dead"
            goal.most = n
            may_die.set()

    goal.on_tick = on_tick
    made.run(goal)
    assert len(cluster.workers) >= 100
    assert all(worker.killed for worker in cluster.workers)


def test_workers_are_replaced_while_a_long_publishing_goes_on(
    settings: Settings, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_publish = threading.Event()

    def waits(*args: Any, **named: Any) -> Any:
        may_publish.wait()
        return publish(*args, **named)

    monkeypatch.setattr("jobs.publishing.sweeper.publish", waits)
    close(open_store(settings.store_url), submit(settings, "k"), "cancelled")
    goal = Ticks(cluster, most=1_000)

    def on_tick(n: int) -> None:
        if n == 2:
            cluster.workers[0].exit = End("it was lost")
        if len(cluster.workers) == 2:
            may_publish.set()
        if may_publish.is_set() and goal.open[-1] == 0:
            goal.most = n

    goal.on_tick = on_tick
    supervisor(settings, lambda: cluster, publishing=Aside()).run(goal)
    assert goal.open[0] == 1
    assert len(cluster.workers) == 2


def test_the_second_interrupt_ends_the_workers_at_once(settings: Settings, cluster: FakeCluster) -> None:
    cluster.draining_s = 5.0
    made = supervisor(settings, lambda: cluster)

    def interrupt_twice(n: int) -> None:
        if n == 2:
            made.interrupt()
            made.interrupt()

    made.run(Ticks(cluster, most=1_000, on_tick=interrupt_twice))
    assert cluster.seconds < 1.0
    assert all(worker.killed for worker in cluster.workers)


def test_without_workers_it_sweeps_once_and_joins_no_cluster(settings: Settings, cluster: FakeCluster) -> None:
    goal = Ticks(cluster)
    supervisor(settings, lambda: pytest.fail("joined a cluster")).run(goal, with_workers=False)
    assert (goal.open, goal.ticks) == ([0], 0)


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The exit statuses with which the supervisor asks to end the process without Ray's exit handlers."""
    statuses: list[int] = []
    monkeypatch.setattr(atexit, "register", lambda _, status: statuses.append(status))
    return statuses


def test_a_ray_that_does_not_start_in_time_ends_the_command(
    settings: Settings, cluster: FakeCluster, exits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "JOIN_S", 0.05)
    monkeypatch.setattr(supervising, "GIVE_UP_S", 0.05)
    never = threading.Event()
    with pytest.raises(UnavailableError, match="Ray has not started within") as fault:
        supervisor(settings, lambda: (never.wait(), cluster)[1]).run(Ticks(cluster))
    assert fault.value.exit_status == 3
    assert exits == [3], "Ray's own exit handlers would wait for it"
    never.set()


def test_a_ray_that_fails_ends_the_command_and_is_not_waited_for(
    settings: Settings, cluster: FakeCluster, exits: list[int]
) -> None:
    def fails() -> Cluster:
        raise UnavailableError("a local Ray does not start: the node timed out")

    with pytest.raises(UnavailableError, match="the node timed out"):
        supervisor(settings, fails).run(Ticks(cluster))
    assert exits == []


def test_two_interrupts_end_a_command_whose_ray_is_still_starting(
    settings: Settings, cluster: FakeCluster, exits: list[int]
) -> None:
    never = threading.Event()

    def joins() -> Cluster:
        made.interrupt()
        made.interrupt()
        never.wait()
        return cluster

    made = supervisor(settings, joins)
    made.run(Ticks(cluster))
    assert exits == [130]
    never.set()


def test_the_log_says_which_cluster_was_joined_and_whose_redis_is_used(
    settings: Settings, cluster: FakeCluster, tmp_path: Path
) -> None:
    alone = settings.model_copy(update={"redis_url": None, "cache_dir": tmp_path / "cache"})
    with capture_logs() as logs:
        supervisor(alone, lambda: cluster).run(Ticks(cluster))
    (joined,) = [log for log in logs if log["event"] == "cluster.joined"]
    assert joined["address"] == "a fake cluster"
    (embedded,) = [log for log in logs if log["event"] == "queue.embedded"]
    assert "NIGHTPRESS_REDIS_URL" in embedded["message"]


def test_an_interrupt_while_the_cluster_is_joined_starts_no_worker(settings: Settings, cluster: FakeCluster) -> None:
    is_interrupted = threading.Event()

    def connect() -> Cluster:
        assert is_interrupted.wait(20)
        return cluster

    made = supervisor(settings, connect)
    goal = Ticks(cluster)

    def show_phase(phase: str) -> None:
        assert phase == "starting Ray"
        made.interrupt()
        is_interrupted.set()

    goal.show_phase = show_phase  # type: ignore[method-assign]
    made.run(goal)
    assert cluster.workers == []


def test_sigterm_drains_although_ray_puts_its_own_handler_over_pythons(
    settings: Settings, cluster: FakeCluster
) -> None:
    """Ray's handler ends the process after 3 s. Ray sets it from the thread that joins the cluster; here faulthandler sets a
    handler in the same way.
    """

    def connect() -> Cluster:
        faulthandler.register(signal.SIGTERM, all_threads=False, chain=False)
        return cluster

    made = supervisor(settings, connect)
    goal = Ticks(cluster, most=20, on_tick=lambda n: os.kill(os.getpid(), signal.SIGTERM) if n == 2 else None)
    try:
        with on_interrupt(lambda _: made.interrupt()):
            made.run(goal)
    finally:
        faulthandler.unregister(signal.SIGTERM)
    assert (goal.ticks, made.interrupts) == (2, 1)


def test_a_cluster_that_is_not_there_ends_it(settings: Settings, cluster: FakeCluster) -> None:
    def connect() -> Cluster:
        raise UnavailableError("no Ray cluster")

    with pytest.raises(UnavailableError, match="no Ray cluster"):
        supervisor(settings, connect).run(Ticks(cluster))


def test_a_redis_that_never_answered_is_not_waited_for(settings: Settings, cluster: FakeCluster) -> None:
    away = Settings(store_url=settings.store_url, redis_url="redis://127.0.0.1:1/0")
    with pytest.raises(QueueUnavailable):
        supervisor(away, lambda: pytest.fail("joined a cluster")).run(Ticks(cluster))


def test_a_redis_that_goes_away_is_waited_for(settings: Settings, cluster: FakeCluster, redis_server: Any) -> None:
    def on_tick(n: int) -> None:
        if n == 2:
            redis_server.kill()
        if n == 4:
            redis_server.start()

    submit(settings, "k")  # without a batch, the supervisor would not ask Redis anything
    reported: list[str] = []
    goal = Ticks(cluster, most=8, on_tick=on_tick)
    supervisor(settings, lambda: cluster, reported).run(goal)
    assert reported == ["queue.unavailable", "queue.back"]
    assert goal.open[:2] == [1, 1]
    assert goal.open[2] is None
    assert goal.open[-1] == 1


def test_a_model_that_the_catalog_lacks_is_named_once_and_the_others_get_workers(
    settings: Settings, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.fleet.supervisor.STAFF_S", 0.0)
    with capture_logs() as logs:
        supervisor(settings, lambda: cluster).run(Ticks(cluster, aliases=("gone", "stub")))
    assert [log["model"] for log in logs if log["event"] == "model.unknown"] == ["gone"]
    assert [worker.plan.alias for worker in cluster.workers] == ["stub"]


def test_nothing_is_staffed_while_the_cluster_is_away(settings: Settings, cluster: FakeCluster) -> None:
    """If the supervisor asked the cluster how many workers it holds, the call would hang."""
    cluster.away = True
    supervisor(settings, lambda: cluster).run(Ticks(cluster))
    assert cluster.workers == []


def test_a_fault_that_only_workers_notice_is_reported(settings: Settings, cluster: FakeCluster) -> None:
    cluster.status = {"store_fault": "the storage is full", "queue_fault": "", "store_damage": ""}
    reported: list[str] = []
    made = supervisor(settings, lambda: cluster, reported)
    goal = Ticks(cluster, most=1_000, on_tick=lambda _: made.interrupt() if reported else None)
    made.run(goal)
    assert reported == ["store.unavailable", "store.back"], "the second by the last sweep, which asks no worker"


@pytest.mark.parametrize("healthy", [0, 2])
def test_a_damaged_batch_counts_as_open_and_is_named_once(
    settings: Settings, cluster: FakeCluster, healthy: int
) -> None:
    ids = [submit(settings, f"{n}") for n in range(healthy + 1)]
    open_store(settings.store_url).create(BatchPaths(ids[0]).closed(1), b"\xff\xff")
    reported: list[str] = []
    goal = Ticks(cluster)
    supervisor(settings, lambda: cluster, reported).run(goal)
    assert goal.open == [max(1, healthy)] * 4, "so that no fleet ends before it is done"
    assert reported == ["store.damaged"]

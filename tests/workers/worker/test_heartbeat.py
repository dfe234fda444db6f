"""Shows workers/worker/heartbeat.py: what a beat renews, what it learns, and the end of a process whose engine hangs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from jobs.errors import QueueUnavailable
from jobs.lanes.job import JobKey, Lease
from jobs.lanes.protocol import Beat, Schedule, WorkerRecord
from jobs.settings import Settings
from workers.worker.heartbeat import AGAIN_S, Heartbeat, Pulse
from workers.worker.leases import Leases

HELD = Lease(JobKey("b", 0), 1, 1, "w-1-0")
DONE = Lease(JobKey("b", 1), 1, 2, "w-1-0")


@dataclass
class Queue:
    """Takes beats, or is away."""

    away: bool = False
    lost: frozenset[Lease] = frozenset()
    renewed: list[tuple[Lease, ...]] = field(default_factory=list)

    def beat(self, lane: str, leases: Sequence[Lease], lease_ms: int, worker: WorkerRecord) -> Beat:
        if self.away:
            raise QueueUnavailable("Redis is away")
        self.renewed.append(tuple(leases))
        return Beat(self.lost, frozenset())


@dataclass
class Heart:
    """A heartbeat over a queue of its own, with a clock that a test moves."""

    now: float = 0.0
    queue: Queue = field(default_factory=Queue)
    ended: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings = Settings(lease_s=10, step_limit_s=100, exit_limit_s=50)
        self.leases = Leases.from_settings(settings, lambda: self.now)
        self.pulse = Pulse(lambda: self.now)
        schedule: Any = self.queue
        self.heartbeat = Heartbeat(
            cast("Schedule", schedule),
            self.leases,
            "stub",
            settings,
            lambda n: WorkerRecord("w", 1, "n", "stub", n),
            pulses=(self.pulse,),
            monotonic=lambda: self.now,
            end_process=self.ended.append,
        )
        self.leases.hold([HELD, DONE])
        assert self.leases.settling(DONE)


@pytest.fixture
def heart() -> Heart:
    return Heart()


def test_a_hanging_engine_loses_its_rows_and_then_its_process(heart: Heart) -> None:
    heart.pulse.mark()
    for now, renewed, ended in ((99.0, (HELD, DONE), []), (101.0, (DONE,), []), (151.0, (DONE,), [1])):
        heart.now = now
        heart.heartbeat.beat()
        assert (heart.queue.renewed[-1], heart.ended) == (renewed, ended), now


@pytest.mark.parametrize("away", [pytest.param(False, id="busy"), pytest.param(True, id="also while Redis is away")])
def test_an_idle_engine_does_not_hang(heart: Heart, away: bool) -> None:
    heart.pulse.mark()
    heart.now = 90.0
    heart.pulse.rest()
    heart.queue.away = away
    heart.now = 1000.0
    if away:
        with pytest.raises(QueueUnavailable):
            heart.heartbeat.beat()
    else:
        heart.heartbeat.beat()
    assert heart.ended == []
    assert heart.leases.holds(HELD)


def test_a_process_ends_also_while_redis_is_away(heart: Heart) -> None:
    heart.pulse.mark()
    heart.queue.away = True
    heart.now = 151.0
    with pytest.raises(QueueUnavailable):
        heart.heartbeat.beat()
    assert heart.ended == [1]


def test_a_doubt_is_cleared_before_a_write(heart: Heart) -> None:
    """As long as the last answer is younger than a lease there is none; after that each asks, and takes no answer as leave."""
    heart.now = 9.0
    heart.heartbeat.confirm()
    assert heart.queue.renewed == []
    heart.now = 11.0
    heart.queue.away = True
    heart.heartbeat.confirm()
    assert heart.leases.holds(DONE)
    heart.queue.away, heart.queue.lost = False, frozenset([DONE])
    heart.heartbeat.confirm()
    assert not heart.leases.holds(DONE)


class Stop:
    """In place of the event that ends the thread: notes how long it waits for each beat. Redis is away for the first two."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.waited: list[float] = []

    def wait(self, timeout_s: float) -> bool:
        self.waited.append(timeout_s)
        self.queue.away = len(self.waited) <= 2
        return len(self.waited) > 4


def test_it_beats_as_soon_as_redis_is_back(heart: Heart) -> None:
    """Whoever claims then must see that this worker lives."""
    stop: Any = Stop(heart.queue)
    heart.heartbeat._stop = stop
    heart.heartbeat._run()
    assert stop.waited == [10 / 3, AGAIN_S, AGAIN_S, 10 / 3, 10 / 3]
    assert len(heart.queue.renewed) == 2

"""Shows workers/worker/heartbeat.py: which leases a beat renews, what it learns, and how a hung engine ends its process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from jobs.errors import QueueUnavailable
from jobs.lanes.job import JobKey, Lease
from jobs.lanes.protocol import Beat, WorkerRecord
from tests.support.clocks import MovedClock
from tests.support.worker_night import WorkerNight
from workers.worker.heartbeat import AGAIN_S, Heartbeat, Pulse

HELD = Lease(JobKey("b", 0), 1, 1, "w-1-0")
DONE = Lease(JobKey("b", 1), 1, 2, "w-1-0")


@dataclass
class Queue:
    """A queue that takes beats, or is away."""

    away: bool = False
    lost: frozenset[Lease] = frozenset()
    renewed: list[tuple[Lease, ...]] = field(default_factory=list)

    def beat(self, lane: str, leases: Sequence[Lease], lease_ms: int, worker: WorkerRecord) -> Beat:
        if self.away:
            raise QueueUnavailable("Redis is away")
        self.renewed.append(tuple(leases))
        return Beat(self.lost, frozenset())


class Heart:
    """A heartbeat over a queue of its own. The test moves the clock."""

    def __init__(self, make_night: Callable[..., WorkerNight]) -> None:
        self.clock = MovedClock()
        self.queue = Queue()
        self.ended: list[int] = []
        night = make_night(clock=self.clock, lease_s=10, step_limit_s=100, exit_limit_s=50)
        context = night.context(self.queue)
        self.leases = context.leases
        self.pulse = Pulse(context.monotonic)
        self.heartbeat = Heartbeat(context, pulses=(self.pulse,), end_process=self.ended.append)
        self.leases.add([HELD, DONE])
        assert self.leases.mark_settling(DONE)


@pytest.fixture
def heart(make_night: Callable[..., WorkerNight]) -> Heart:
    return Heart(make_night)


def test_a_hung_engine_loses_its_rows_and_then_its_process(heart: Heart) -> None:
    heart.pulse.mark()
    for now, renewed, ended in ((99.0, (HELD, DONE), []), (101.0, (DONE,), []), (151.0, (DONE,), [1])):
        heart.clock.seconds = now
        heart.heartbeat.beat()
        assert (heart.queue.renewed[-1], heart.ended) == (renewed, ended), now


@pytest.mark.parametrize("away", [pytest.param(False, id="busy"), pytest.param(True, id="also while Redis is away")])
def test_an_idle_engine_is_not_taken_for_a_hung_one(heart: Heart, away: bool) -> None:
    heart.pulse.mark()
    heart.clock.seconds = 90.0
    heart.pulse.rest()
    heart.queue.away = away
    heart.clock.seconds = 1000.0
    if away:
        with pytest.raises(QueueUnavailable):
            heart.heartbeat.beat()
    else:
        heart.heartbeat.beat()
    assert heart.ended == []
    assert heart.leases.holds(HELD)


def test_a_hung_process_ends_also_while_redis_is_away(heart: Heart) -> None:
    heart.pulse.mark()
    heart.queue.away = True
    heart.clock.seconds = 151.0
    with pytest.raises(QueueUnavailable):
        heart.heartbeat.beat()
    assert heart.ended == [1]


def test_after_a_long_silence_confirm_asks_again(heart: Heart) -> None:
    """If the last answer is younger than a lease, `confirm` asks nothing. If Redis does not answer, the leases count as held."""
    heart.clock.seconds = 9.0
    heart.heartbeat.confirm()
    assert heart.queue.renewed == []
    heart.clock.seconds = 11.0
    heart.queue.away = True
    heart.heartbeat.confirm()
    assert heart.leases.holds(DONE)
    heart.queue.away, heart.queue.lost = False, frozenset([DONE])
    heart.heartbeat.confirm()
    assert not heart.leases.holds(DONE)


class Stop:
    """Replaces the event that ends the thread. It notes the time to each beat. Redis is away for the first two beats."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.waited: list[float] = []

    def wait(self, timeout_s: float) -> bool:
        self.waited.append(timeout_s)
        self.queue.away = len(self.waited) <= 2
        return len(self.waited) > 4


def test_it_beats_as_soon_as_redis_is_back(heart: Heart) -> None:
    """Another worker may claim as soon as Redis is back. By then the queue must know that this worker lives."""
    stop: Any = Stop(heart.queue)
    heart.heartbeat._stop = stop
    heart.heartbeat._run()
    assert stop.waited == [10 / 3, AGAIN_S, AGAIN_S, 10 / 3, 10 / 3]
    assert len(heart.queue.renewed) == 2

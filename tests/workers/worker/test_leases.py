"""Shows workers/worker/leases.py: each phase has its limit, and only the holder of a lease may write.

The tests with a whole worker show which leases count as lost, and the number of released rows that a worker logs.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from jobs.batches.rounds import close
from jobs.errors import QueueUnavailable
from jobs.generation import Completion, GenerationRequest
from jobs.lanes.job import JobKey, Lease
from jobs.lanes.protocol import Settlement
from jobs.lanes.redis_queue import RedisQueue
from tests.support.engines import Scripted, answer, row_of
from tests.support.night import LANE
from tests.support.outcomes import completed
from tests.support.worker_night import WorkerNight
from workers.worker.leases import Leases, Phase
from workers.worker.runner import Runner

LIMITS_S = {Phase.WAITING: 10.0, Phase.RUNNING: 20.0, Phase.SETTLING: 40.0}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def lease(row: int) -> Lease:
    return Lease(JobKey("b", row), 1, row, "w-1-0")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(clock: Clock) -> Leases:
    """Row 0 is waiting, row 1 running, row 2 settling."""
    made = Leases(LIMITS_S, clock)
    made.add([lease(0), lease(1), lease(2)])
    made.mark_running(lease(1))
    assert made.mark_settling(lease(2))
    return made


@pytest.mark.parametrize(
    ("after_s", "hung", "renewed"),
    [
        pytest.param(0, False, [0, 1, 2], id="all are renewed"),
        pytest.param(11, False, [1, 2], id="waited too long"),
        pytest.param(21, False, [2], id="ran too long"),
        pytest.param(41, False, [], id="settling for too long"),
        pytest.param(0, True, [2], id="the engine hangs: finished rows are kept"),
    ],
)
def test_overdue_leases_are_abandoned_and_the_others_renewed(
    leases: Leases, clock: Clock, after_s: float, hung: bool, renewed: list[int]
) -> None:
    clock.now += after_s
    abandoned = leases.abandon_overdue(hung=hung)
    assert [one.key.row for one in leases.renewable()] == renewed
    assert sorted(one.key.row for one, _ in abandoned) == sorted({0, 1, 2} - set(renewed))
    assert [leases.holds(lease(row)) for row in range(3)] == [row in renewed for row in range(3)]
    assert leases.abandon_overdue(hung=hung) == ()


def test_an_answer_restarts_the_time_of_a_running_row(leases: Leases, clock: Clock) -> None:
    clock.now = 15
    leases.mark_running(lease(1))
    clock.now = 30
    leases.abandon_overdue(hung=False)
    assert leases.renewable() == (lease(1), lease(2))


def test_a_lease_that_is_gone_cannot_be_settled(leases: Leases) -> None:
    leases.mark_ended(lost=[lease(0), lease(9)], cancelled=[lease(1)])
    assert leases.gone() == {lease(0)}
    assert leases.cancelled() == {lease(1)}
    assert not leases.mark_settling(lease(0))
    assert not leases.mark_settling(lease(9))
    leases.remove([lease(0), lease(1)])
    assert (leases.gone(), leases.cancelled(), leases.holding, leases.in_hand) == (frozenset(), frozenset(), 1, 0)


def test_only_a_lease_that_another_may_have_is_lost(leases: Leases) -> None:
    """Row 1 is being released, row 2 is being settled, and the batch of row 0 has ended."""
    leases.mark_ending([lease(1), lease(2)])
    assert leases.renewable() == (lease(0), lease(1), lease(2))
    every = [lease(row) for row in range(3)]
    assert leases.mark_ended(lost=every, cancelled=(), forgotten=[lease(0)]) == ()
    assert (leases.losses, leases.gone()) == (0, frozenset([lease(0)]))
    assert leases.remove([lease(2)], lost=[lease(2)]) == (lease(2),)
    assert leases.remove([lease(0)], lost=[lease(0)]) == ()
    assert leases.remove([lease(9)], lost=[lease(9)]) == ()
    leases.remove([lease(1)])
    assert (leases.losses, leases.holding) == (1, 0)
    leases.add([lease(1)])
    assert leases.mark_ended(lost=[lease(1)], cancelled=()) == (lease(1),)


def test_begun_rows_are_those_that_the_engine_has_begun(leases: Leases, clock: Clock) -> None:
    """An answer to one of several prompts does not begin a row anew. A row that is to be settled counts too."""
    assert Leases(LIMITS_S, clock).begun() == (0, 0.0)
    clock.now = 4
    leases.mark_running(lease(0))
    leases.mark_running(lease(1))
    clock.now = 10
    assert leases.begun() == (3, (6 + 10 + 10) / 3)
    leases.remove([lease(1), lease(2)])
    assert leases.begun() == (1, 6)


def test_leases_that_are_about_to_be_released_are_gone(leases: Leases) -> None:
    assert leases.start_release(Phase.WAITING, Phase.RUNNING) == [lease(0), lease(1)]
    assert leases.start_release(Phase.WAITING, Phase.RUNNING) == []
    assert not leases.mark_settling(lease(1))
    assert leases.holds(lease(2))


# -- with a whole worker


class Crossed:
    """A queue on which a beat of the same worker overtakes the answer to each settle or release.

    `unanswered` is the number of settles whose answers are lost after the queue has carried them out.
    """

    def __init__(self, queue: RedisQueue, unanswered: int = 0) -> None:
        self._queue = queue
        self.unanswered = unanswered
        self.runner: Runner | None = None
        self.crossed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    def settle(self, lane: str, settlements: Sequence[Settlement]) -> frozenset[Lease]:
        return self._cross(self._queue.settle(lane, settlements), settles=True)

    def release(self, lane: str, leases: Sequence[Lease]) -> frozenset[Lease]:
        return self._cross(self._queue.release(lane, leases))

    def _cross(self, gone: frozenset[Lease], *, settles: bool = False) -> frozenset[Lease]:
        if self.runner is not None:
            self.crossed += 1
            self.runner._heartbeat.beat()
        if settles and self.unanswered:
            self.unanswered -= 1
            raise QueueUnavailable("the answer was lost")
        return gone


def started(night: WorkerNight, engine: Scripted, unanswered: int = 0) -> tuple[Runner, Crossed]:
    queue = Crossed(night.queue, unanswered)
    queue.runner = night.start(engine, queue)
    return queue.runner, queue


def events(capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """Return how often `lease.lost` was logged, and the number of released rows that each stopped worker logged."""
    shown = capsys.readouterr().out
    return shown.count("lease.lost"), re.findall(r"worker\.stopped.* released=(\d+)", shown)


@pytest.mark.parametrize("unanswered", [0, 1])
def test_a_beat_that_overtakes_a_settle_finds_no_lease_lost(
    night: WorkerNight, until: Callable[..., Any], capsys: pytest.CaptureFixture[str], unanswered: int
) -> None:
    night.accept(20)
    runner, queue = started(night, Scripted(slots=4), unanswered)
    output, _ = night.outputs(until)
    until(lambda: runner._leases.holding == 0, 10, "the end of all leases")
    assert (len(output), runner.lease_losses, events(capsys)[0]) == (20, 0, 0)
    assert queue.crossed > unanswered


def test_a_beat_that_overtakes_a_release_finds_no_lease_lost(
    night: WorkerNight, until: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """The batch is cancelled while its rows run."""
    night.accept(6)
    engine = Scripted(lambda _: None)
    runner, queue = started(night, engine)
    until(lambda: len(engine.waiting) == 6, 10, "six rows in hand")
    close(night.store, night.batch_id, "cancelled")
    night.queue.drop(LANE, night.batch_id, 1, forget=False)
    runner._heartbeat.beat()
    until(lambda: runner._leases.holding == 0, 10, "the end of all leases")
    assert (runner.lease_losses, events(capsys)[0]) == (0, 0)
    assert queue.crossed > 0


def test_rows_of_a_batch_that_was_cancelled_and_published_are_not_lost(
    night: WorkerNight, until: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """The batch is published and forgotten before the worker's next beat."""
    night.accept(6)
    engine = Scripted(lambda _: None)
    runner = night.start(engine)
    until(lambda: len(engine.waiting) == 6, 10, "six rows in hand")
    close(night.store, night.batch_id, "cancelled")
    night.until_published(until)
    until(lambda: not night.snapshot().batches, 10, "the lane to forget the batch")
    runner._heartbeat.beat()
    until(lambda: runner._leases.holding == 0, 10, "the end of all leases")
    assert (runner.lease_losses, events(capsys)[0], len(engine.cancelled)) == (0, 0, 6)


def test_a_beat_that_overtakes_the_settlement_of_a_rescued_row_finds_no_lease_lost(
    night: WorkerNight, until: Callable[..., Any]
) -> None:
    """The row's outcome was durable already, so the claimer settles it without the engine."""
    night.accept(1)
    (job,) = night.claim(1)
    night.write([completed(job.lease)])
    night.expire_leases()
    runner, queue = started(night, Scripted())
    night.outputs(until)
    until(lambda: runner._leases.holding == 0, 10, "the end of all leases")
    assert (runner.lease_losses, queue.crossed > 0) == (0, True)


def test_a_lease_that_is_gone_when_it_is_settled_is_lost_once(
    night: WorkerNight, until: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Another worker took the row while its outcome was being written."""

    class Late:
        def settle(self, lane: str, settlements: Sequence[Settlement]) -> frozenset[Lease]:
            return frozenset(settlement.lease for settlement in settlements)

        def __getattr__(self, name: str) -> Any:
            return getattr(night.queue, name)

    night.accept(3)
    runner = night.start(Scripted(), Late())
    until(lambda: len(night.outcomes()) == 3 and runner._leases.holding == 0, 10, "the end of all leases")
    assert (runner.lease_losses, events(capsys)[0]) == (3, 3)


def test_a_drain_says_how_many_rows_it_gave_back_and_loses_no_lease(
    night: WorkerNight, until: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Most rows are released at the beginning of the drain, before the worker ends."""
    night.accept(8)
    engine = Scripted(lambda _: None, slots=4)
    runner, queue = started(night, engine)
    until(lambda: runner._leases.in_hand == 8, 10, "eight rows in hand")
    assert queue.crossed == 0
    night.stop()
    assert (events(capsys), runner.lease_losses, night.snapshot().ready) == ((0, ["8"]), 0, 8)


def test_a_row_that_finishes_after_it_was_given_back_is_no_lost_lease(
    night: WorkerNight, until: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """The drain releases all rows while the engine computes the step in which the row finishes."""

    def drained(request: GenerationRequest) -> Completion | None:
        if row_of(request) != 0 or runner.running < 3:
            return None
        runner._release_in(Phase)
        runner.stop(0.0)
        return answer(request)

    night.accept(3)
    runner = night.worker(Scripted(drained))
    runner.run()
    lost, _ = events(capsys)
    assert (lost, runner.lease_losses, night.outcomes(), night.snapshot().ready) == (0, 0, [], 3)


def test_rows_that_redis_did_not_take_back_are_not_counted_as_released(
    night: WorkerNight, until: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    class Away:
        def release(self, lane: str, leases: Sequence[Lease]) -> frozenset[Lease]:
            raise QueueUnavailable("Redis is away")

        def __getattr__(self, name: str) -> Any:
            return getattr(night.queue, name)

    night.accept(3)
    engine = Scripted(lambda _: None)
    night.start(engine, Away())
    until(lambda: len(engine.waiting) == 3, 10, "three rows in hand")
    night.stop()
    assert events(capsys) == (0, ["0"])

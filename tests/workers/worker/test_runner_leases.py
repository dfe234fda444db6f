"""Shows what a worker counts and logs as a lost lease (workers/worker/leases.py), and how many rows it says that it gave back."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from jobs.batches.rounds import close
from jobs.errors import QueueUnavailable
from jobs.generation import Completion, GenerationRequest
from jobs.lanes.job import Lease
from jobs.lanes.protocol import Settlement
from jobs.lanes.redis_queue import RedisQueue
from tests.support.engines import Scripted, answer, row_of
from tests.support.night import LANE
from tests.support.outcomes import completed
from tests.support.worker_night import WorkerNight
from workers.worker.leases import Phase
from workers.worker.runner import Runner


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
    """Return how often `lease.lost` was logged, and how many rows each worker that stopped says that it gave back."""
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
    """Most rows go back at the beginning of the drain, before the worker ends."""
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
    """The drain gives all rows back while the engine makes the step in which the row finishes."""

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

"""Shows workers/worker/runner.py when rows or engines hang, when storage or the local disk fails, and when a drain is short."""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis

from jobs.batches.batch import BatchPaths
from jobs.batches.rounds import load_batch, read_round, resume
from jobs.errors import StoreTimeout, StoreUnavailable
from jobs.generation import Completion
from jobs.lanes.redis_queue import RedisQueue
from jobs.store.local import LocalStore
from tests.support.engines import Scripted, answer, fault, row_of
from tests.support.night import LANE
from tests.support.outcomes import completed
from tests.support.worker_night import WorkerNight
from workers.engines.stub.engine import StubEngine


class Gate(LocalStore):
    """A store that fails for segments. While `shut`, it refuses segments. Until `let` is set, it holds writes up. If `silent`,
    it takes a segment and times out.
    """

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.shut = self.silent = False
        self.let = threading.Event()
        self.let.set()
        self.tries = 0

    def create(self, path: str, data: bytes) -> bool:
        if "/segments/" in path:
            self.tries += 1
            self.let.wait(30)
            if self.shut:
                raise StoreUnavailable("storage: cannot write: No space left on device")
        created = super().create(path, data)
        if self.silent and "/segments/" in path:
            raise StoreTimeout("storage: cannot write: no answer came")
        return created


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(str(tmp_path / "store"))


@pytest.fixture
def night(make_night: Callable[..., WorkerNight], gate: Gate) -> Iterator[WorkerNight]:
    yield make_night(gate)
    gate.shut = False
    gate.let.set()


def test_a_hung_row_goes_to_another_worker_and_nothing_more_is_written_of_it(
    night: WorkerNight, until: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """The engine continues with its steps, and finishes all other rows."""
    night.change(lease_s=0.5, running_limit_s=0.6)
    night.accept(6)
    first = Scripted(lambda r: None if row_of(r) == 3 else answer(r))
    night.start(first)
    until(lambda: first.cancelled, 20, "the first worker to abandon the row")
    first.answer = answer
    output, errors = night.outputs(until)
    assert [row["row"] for row in output] == list(range(6))
    assert errors == []
    lines = [(line.fence, line.status) for line in night.outcomes() if line.row == 3]
    assert sorted(status for _, status in lines) == ["completed", "crashed"]
    assert "lease.abandoned" in capsys.readouterr().out


def test_rows_that_wait_or_get_no_answer_for_long_keep_their_leases(
    night: WorkerNight, until: Callable[..., Any]
) -> None:
    """For as long as several leases, the engine makes steps and returns no answer, like an engine that works in long batches."""
    night.change(lease_s=0.5)
    night.accept(8)
    answers = threading.Event()
    engine = Scripted(lambda r: answer(r) if answers.is_set() else None, slots=4)
    beats = Counting(night.queue)
    night.start(engine, beats)
    until(lambda: beats.beats >= 8, 20, "more than two leases")
    answers.set()
    output, _ = night.outputs(until)
    assert len(output) == len(engine.submitted) == 8
    assert {line.status for line in night.outcomes()} == {"completed"}


class Counting:
    """A queue that counts the beats."""

    def __init__(self, queue: RedisQueue) -> None:
        self._queue = queue
        self.beats = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    def beat(self, *args: Any) -> Any:
        self.beats += 1
        return self._queue.beat(*args)


class Stuck(Scripted):
    """An engine that does not return from a step until `let` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.stepping = threading.Event()
        self.let = threading.Event()

    def step(self) -> Sequence[Completion]:
        self.stepping.set()
        self.let.wait(30)
        return super().step()


def test_an_engine_that_hangs_in_a_step_loses_all_its_rows_and_ends_its_process(
    night: WorkerNight, until: Callable[..., Any]
) -> None:
    night.change(lease_s=0.5, step_limit_s=0.3, exit_limit_s=0.2)
    night.accept(3)
    engine, ended = Stuck(), threading.Event()
    hung = night.worker(engine, name="w-0", end_process=lambda _: ended.set())
    thread = threading.Thread(target=hung.run)
    thread.start()
    assert ended.wait(20)
    night.start(Scripted())
    output, _ = night.outputs(until)
    assert len(output) == 3
    hung.stop(0.0)
    engine.let.set()
    thread.join(20)
    completed = [line for line in night.outcomes() if line.status == "completed"]
    assert len(completed) == 3, "the worker that hung wrote something when it came back"


@pytest.mark.parametrize("fault", ["shut", "slow"])
def test_while_the_store_takes_nothing_outcomes_wait_on_disk_and_claims_stop(
    night: WorkerNight, until: Callable[..., Any], gate: Gate, fault: str
) -> None:
    """A few rows fill the memory and the spool. Then no more rows are claimed. When the store is back, each row is written
    once.
    """
    night.change(flush_bytes=2000, spool_bytes=6000)
    night.accept(200)
    gate.shut = fault == "shut"
    if fault == "slow":
        gate.let.clear()
    engine = Scripted(slots=4)
    runner = night.start(engine)
    until(lambda: runner._flusher.full and runner.running == 0, 20, "the spool to be full")
    until(lambda: ("No space left" in runner.store_fault) is gate.shut, 20, "the fault to be known")
    generated = len(engine.submitted)
    assert generated < 100
    assert night.outcomes() == []
    gate.shut = False
    gate.let.set()
    output, _ = night.outputs(until)
    assert runner.store_fault == ""
    assert len(output) == len(engine.submitted) == 200
    fences = [line.fence for line in night.outcomes()]
    assert len(fences) == len(set(fences)) == 200


def test_a_worker_with_more_outcomes_than_it_may_keep_claims_nothing(night: WorkerNight) -> None:
    night.change(flush_bytes=1)
    night.accept(3)
    night.feed()
    full, free = (night.worker(Scripted(), name=f"w-{n}") for n in range(2))
    full._flusher.put(night.batch_id, completed(9, status="crashed", final=False, output=None), None)
    assert full._flusher.full
    for runner, leased in ((full, 0), (free, 3)):
        runner._claimer._claim_if_room()
        assert night.snapshot().leased == leased


def test_outcomes_on_the_spool_keep_their_order(night: WorkerNight, until: Callable[..., Any], gate: Gate) -> None:
    night.change(flush_bytes=1100, spool_bytes=1 << 20)
    night.accept(60)
    gate.let.clear()
    done: list[int] = []

    def noted(request: Any) -> Completion:
        done.append(row_of(request))
        return answer(request)

    night.start(Scripted(noted, slots=4))
    until(lambda: len(done) == 60, 20, "all rows to be generated")
    gate.let.set()
    night.until_published(until)
    assert [line.row for line in night.outcomes()] == done


def test_rows_whose_leases_are_lost_while_they_are_on_the_spool_are_not_written(
    night: WorkerNight, until: Callable[..., Any], gate: Gate
) -> None:
    night.change(flush_bytes=2000, spool_bytes=1 << 20)
    night.accept(40)
    gate.shut = True
    engine = Scripted(slots=8)
    runner = night.start(engine)
    until(lambda: len(engine.submitted) == 40 and runner.running == 0, 20, "all rows to be finished")
    runner._leases.mark_ended(lost=runner._leases._held, cancelled=())
    gate.shut = False
    until(lambda: runner._leases.holding == 0, 20, "the leases to be abandoned")
    assert night.outcomes() == []


def test_a_segment_that_may_exist_is_tried_again_with_the_rows_that_were_lost_meanwhile(
    night: WorkerNight, until: Callable[..., Any], gate: Gate
) -> None:
    """The segment was written, but no answer came. With fewer lines it would become a second segment, and its cost would count
    twice.
    """
    night.accept(6)
    gate.silent = True
    engine = Scripted()
    runner = night.start(engine)
    until(lambda: len(engine.submitted) == 6 and runner.running == 0 and gate.tries > 1, 20, "a second try")
    runner._leases.mark_ended(lost=[x for x in runner._leases._held if x.key.row % 2], cancelled=())
    tries = gate.tries
    until(lambda: gate.tries > tries, 20, "a try after the leases were lost")
    gate.silent = False
    until(lambda: runner._leases.holding == 0, 20, "the rows to be settled")
    rows = [line.row for line in night.outcomes()]
    assert len(rows) == len(set(rows))


def test_rows_that_the_spool_loses_are_done_again_and_cost_no_attempt(
    night: WorkerNight, until: Callable[..., Any], gate: Gate, capsys: pytest.CaptureFixture[str]
) -> None:
    """The local disk loses the end of the spool's file. The rows before that end are written, and the other rows run
    once more.
    """
    night.change(flush_bytes=2000, spool_bytes=1 << 20)
    night.accept(40)
    gate.let.clear()
    engine = Scripted(slots=8)
    runner = night.start(engine)
    flusher = runner._flusher
    until(lambda: flusher.received == 40, 20, "all rows to be finished")
    with flusher._condition:  # otherwise the last rows might just be on their way to the spool
        spool = flusher._outcome_spool
        assert len(spool) > 2
        spool._opened().truncate(spool._chunks[-2].offset + 20)
    gate.let.set()
    output, errors = night.outputs(until)
    assert (len(output), errors) == (40, [])
    assert 40 < len(engine.submitted) < 80
    assert {(line.status, line.attempt) for line in night.outcomes()} == {("completed", 1)}
    until(lambda: runner._leases.holding == 0 and flusher.handled == flusher.received, 10, "every row to be settled")
    assert capsys.readouterr().out.count("spool.lost") == 2


def test_a_drain_releases_everything_in_time_also_during_a_long_step(
    night: WorkerNight, until: Callable[..., Any]
) -> None:
    night.accept(8)
    engine = Stuck()
    runner = night.start(engine)
    until(lambda: night.snapshot().leased == 8, 20, "the rows in hand")
    until(engine.stepping.is_set, 20, "the step")
    runner.stop(0.2)
    schedule = until(
        lambda: (found := night.snapshot().batches[night.batch_id]).ready == 8 and found, 10, "the release"
    )
    assert schedule.leased == 0
    engine.let.set()
    assert {(job.attempt, job.crashes) for job in night.claim(9)} == {(1, 0)}


def test_a_drain_does_not_wait_for_a_store_that_is_away(
    night: WorkerNight, until: Callable[..., Any], gate: Gate
) -> None:
    """Finished rows that could not be written are released too, and done again."""
    night.accept(3)
    gate.shut = True
    engine = Scripted()
    runner = night.start(engine)
    until(lambda: gate.tries > 1 and runner.running == 0, 20, "finished rows that cannot be written")
    runner.stop(0.5)
    night.workers[0][1].join(10)
    schedule = night.snapshot().batches[night.batch_id]
    assert (schedule.ready, schedule.leased) == (3, 0)


class Failing(Scripted):
    """An engine that fails as a whole once it has three rows."""

    def step(self) -> Sequence[Completion]:
        if len(self.waiting) > 2:
            raise MemoryError("CUDA out of memory")
        return ()


def test_an_engine_that_fails_costs_each_row_a_crash_and_no_attempt(night: WorkerNight) -> None:
    night.accept(3)
    with pytest.raises(MemoryError):
        night.worker(Failing()).run()
    assert night.snapshot().leased == 3
    night.expire_leases()
    found = [(job.attempt, job.crashes) for n in range(3) for job in night.claim(9, worker=f"w-{n}")]
    assert sorted(found) == [(1, 1)] * 3


def test_two_leases_of_a_row_in_one_worker_are_told_apart(
    night: WorkerNight, until: Callable[..., Any], fake_client: redis.Redis
) -> None:
    """Redis forgot everything, and each row was leased again before the worker knew that the first lease was lost."""
    night.change(lease_s=0.5, batch_scan_s=0.05)
    night.accept(8)
    answers = threading.Event()
    engine = Scripted(lambda r: answer(r) if answers.is_set() else None, slots=8)
    night.start(engine)
    until(lambda: len(engine.submitted) == 8, 20, "all rows in hand")
    fake_client.flushall()
    until(lambda: len(engine.submitted) == 16, 20, "all rows again")
    until(lambda: len(engine.waiting) == 8, 20, "the first ones to be cancelled")
    answers.set()
    output, _ = night.outputs(until)
    assert len(output) == 8


def test_a_batch_that_only_fails_is_paused_before_much_of_it_has_run(
    night: WorkerNight, until: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """No flush is due for a minute, and no sweeper runs. The worker writes the outcomes that it has, asks the breaker, and
    pauses the batch.
    """
    night.change(flush_s=60.0, breaker_rows=20, max_attempts=1)
    night.accept(400)
    fails = fault("empty_output", retryable=False)
    night.start(Scripted(fails))
    batch = load_batch(night.store, night.batch_id)
    assert batch is not None
    until(lambda: read_round(night.store, batch).paused, 20, "the pause")
    until(lambda: night.snapshot().ready == 0, 20, "the batch to be off the lane")
    until(lambda: "batch.paused" in capsys.readouterr().out, 5, "the log")
    night.stop()
    assert 20 <= len(night.outcomes()) <= 20 + 2 * 8, "the rows that it must see, and those that it had in hand"
    resume(night.store, batch)
    night.change(flush_s=0.05)
    night.start(StubEngine())
    output, errors = night.outputs(until)
    assert (len(output) + len(errors), len(errors) <= 20 + 2 * 8) == (400, True)


def test_a_batch_of_which_one_row_completed_is_not_paused(night: WorkerNight, until: Callable[..., Any]) -> None:
    night.change(flush_s=0.05, breaker_rows=5, max_attempts=1)
    night.accept(60)
    broken = fault("empty_output", retryable=False)
    night.start(Scripted(lambda r: answer(r) if row_of(r) == 0 else broken(r)))
    output, errors = night.outputs(until)
    assert (len(output), len(errors)) == (1, 59)


def test_a_damaged_input_is_not_taken_for_a_storage_that_is_away(night: WorkerNight, until: Callable[..., Any]) -> None:
    night.accept(3)
    path = Path(night.store.url) / BatchPaths(night.batch_id).input(LANE)
    path.unlink()
    runner = night.start(Scripted())
    assert "Restore it from a backup" in until(lambda: runner.store_damage, 20, "the damage to be known")
    assert runner.store_fault == ""

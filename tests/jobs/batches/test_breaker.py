"""Shows jobs/batches/breaker.py, asked by the sweeper: a batch whose first rows all fail is paused."""

from collections.abc import Callable

import pytest
import redis

from jobs.batches.rounds import read_round, reopen, resume
from jobs.operations.status_reader import StatusReader
from tests.support.night import LANE, LEASE_MS, chats
from tests.support.outcomes import failed
from tests.support.timed_night import ME, TimedNight


def test_a_batch_whose_first_rows_all_fail_is_paused_with_the_reason(make_night: Callable[..., TimedNight]) -> None:
    night = make_night(breaker_rows=3)
    batch = night.accept([*chats(10), *[b"{"] * 2])
    running = night.claim(4)
    night.finish(running[:2], failed)
    night.sweep()
    assert read_round(night.store, batch).paused is None, "two failures are too few, and refused rows do not count"
    night.finish(running[2:3], failed)
    night.sweep()
    paused = read_round(night.store, batch).paused
    assert paused is not None
    assert paused.reason == "its first 3 rows all failed, most of them with empty_output"
    beat = night.queue.beat(LANE, [running[3].lease], LEASE_MS, ME)
    assert (beat.lost, beat.cancelled) == (frozenset(), frozenset()), "running jobs may finish"
    assert night.claim() == []
    status = StatusReader(night.store, night.queue).batch(batch.batch_id)
    assert (status.state, status.paused_reason) == ("paused", paused.reason)


def test_jobs_that_run_when_a_batch_is_paused_finish_and_count(make_night: Callable[..., TimedNight]) -> None:
    night = make_night(breaker_rows=2)
    batch = night.accept(6)
    running = night.claim(4)
    night.finish(running[:2], failed)
    night.sweep()
    night.finish(running[2:])
    for _ in range(2):
        night.sweep()
    assert night.snapshot().batches == {}
    assert night.claim() == []
    resume(night.store, batch, clock=night.now)
    rest = night.claim()
    assert sorted(job.key.row for job in rest) == [4, 5]
    night.finish(rest)
    night.sweep()
    done = night.done(batch.batch_id)
    assert (done.counts["completed"], done.counts["failed"]) == (4, 2)


def test_a_further_round_whose_first_rows_all_fail_is_paused_too(make_night: Callable[..., TimedNight]) -> None:
    night = make_night(breaker_rows=2)
    batch = night.accept(6)
    night.finish(night.claim(1))
    night.finish(night.claim(8), failed)
    night.sweep()
    assert night.done(batch.batch_id).counts["completed"] == 1
    reopen(night.store, batch.batch_id, clock=night.now)
    night.finish(night.claim(3), failed)
    night.sweep()
    assert read_round(night.store, batch).paused is not None, "a row that completed in the round before does not count"


def test_a_resumed_batch_goes_on_and_is_not_paused_again(
    make_night: Callable[..., TimedNight],
) -> None:
    night = make_night(breaker_rows=2)
    batch = night.accept(6)
    night.finish(night.claim(2), failed)
    night.sweep()
    assert night.claim() == []
    resume(night.store, batch, clock=night.now)
    jobs = night.claim()
    assert sorted(job.key.row for job in jobs) == [2, 3, 4, 5]
    night.finish(jobs[:1], failed)
    night.sweep()
    assert read_round(night.store, batch).paused is None
    night.finish(jobs[1:])
    night.sweep()
    assert night.done(batch.batch_id).counts["completed"] == 3


@pytest.mark.parametrize(
    ("breaker_rows", "completed"),
    [pytest.param(0, 0, id="switched off"), pytest.param(3, 1, id="a row completed")],
)
def test_a_batch_is_not_paused(make_night: Callable[..., TimedNight], breaker_rows: int, completed: int) -> None:
    night = make_night(breaker_rows=breaker_rows)
    batch = night.accept(10)
    jobs = night.claim()
    if completed:
        night.finish(jobs[:completed])
    night.finish(jobs[completed:9], failed)
    night.sweep()
    assert read_round(night.store, batch).may_pause


def test_a_paused_batch_stays_paused_after_the_queue_lost_it(
    make_night: Callable[..., TimedNight], fake_client: redis.Redis
) -> None:
    night = make_night(breaker_rows=2)
    night.accept(6)
    night.finish(night.claim(2), failed)
    night.sweep()
    fake_client.flushall()
    night.sweep()
    assert night.claim() == []

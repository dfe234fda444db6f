"""Shows jobs/lanes/lua/drop.lua: a batch is taken off its lane, if the lane does not know a later round than the caller's."""

from jobs.lanes.protocol import Settlement
from jobs.lanes.redis_queue import RedisQueue
from tests.support.lane import LANE, LEASE_MS, ME, claim, counts, fed, row


def test_drop_takes_what_waits_and_leaves_what_is_leased(queue: RedisQueue) -> None:
    fed(queue, [row(n) for n in range(5)])
    jobs = claim(queue, 2)
    queue.settle(LANE, [Settlement(jobs[0].lease, "retry", 60_000)])
    assert queue.drop(LANE, "b", 1, forget=False) == 4
    assert counts(queue) == (0, 0, 1)
    assert queue.snapshot(LANE).batches["b"].closed
    assert queue.drop(LANE, "b", 1, forget=True) == 1
    assert queue.snapshot(LANE).batches == {}


def test_drop_leaves_a_later_round_alone(queue: RedisQueue) -> None:
    fed(queue, [row(0)], round_=2)
    assert queue.drop(LANE, "b", 1, forget=True) == 0
    assert counts(queue) == (1, 0, 0)
    assert queue.drop(LANE, "unknown", 1, forget=True) == 0


def test_a_held_batch_is_forgotten_once_nothing_of_it_runs(queue: RedisQueue) -> None:
    fed(queue, [row(0), row(1)])
    (job,) = claim(queue, 1)
    assert queue.drop(LANE, "b", 1, forget=True, finish=True) == 1
    assert counts(queue) == (0, 0, 1)
    assert queue.beat(LANE, [job.lease], LEASE_MS, ME).cancelled == frozenset()
    assert queue.settle(LANE, [Settlement(job.lease)]) == frozenset()
    queue.drop(LANE, "b", 1, forget=True, finish=True)
    assert queue.snapshot(LANE).batches == {}

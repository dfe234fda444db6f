"""Shows jobs/lanes/lua/settle.lua: a report counts only if it comes from the holder of the lease, and only once."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from jobs.lanes.job import JobKey, Lease
from jobs.lanes.protocol import Settlement
from jobs.lanes.redis_queue import RedisQueue
from tests.support.lane import LANE, LEASE_MS, ME, claim, counts, fed, row


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda x: Lease(JobKey("b", 9), x.round, x.fence, x.claim_id), id="row"),
        pytest.param(lambda x: Lease(x.key, 2, x.fence, x.claim_id), id="round"),
        pytest.param(lambda x: Lease(x.key, x.round, x.fence + 1, x.claim_id), id="fence"),
        pytest.param(lambda x: Lease(x.key, x.round, x.fence, "other"), id="claim id"),
    ],
)
def test_reports_count_only_if_all_of_the_lease_matches(queue: RedisQueue, wrong: Callable[[Lease], Lease]) -> None:
    fed(queue, [row(0)])
    (job,) = claim(queue)
    other = wrong(job.lease)
    assert queue.settle(LANE, [Settlement(other)]) == {other}
    assert queue.settle(LANE, [Settlement(other, "retry", 5)]) == {other}
    assert queue.release(LANE, [other]) == {other}
    assert queue.beat(LANE, [other], LEASE_MS, ME).lost == {other}
    assert counts(queue) == (0, 0, 1)


def test_a_settled_job_is_gone(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(0)])
    (job,) = claim(queue)
    assert queue.settle(LANE, [Settlement(job.lease)]) == frozenset()
    assert queue.settle(LANE, [Settlement(job.lease)]) == {job.lease}
    assert counts(queue) == (0, 0, 0)
    assert queue.snapshot(LANE).bytes == 0
    keys: list[Any] = client.keys("*")
    left = {key.rsplit(b":", 1)[-1] for key in keys}
    assert left <= {b"batches", b"meta", b"workers", b"counts", b"lanes", b"c-1", b"wake"}


def test_the_same_report_twice_in_a_call_is_taken_once(queue: RedisQueue) -> None:
    fed(queue, [row(0)])
    (job,) = claim(queue)
    assert queue.settle(LANE, [Settlement(job.lease, "retry", 60_000), Settlement(job.lease)]) == {job.lease}
    assert counts(queue) == (0, 1, 0)


def test_a_retry_waits_until_it_is_due(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(0)])
    (job,) = claim(queue)
    queue.settle(LANE, [Settlement(job.lease, "retry", 60_000)])
    assert counts(queue) == (0, 1, 0)
    assert claim(queue, claim_id="c-2") == []
    client.zadd(f"np:2:{{-/{LANE}}}:delayed", {"b/0": 1})
    (again,) = claim(queue, claim_id="c-3")
    assert (again.attempt, again.crashes, again.rescued) == (2, 0, False)


def test_a_retry_in_a_closed_batch_is_removed(queue: RedisQueue) -> None:
    fed(queue, [row(0)])
    (job,) = claim(queue)
    queue.drop(LANE, "b", 1, forget=False)
    assert queue.settle(LANE, [Settlement(job.lease, "retry", 5)]) == frozenset()
    assert counts(queue) == (0, 0, 0)

"""Shows jobs/lanes/lua/claim.lua: the order of a claim, its id, and jobs that may not be run."""

from typing import Any

import pytest
import redis

from jobs.lanes.protocol import Settlement
from jobs.lanes.redis_queue import RedisQueue
from tests.support.lane import LANE, LEASE_MS, ME, claim, counts, expire, fed, rename, row, rows_of


def test_claim_is_by_priority_then_in_the_order_of_the_input(queue: RedisQueue) -> None:
    fed(queue, [row(0, cost=5), row(1, cost=50), row(10, cost=1, place=5), row(2, cost=20), row(3, cost=1, priority=9)])
    assert rows_of(claim(queue)) == [3, 0, 1, 2, 10]


def test_claim_takes_at_most_n_and_counts_the_rest(queue: RedisQueue) -> None:
    fed(queue, [row(n) for n in range(5)])
    reply = queue.claim(LANE, "c-1", 2, LEASE_MS, ME)
    assert (len(reply.jobs), reply.ready, reply.leased, reply.paused) == (2, 3, 2, False)
    assert [job.attempt for job in reply.jobs] == [1, 1]


@pytest.mark.parametrize("rows", [2, 10])
def test_a_claim_brings_payloads_and_one_that_is_gone_is_empty(
    queue: RedisQueue, client: redis.Redis, rows: int
) -> None:
    """The payloads of a few jobs are in the reply. The payloads of many jobs are read by another command."""
    fed(queue, [row(n) for n in range(rows)])
    wanted = {n: b'{"row":%d}' % n for n in range(rows)}
    assert {job.key.row: job.payload for job in claim(queue)} == wanted
    rename(client, "payload", "b/1", "b/77")
    assert {job.key.row: job.payload for job in claim(queue)} == wanted | {1: b""}


def test_the_same_claim_again_gives_the_same_jobs(queue: RedisQueue) -> None:
    fed(queue, [row(n) for n in range(4)])
    first = claim(queue, 2)
    assert claim(queue, 2) == first
    queue.settle(LANE, [Settlement(first[0].lease)])
    assert claim(queue, 2) == first[1:]
    assert counts(queue) == (2, 0, 1)


def test_a_claim_id_that_would_break_a_record_is_refused(queue: RedisQueue) -> None:
    with pytest.raises(ValueError, match="claim id"):
        claim(queue, 1, "w|1-0")


def test_a_paused_lane_gives_nothing_until_resumed(queue: RedisQueue) -> None:
    fed(queue, [row(0)])
    queue.pause(LANE)
    reply = queue.claim(LANE, "c-1", 5, LEASE_MS, ME)
    assert (list(reply.jobs), reply.paused) == ([], True)
    assert queue.snapshot(LANE).paused
    queue.resume(LANE)
    assert rows_of(claim(queue, claim_id="c-2")) == [0]


@pytest.mark.parametrize("forget", [pytest.param(False, id="closed"), pytest.param(True, id="forgotten")])
def test_claim_removes_jobs_of_batches_that_ended(queue: RedisQueue, client: redis.Redis, forget: bool) -> None:
    """Old keys bring jobs back whose batch is closed or unknown by now. These jobs are not run."""
    fed(queue, [row(0)])
    keys: list[Any] = client.keys("*")
    state = {name: client.dump(name) or b"" for name in keys if not name.endswith((b"batches", b"lanes"))}
    queue.drop(LANE, "b", 1, forget=forget)
    for name, value in state.items():
        client.restore(name, 0, value, replace=True)
    assert claim(queue) == []
    assert client.hlen(f"np:2:{{-/{LANE}}}:jobs") == 0


def test_expired_and_due_jobs_of_a_closed_batch_are_removed(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(0)])
    jobs = claim(queue)
    queue.drop(LANE, "b", 1, forget=False)
    expire(client, queue, jobs)
    assert claim(queue, claim_id="c-2") == []
    assert counts(queue) == (0, 0, 0)

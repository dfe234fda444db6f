"""Shows jobs/lanes/lua/feed.lua: a batch is opened, its cursor moves, and rows are added once."""

from collections.abc import Callable

import pytest
import redis

from jobs.lanes.job import InputSlice, Job
from jobs.lanes.protocol import FeedRow, Settlement
from jobs.lanes.redis_queue import RedisQueue
from tests.support.lane import LANE, LEASE_MS, ME, claim, counts, expire, fed, row


def test_feed_opens_a_batch_and_moves_its_cursor(queue: RedisQueue) -> None:
    reply = queue.feed(LANE, "b", 1, 0, 40, False, [row(0), row(1)])
    assert (reply.accepted, reply.round, reply.cursor) == (True, 1, 40)
    reply = queue.feed(LANE, "b", 1, 40, 80, True, [row(2)])
    assert reply.accepted
    schedule = queue.snapshot(LANE).batches["b"]
    assert (schedule.cursor, schedule.at_end, schedule.ready, schedule.live) == (80, True, 3, 3)
    assert queue.lanes() == [LANE]


def test_feed_with_another_cursor_changes_nothing_and_returns_the_current_one(queue: RedisQueue) -> None:
    fed(queue, [row(0)], at_end=False)
    reply = queue.feed(LANE, "b", 1, 40, 80, True, [row(1)])
    assert (reply.accepted, reply.refused, reply.round, reply.cursor) == (False, False, 1, 100)
    assert counts(queue) == (1, 0, 0)


def test_feed_sent_twice_adds_once(queue: RedisQueue) -> None:
    fed(queue, [row(0)])
    assert not queue.feed(LANE, "b", 1, 0, 100, True, [row(0)]).accepted
    assert counts(queue) == (1, 0, 0)


def test_feed_of_a_missing_batch_in_the_middle_opens_it_at_the_beginning(queue: RedisQueue) -> None:
    reply = queue.feed(LANE, "b", 1, 40, 80, True, [row(1)])
    assert (reply.accepted, reply.round, reply.cursor) == (False, 1, 0)
    assert counts(queue) == (0, 0, 0)


def test_feed_of_an_older_round_is_refused(queue: RedisQueue) -> None:
    fed(queue, [row(0)], round_=2)
    reply = queue.feed(LANE, "b", 1, 0, 100, True, [row(1)])
    assert (reply.accepted, reply.refused, reply.round) == (False, True, 2)


def test_feed_of_a_newer_round_drops_the_jobs_of_the_older(queue: RedisQueue) -> None:
    fed(queue, [row(0), row(1)])
    leased = claim(queue, 1)
    fed(queue, [row(1)], round_=2)
    assert counts(queue) == (1, 0, 0)
    assert queue.settle(LANE, [Settlement(leased[0].lease)]) == {leased[0].lease}


def test_leased_jobs_of_the_round_before_may_finish(queue: RedisQueue) -> None:
    fed(queue, [row(0), row(1)])
    leased = claim(queue, 1)
    queue.feed(LANE, "b", 2, 0, 100, True, [row(0), row(1)], finish=True)
    assert counts(queue) == (1, 0, 1), "the one that runs is live, so it is not added again"
    beat = queue.beat(LANE, [leased[0].lease], LEASE_MS, ME)
    assert (beat.lost, beat.cancelled) == (frozenset(), frozenset())
    assert queue.settle(LANE, [Settlement(leased[0].lease)]) == frozenset()
    assert counts(queue) == (1, 0, 0)


def give_back(queue: RedisQueue, client: redis.Redis, job: Job) -> None:
    queue.release(LANE, [job.lease])


def retry_at_once(queue: RedisQueue, client: redis.Redis, job: Job) -> None:
    queue.settle(LANE, [Settlement(job.lease, "retry")])


def let_run_out(queue: RedisQueue, client: redis.Redis, job: Job) -> None:
    expire(client, queue, [job])


@pytest.mark.parametrize("act", [give_back, retry_at_once, let_run_out])
def test_jobs_of_the_round_before_that_did_not_finish_join_the_new_round(
    queue: RedisQueue, client: redis.Redis, act: Callable[[RedisQueue, redis.Redis, Job], None]
) -> None:
    fed(queue, [row(0)])
    (job,) = claim(queue, 1)
    queue.feed(LANE, "b", 2, 0, 100, True, [row(0)], finish=True)
    act(queue, client, job)
    assert [(again.key.row, again.lease.round) for again in claim(queue, claim_id="c-2")] == [(0, 2)]


def test_a_lost_burial_of_the_round_before_joins_the_new_round(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(0, attempts=3)])
    (job,) = claim(queue, 1)
    queue.feed(LANE, "b", 2, 0, 100, True, [row(0)], finish=True)
    expire(client, queue, [job])
    assert [(again.burial, again.lease.round) for again in claim(queue, claim_id="c-2")] == [(True, 2)]


def test_a_cancelled_batch_lets_nothing_of_the_round_before_finish(queue: RedisQueue) -> None:
    fed(queue, [row(0), row(1)])
    leased = claim(queue, 1)
    queue.drop(LANE, "b", 1, forget=False)
    queue.feed(LANE, "b", 2, 0, 100, True, [row(0)], finish=True)
    assert queue.beat(LANE, [leased[0].lease], LEASE_MS, ME).lost == {leased[0].lease}
    fed(queue, [row(5)], batch="c")
    leased = claim(queue, claim_id="c-2")
    queue.feed(LANE, "b", 3, 0, 100, True, [row(0)], finish=True)
    queue.drop(LANE, "b", 3, forget=False)
    ours = {job.lease for job in leased if job.key.batch_id == "b"}
    assert queue.beat(LANE, [job.lease for job in leased], LEASE_MS, ME).cancelled == ours
    assert len(ours) == 1


def test_feed_of_a_closed_batch_is_refused(queue: RedisQueue) -> None:
    fed(queue, [row(0)])
    queue.drop(LANE, "b", 1, forget=False)
    assert queue.feed(LANE, "b", 1, 100, 200, True, [row(1)]).refused


def test_feed_skips_live_rows(queue: RedisQueue) -> None:
    fed(queue, [row(0)], at_end=False)
    assert queue.feed(LANE, "b", 1, 100, 200, True, [row(0), row(1)]).accepted
    assert counts(queue) == (2, 0, 0)


def test_feed_of_a_row_with_no_attempt_left_makes_it_a_burial(queue: RedisQueue) -> None:
    fed(queue, [row(0, attempts=3, crashes=3)])
    (job,) = claim(queue)
    assert (job.burial, job.attempt, job.crashes) == (True, 3, 3)


def test_payloads_come_back_as_they_went(queue: RedisQueue) -> None:
    rows = [FeedRow(0, b"\xff\x00=@1,2", 30, 4, "t"), FeedRow(1, InputSlice(7, 20_000), 20, 4, "t")]
    fed(queue, rows)
    assert [job.payload for job in claim(queue)] == [b"\xff\x00=@1,2", InputSlice(7, 20_000)]
    assert queue.snapshot(LANE).bytes == len(b"1|4|t|30|0|=\xff\x00=@1,2") + len(b"1|4|t|20|1|@7,20000")

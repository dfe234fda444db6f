"""Shows jobs/lanes/redis_queue.py and jobs/lanes/lua/: every branch of every script, over an imitation and real servers."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from jobs.errors import QueueUnavailable
from jobs.lanes.job import InputSlice, Job, JobKey, Lease
from jobs.lanes.protocol import FeedRow, Settlement
from jobs.lanes.redis_connection import SLOW_S, TRIES
from jobs.lanes.redis_queue import RedisQueue
from jobs.lanes.scripts import KEYS, PROBE
from tests.jobs.lane import LANE, LEASE_MS, ME, claim, counts, expire, fed, key, rename, row, rows_of

if TYPE_CHECKING:
    from tests.conftest import Server


@pytest.fixture
def queue(client: redis.Redis) -> RedisQueue:
    return RedisQueue(client, max_attempts=3)


# -- feed


def test_feed_opens_a_batch_and_moves_its_cursor(queue: RedisQueue) -> None:
    reply = queue.feed(LANE, "b", 1, 0, 40, False, [row(0), row(1)])
    assert (reply.accepted, reply.round, reply.cursor) == (True, 1, 40)
    reply = queue.feed(LANE, "b", 1, 40, 80, True, [row(2)])
    assert reply.accepted
    schedule = queue.snapshot(LANE).batches["b"]
    assert (schedule.cursor, schedule.at_end, schedule.ready, schedule.live) == (80, True, 3, 3)
    assert queue.lanes() == [LANE]


def test_feed_with_another_cursor_changes_nothing_and_tells_the_truth(queue: RedisQueue) -> None:
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


def test_what_ran_in_the_round_before_may_finish(queue: RedisQueue) -> None:
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
def test_what_did_not_finish_of_the_round_before_waits_for_the_new_one(
    queue: RedisQueue, client: redis.Redis, act: Callable[[RedisQueue, redis.Redis, Job], None]
) -> None:
    fed(queue, [row(0)])
    (job,) = claim(queue, 1)
    queue.feed(LANE, "b", 2, 0, 100, True, [row(0)], finish=True)
    act(queue, client, job)
    assert [(again.key.row, again.lease.round) for again in claim(queue, claim_id="c-2")] == [(0, 2)]


def test_a_burial_of_the_round_before_that_was_lost_is_one_of_the_new(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(0, attempts=3)])
    (job,) = claim(queue, 1)
    queue.feed(LANE, "b", 2, 0, 100, True, [row(0)], finish=True)
    expire(client, queue, [job])
    assert [(again.burial, again.lease.round) for again in claim(queue, claim_id="c-2")] == [(True, 2)]


def test_a_batch_that_is_held_is_forgotten_once_nothing_of_it_runs(queue: RedisQueue) -> None:
    fed(queue, [row(0), row(1)])
    (job,) = claim(queue, 1)
    assert queue.drop(LANE, "b", 1, forget=True, finish=True) == 1
    assert counts(queue) == (0, 0, 1)
    assert queue.beat(LANE, [job.lease], LEASE_MS, ME).cancelled == frozenset()
    assert queue.settle(LANE, [Settlement(job.lease)]) == frozenset()
    queue.drop(LANE, "b", 1, forget=True, finish=True)
    assert queue.snapshot(LANE).batches == {}


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


def test_feed_passes_over_live_rows(queue: RedisQueue) -> None:
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
    assert queue.snapshot(LANE).bytes == len(b"1|4|t|30|=\xff\x00=@1,2") + len(b"1|4|t|20|@7,20000")


@pytest.mark.parametrize("rows", [2, 10])
def test_a_claim_brings_payloads_and_one_that_is_gone_is_empty(
    queue: RedisQueue, client: redis.Redis, rows: int
) -> None:
    """However many they are: those of a few jobs come along, those of many are asked for."""
    fed(queue, [row(n) for n in range(rows)])
    wanted = {n: b'{"row":%d}' % n for n in range(rows)}
    assert {job.key.row: job.payload for job in claim(queue)} == wanted
    rename(client, "payload", "b/1", "b/77")
    assert {job.key.row: job.payload for job in claim(queue)} == wanted | {1: b""}


# -- claim


def test_claim_is_by_priority_then_the_longest_first(queue: RedisQueue) -> None:
    fed(queue, [row(0, cost=5), row(1, cost=50), row(2, cost=20), row(3, cost=1, priority=9)])
    assert rows_of(claim(queue)) == [3, 1, 2, 0]


def test_claim_takes_at_most_n_and_counts_the_rest(queue: RedisQueue) -> None:
    fed(queue, [row(n) for n in range(5)])
    reply = queue.claim(LANE, "c-1", 2, LEASE_MS, ME)
    assert (len(reply.jobs), reply.ready, reply.leased, reply.paused) == (2, 3, 2, False)
    assert [job.attempt for job in reply.jobs] == [1, 1]


def test_the_same_claim_again_gives_the_same_jobs(queue: RedisQueue) -> None:
    fed(queue, [row(n) for n in range(4)])
    first = claim(queue, 2)
    assert claim(queue, 2) == first
    queue.settle(LANE, [Settlement(first[0].lease)])
    assert claim(queue, 2) == first[1:]
    assert counts(queue) == (2, 0, 1)


def test_a_claim_takes_reports_along_before_it_leases(queue: RedisQueue) -> None:
    """As settle does: what is done is gone, what is to be retried waits, and what no longer holds is told."""
    fed(queue, [row(n, cost=9 - n) for n in range(4)])
    done, again, lost = claim(queue, 3)
    queue.settle(LANE, [Settlement(lost.lease)])
    reports = [Settlement(done.lease), Settlement(again.lease, "retry", 60_000), Settlement(lost.lease)]
    reply = queue.claim(LANE, "c-2", 5, LEASE_MS, ME, settle=reports)
    assert rows_of(reply.jobs) == [3]
    assert set(reply.lost) == {lost.lease}
    assert (reply.ready, reply.delayed, reply.leased) == counts(queue) == (0, 1, 1)


def test_reports_of_a_claim_that_is_sent_again_no_longer_hold(queue: RedisQueue) -> None:
    fed(queue, [row(0), row(1)])
    (job,) = claim(queue, 1)
    first = queue.claim(LANE, "c-2", 1, LEASE_MS, ME, settle=[Settlement(job.lease)])
    again = queue.claim(LANE, "c-2", 1, LEASE_MS, ME, settle=[Settlement(job.lease)])
    assert (set(first.lost), set(again.lost)) == (set(), {job.lease})
    assert again.jobs == first.jobs
    assert counts(queue) == (0, 0, 1)


def test_the_same_report_twice_in_a_call_is_taken_once(queue: RedisQueue) -> None:
    fed(queue, [row(0)])
    (job,) = claim(queue)
    assert queue.settle(LANE, [Settlement(job.lease, "retry", 60_000), Settlement(job.lease)]) == {job.lease}
    assert counts(queue) == (0, 1, 0)


def test_a_claim_id_that_would_break_a_record_is_refused(queue: RedisQueue) -> None:
    with pytest.raises(ValueError, match="claim id"):
        claim(queue, 1, "w|1-0")


def test_more_jobs_than_a_command_takes_arguments(queue: RedisQueue) -> None:
    """Every step on 2,500 jobs at once."""
    fed(queue, [row(n) for n in range(2500)])
    jobs = claim(queue, 2500)
    assert claim(queue, 2500) == jobs
    leases = [job.lease for job in jobs]
    assert len(set(rows_of(jobs))) == 2500
    assert queue.beat(LANE, leases, LEASE_MS, ME).lost == frozenset()
    assert queue.release(LANE, leases[:1200]) == frozenset()
    assert queue.settle(LANE, [Settlement(lease) for lease in leases[1200:]]) == frozenset()
    assert counts(queue) == (1200, 0, 0)
    assert queue.drop(LANE, "b", 1, forget=True) == 1200


def test_ready_members_that_are_damaged_are_made_again(queue: RedisQueue, client: redis.Redis) -> None:
    """They lack the round and the size of their jobs. A claim removes them, and the next claim makes the lane's keys again."""
    fed(queue, [row(n) for n in range(4)])
    (retried,) = claim(queue, 1)
    queue.settle(LANE, [Settlement(retried.lease, "retry", 0)])
    members: list[Any] = client.zrange(key("ready"), 0, -1)
    client.delete(key("ready"))
    damaged = [b"|".join([*member.split(b"|")[:3], member.split(b"|")[5]]) for member in members]
    client.zadd(key("ready"), dict.fromkeys(damaged, 0))
    jobs = [*claim(queue, 5, "c-2"), *claim(queue, 5, "c-3")]
    assert sorted(rows_of(jobs)) == [0, 1, 2, 3]
    assert {job.key.row for job in jobs if job.attempt == 2} == {retried.key.row}
    assert counts(queue) == (0, 0, 4)


@pytest.mark.parametrize("n", [1, 3, 10, 64])
def test_tenants_take_turns_by_expected_work(queue: RedisQueue, n: int) -> None:
    """A tenant of long rows gets as much work done as one of short rows, whoever came first, however few a claim takes."""
    long = [row(i, cost=100, tenant="long") for i in range(30)]
    short = [row(100 + i, cost=10, tenant="short") for i in range(300)]
    fed(queue, [*long, *short])
    work: Counter[str] = Counter()
    for turn in range(1000):
        for job in claim(queue, n, f"c-{turn}"):
            work["long" if job.key.row < 100 else "short"] += 100 if job.key.row < 100 else 10
        if work.total() >= 2000:
            break
    assert abs(work["long"] - work["short"]) <= 200


def test_a_tenant_that_ran_out_saves_nothing_up(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(0, cost=100, tenant="a"), row(1, cost=10, tenant="b"), row(2, cost=100, tenant="c")])
    assert len(claim(queue, 5)) == 3
    fields: list[Any] = client.hkeys(key("meta"))
    assert [field for field in fields if field.startswith(b"deficit|")] == []


def test_no_tenant_starves_behind_a_thousand_rows(queue: RedisQueue) -> None:
    fed(queue, [row(n, tenant="a") for n in range(1000)] + [row(2000, tenant="b")])
    assert 2000 in rows_of(claim(queue, 4, "c-1")) + rows_of(claim(queue, 4, "c-2"))


def test_a_paused_lane_gives_nothing_until_resumed(queue: RedisQueue) -> None:
    fed(queue, [row(0)])
    queue.pause(LANE)
    reply = queue.claim(LANE, "c-1", 5, LEASE_MS, ME)
    assert (list(reply.jobs), reply.paused) == ([], True)
    assert queue.snapshot(LANE).paused
    queue.resume(LANE)
    assert rows_of(claim(queue, claim_id="c-2")) == [0]


def test_an_expired_lease_is_rescued_and_reported(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(0)])
    lost = claim(queue)
    expire(client, queue, lost)
    (job,) = claim(queue, claim_id="c-2")
    assert (job.attempt, job.crashes, job.rescued, job.burial) == (1, 1, True, False)
    assert job.lost == (lost[0].lease,)
    assert job.lease.fence > lost[0].lease.fence
    assert queue.settle(LANE, [Settlement(lost[0].lease)]) == {lost[0].lease}
    assert counts(queue) == (0, 0, 1)


def test_a_released_burial_is_still_a_burial(queue: RedisQueue) -> None:
    fed(queue, [row(0, attempts=3)])
    (job,) = claim(queue)
    assert queue.release(LANE, [job.lease]) == frozenset()
    assert [job.burial for job in claim(queue, claim_id="c-2")] == [True]


@pytest.mark.parametrize("forget", [pytest.param(False, id="closed"), pytest.param(True, id="forgotten")])
def test_claim_removes_jobs_of_batches_that_ended(queue: RedisQueue, client: redis.Redis, forget: bool) -> None:
    """Jobs that a lost key brought back are not run: their batch is closed, or unknown."""
    fed(queue, [row(0)])
    keys: list[Any] = client.keys("*")
    state = {name: client.dump(name) or b"" for name in keys if not name.endswith((b"batches", b"lanes"))}
    queue.drop(LANE, "b", 1, forget=forget)
    for name, value in state.items():
        client.restore(name, 0, value, replace=True)
    assert claim(queue) == []
    assert client.hlen(f"np:1:{{{LANE}}}:jobs") == 0


@pytest.mark.parametrize("evicted", [name for name in KEYS if name not in ("jobs", "payload", "batches")])
def test_a_key_that_was_evicted_is_mended_from_the_jobs(queue: RedisQueue, client: redis.Redis, evicted: str) -> None:
    """Every row is still claimed, once, a lease still holds, and the lane's counts are right again."""
    fed(queue, [row(n, tenant=f"t{n % 2}") for n in range(8)])
    held, later, gone, lost = claim(queue, 4)
    queue.settle(LANE, [Settlement(later.lease, "retry", 0), Settlement(gone.lease)])
    client.delete(key(evicted))
    jobs = list(claim(queue, 3, "c-2"))
    queue.beat(LANE, [held.lease], LEASE_MS, ME)
    expire(client, queue, [lost])
    jobs += [*claim(queue, 10, "c-3"), *claim(queue, 10, "c-4")]
    assert Counter(rows_of(jobs)) == Counter({*range(8)} - {held.key.row, gone.key.row})
    assert counts(queue) == (0, 0, 7)
    assert queue.settle(LANE, [Settlement(job.lease) for job in [held, *jobs]]) == frozenset()
    assert counts(queue) == (0, 0, 0)
    assert queue.snapshot(LANE).bytes == 0


def test_jobs_whose_payloads_were_evicted_are_fed_again(queue: RedisQueue, client: redis.Redis) -> None:
    """The batch is then seen drained, so that an audit of storage resets it; no job is given out without its payload."""
    fed(queue, [row(n) for n in range(4)])
    held, later, *_ = claim(queue, 2)
    queue.settle(LANE, [Settlement(later.lease, "retry", 0)])
    client.delete(key("payload"))
    assert claim(queue, 10, "c-2") == []
    assert counts(queue) == (0, 0, 0)
    assert queue.snapshot(LANE).bytes == 0
    assert queue.beat(LANE, [held.lease], LEASE_MS, ME).lost == {held.lease}
    assert queue.reset(LANE, "b", queue.snapshot(LANE).batches["b"].version)
    fed(queue, [row(n) for n in range(4)])
    assert sorted(rows_of(claim(queue, 10, "c-3"))) == [0, 1, 2, 3]


def test_jobs_whose_records_were_evicted_begin_anew(queue: RedisQueue, client: redis.Redis) -> None:
    """Whoever held one of them is told that its lease is gone; every row is claimed again."""
    fed(queue, [row(n) for n in range(4)])
    held, later, *_ = claim(queue, 2)
    queue.settle(LANE, [Settlement(later.lease, "retry", 0)])
    client.delete(key("jobs"))
    assert sorted(rows_of(claim(queue, 10, "c-2"))) == [0, 1, 2, 3]
    assert queue.beat(LANE, [held.lease], LEASE_MS, ME).lost == {held.lease}
    assert queue.settle(LANE, [Settlement(held.lease)]) == {held.lease}
    assert counts(queue) == (0, 0, 4)


def test_a_lane_that_went_back_in_time_gives_out_again_what_was_settled(queue: RedisQueue, client: redis.Redis) -> None:
    """Leases of after that moment no longer hold; those of before do. Storage tells which rows are done already."""
    fed(queue, [row(n) for n in range(3)])
    (first,) = claim(queue, 1)
    names: list[Any] = client.keys("np:1:*")
    saved = {name: client.dump(name) or b"" for name in names}
    (second,) = claim(queue, 1, "c-2")
    queue.settle(LANE, [Settlement(first.lease)])
    client.flushall()
    for name, value in saved.items():
        client.restore(name, 0, value, replace=True)
    assert queue.settle(LANE, [Settlement(second.lease)]) == {second.lease}
    assert len(claim(queue, 5, "c-3")) == 2
    assert queue.settle(LANE, [Settlement(first.lease)]) == frozenset()
    assert counts(queue) == (0, 0, 2)


@pytest.mark.parametrize(
    "garbage",
    [b"\xff\x00", b"", b"l", b"q|1|1|1|0|4|10|20|t|c-1", b"l|1|1|1|0|4|10|20|t", b"l|1|1|1|1|4|10|20|t|c-1|x"],
)
def test_jobs_whose_records_are_damaged_begin_anew(queue: RedisQueue, client: redis.Redis, garbage: bytes) -> None:
    """Leased and delayed ones: each damaged record is as if it were lost, and stops nobody."""
    fed(queue, [row(n) for n in range(4)])
    leased = claim(queue, 2)
    queue.settle(LANE, [Settlement(leased[0].lease, "retry", 60_000)])
    for job in leased:
        client.hset(key("jobs"), str(job.key), garbage)
    assert queue.beat(LANE, [leased[1].lease], LEASE_MS, ME).lost == {leased[1].lease}
    assert sorted(rows_of(claim(queue, claim_id="c-2"))) == [0, 1, 2, 3]


@pytest.mark.parametrize("garbage", [b"\xff\x00", b"[]", b"{}", b'{"round":"x"}'])
def test_a_batch_whose_record_is_damaged_is_fed_anew(queue: RedisQueue, client: redis.Redis, garbage: bytes) -> None:
    fed(queue, [row(0)])
    client.hset(key("batches"), "b", garbage)
    assert claim(queue) == []
    assert queue.snapshot(LANE).batches == {}
    fed(queue, [row(0)])
    assert rows_of(claim(queue, claim_id="c-2")) == [0]


def test_jobs_whose_batches_were_evicted_are_not_run(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(n) for n in range(4)])
    client.delete(key("batches"))
    assert claim(queue) == []
    fed(queue, [row(n) for n in range(4)])
    assert sorted(rows_of(claim(queue, 10, "c-2"))) == [0, 1, 2, 3]


def test_a_dying_job_is_mended_as_one(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(0, attempts=3), row(1, attempts=3)])
    claim(queue, 1)
    client.delete(key("ready"), key("leased"))
    assert [job.burial for job in claim(queue, 5, "c-2")] == [True]
    assert counts(queue) == (0, 0, 2)


def test_what_is_left_of_a_job_is_let_go(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(0), row(1)])
    client.hdel(key("payload"), "b/0")
    client.hset(key("jobs"), "b/7", "l|1|1|1|0|4|10|20|t|c-0")
    assert rows_of(claim(queue)) == [1]
    assert (client.hkeys(key("jobs")), client.hkeys(key("payload"))) == ([b"b/1"], [b"b/1"])
    assert queue.snapshot(LANE).bytes == len(b'1|4|t|10|={"row":1}')


@pytest.mark.parametrize("state", ["delayed", "leased"])
def test_a_job_whose_record_is_gone_begins_anew(queue: RedisQueue, client: redis.Redis, state: str) -> None:
    """Though all sizes are right: the claim that meets it lets go, and the next one mends."""
    fed(queue, [row(0)])
    (job,) = claim(queue)
    if state == "delayed":
        queue.settle(LANE, [Settlement(job.lease, "retry", 0)])
    else:
        expire(client, queue, [job])
    rename(client, "jobs", "b/0", "b/9")
    assert claim(queue, claim_id="c-2") == []
    assert client.zcard(key(state)) == 0
    assert [(again.key.row, again.attempt) for again in claim(queue, claim_id="c-3")] == [(0, 1)]
    assert counts(queue) == (0, 0, 1)


def test_a_tenant_that_is_not_known_is_served_all_the_same(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(0), row(1)])
    rename(client, "tenants", "5|t", "5|other")
    assert sorted(rows_of(claim(queue))) == [0, 1]


def test_expired_and_due_jobs_of_a_closed_batch_are_removed(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(0)])
    jobs = claim(queue)
    queue.drop(LANE, "b", 1, forget=False)
    expire(client, queue, jobs)
    assert claim(queue, claim_id="c-2") == []
    assert counts(queue) == (0, 0, 0)


# -- beat


def test_beat_extends_and_says_what_is_lost(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(0), row(1)])
    held = [job.lease for job in claim(queue)]
    before = client.zscore(f"np:1:{{{LANE}}}:leased", str(held[0].key))
    queue.settle(LANE, [Settlement(held[1])])
    beat = queue.beat(LANE, held, 2 * LEASE_MS, ME)
    assert set(beat.lost) == {held[1]}
    assert set(beat.cancelled) == set()
    after = client.zscore(f"np:1:{{{LANE}}}:leased", str(held[0].key))
    assert before is not None
    assert after is not None
    assert after > before


def test_beat_says_what_was_cancelled(queue: RedisQueue) -> None:
    fed(queue, [row(0)])
    held = [job.lease for job in claim(queue)]
    assert queue.drop(LANE, "b", 1, forget=False) == 0
    assert queue.beat(LANE, held, LEASE_MS, ME).cancelled == set(held)


def test_a_beat_shows_the_worker_and_silence_hides_it(queue: RedisQueue, client: redis.Redis) -> None:
    queue.beat(LANE, [], LEASE_MS, ME)
    assert queue.snapshot(LANE).workers == [ME]
    client.hset(f"np:1:{{{LANE}}}:workers", "w-1", "1|{}")
    assert queue.snapshot(LANE).workers == []


@pytest.mark.parametrize("first", ["claim", "beat"])
def test_whoever_comes_anew_takes_records_along_that_are_a_day_old(
    queue: RedisQueue, client: redis.Redis, first: str
) -> None:
    """Each start of a fleet leaves a few; and one that is damaged is as if it were lost."""
    queue.beat(LANE, [], LEASE_MS, ME)
    seconds, _ = client.time()
    ages_s = {"yesterday": 90_000, "this morning": 40_000}
    client.hset(key("workers"), mapping={name: f"{(int(seconds) - age) * 1000}|{{}}" for name, age in ages_s.items()})
    client.hset(key("workers"), "damaged", "{}")
    queue.beat(LANE, [], LEASE_MS, ME)
    assert client.hlen(key("workers")) == 4, "one that is known looks after none"
    anew = replace(ME, worker="w-2")
    if first == "claim":
        queue.claim(LANE, "w-2-0", 1, LEASE_MS, anew)
    else:
        queue.beat(LANE, [], LEASE_MS, anew)
    assert set(client.hkeys(key("workers"))) == {b"w-1", b"w-2", b"this morning"}


# -- settle, release


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


def test_settled_is_gone(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(0)])
    (job,) = claim(queue)
    assert queue.settle(LANE, [Settlement(job.lease)]) == frozenset()
    assert queue.settle(LANE, [Settlement(job.lease)]) == {job.lease}
    assert counts(queue) == (0, 0, 0)
    assert queue.snapshot(LANE).bytes == 0
    keys: list[Any] = client.keys("*")
    left = {key.rsplit(b":", 1)[-1] for key in keys}
    assert left <= {b"batches", b"meta", b"workers", b"counts", b"lanes", b"c-1"}


def test_a_retry_waits_until_it_is_due(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(0)])
    (job,) = claim(queue)
    queue.settle(LANE, [Settlement(job.lease, "retry", 60_000)])
    assert counts(queue) == (0, 1, 0)
    assert claim(queue, claim_id="c-2") == []
    client.zadd(f"np:1:{{{LANE}}}:delayed", {"b/0": 1})
    (again,) = claim(queue, claim_id="c-3")
    assert (again.attempt, again.crashes, again.rescued) == (2, 0, False)


def test_a_retry_in_a_closed_batch_is_removed(queue: RedisQueue) -> None:
    fed(queue, [row(0)])
    (job,) = claim(queue)
    queue.drop(LANE, "b", 1, forget=False)
    assert queue.settle(LANE, [Settlement(job.lease, "retry", 5)]) == frozenset()
    assert counts(queue) == (0, 0, 0)


def test_released_unharmed_costs_no_attempt(queue: RedisQueue) -> None:
    fed(queue, [row(0)])
    (job,) = claim(queue)
    assert queue.release(LANE, [job.lease]) == frozenset()
    assert queue.release(LANE, [job.lease]) == {job.lease}
    (again,) = claim(queue, claim_id="c-2")
    assert again.attempt == 1


def test_a_release_in_a_closed_batch_is_removed(queue: RedisQueue) -> None:
    fed(queue, [row(0)])
    (job,) = claim(queue)
    queue.drop(LANE, "b", 1, forget=False)
    assert queue.release(LANE, [job.lease]) == frozenset()
    assert counts(queue) == (0, 0, 0)


# -- drop, reset


def test_drop_takes_what_waits_and_leaves_what_is_leased(queue: RedisQueue) -> None:
    fed(queue, [row(n) for n in range(5)])
    jobs = claim(queue, 2)
    queue.settle(LANE, [Settlement(jobs[0].lease, "retry", 60_000)])
    assert queue.drop(LANE, "b", 1, forget=False) == 4
    assert counts(queue) == (0, 0, 1)
    assert queue.snapshot(LANE).batches["b"].closed
    assert queue.drop(LANE, "b", 1, forget=True) == 1
    assert queue.snapshot(LANE).batches == {}


def test_drop_names_the_round(queue: RedisQueue) -> None:
    fed(queue, [row(0)], round_=2)
    assert queue.drop(LANE, "b", 1, forget=True) == 0
    assert counts(queue) == (1, 0, 0)
    assert queue.drop(LANE, "unknown", 1, forget=True) == 0


def test_reset_only_at_the_end_with_nothing_live_and_unchanged(queue: RedisQueue) -> None:
    def version() -> int:
        return queue.snapshot(LANE).batches["b"].version

    assert not queue.reset(LANE, "b", 1)  # unknown
    fed(queue, [row(0)], at_end=False)
    queue.settle(LANE, [Settlement(job.lease) for job in claim(queue)])
    assert not queue.reset(LANE, "b", version())  # not at the end
    assert queue.feed(LANE, "b", 1, 100, 200, True, [row(1)]).accepted
    assert not queue.reset(LANE, "b", version())  # a live job
    queue.settle(LANE, [Settlement(job.lease) for job in claim(queue, claim_id="c-2")])
    assert not queue.reset(LANE, "b", version() + 1)  # changed meanwhile
    seen = version()
    assert queue.reset(LANE, "b", seen)
    schedule = queue.snapshot(LANE).batches["b"]
    assert (schedule.cursor, schedule.at_end) == (0, False)
    assert schedule.version != seen
    fed(queue, [])
    queue.drop(LANE, "b", 1, forget=False)
    assert queue.snapshot(LANE).batches["b"].at_end
    assert not queue.reset(LANE, "b", version())  # closed


# -- the server


def test_all_forgotten_is_fed_again(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(0)])
    (job,) = claim(queue)
    client.flushall()
    client.script_flush()
    assert queue.settle(LANE, [Settlement(job.lease)]) == {job.lease}
    assert queue.beat(LANE, [job.lease], LEASE_MS, ME).lost == {job.lease}
    fed(queue, [row(0)])
    assert rows_of(claim(queue, claim_id="c-2")) == [0]


def test_scripts_that_the_server_forgot_are_sent_again(queue: RedisQueue, client: redis.Redis) -> None:
    """NOSCRIPT: only the scripts are gone."""
    fed(queue, [row(0)])
    client.script_flush()
    (job,) = claim(queue)
    client.script_flush()
    assert queue.settle(LANE, [Settlement(job.lease)]) == frozenset()


def test_a_server_that_was_killed_and_started_again_has_forgotten_all(redis_server: "Server") -> None:
    queue = RedisQueue.from_url(redis_server.url, max_attempts=3)
    fed(queue, [row(0)])
    (job,) = claim(queue)
    redis_server.kill()
    with pytest.raises(QueueUnavailable, match="does not answer"):
        claim(queue, claim_id="c-2")
    redis_server.start()
    assert queue.lanes() == []
    assert queue.settle(LANE, [Settlement(job.lease)]) == {job.lease}
    fed(queue, [row(0)])
    assert rows_of(claim(queue, claim_id="c-2")) == [0]
    queue.close()


def test_threads_claim_and_settle_each_job_once(client: redis.Redis) -> None:
    queue = RedisQueue(client, max_attempts=3)
    total = 2000
    fed(queue, [row(n, cost=n % 7, tenant=f"t{n % 3}") for n in range(total)])
    seen: list[int] = []
    lost: list[Lease] = []

    def work(name: str) -> None:
        n = 0
        while jobs := claim(queue, 32, f"{name}-{n}"):
            seen.extend(rows_of(jobs))
            lost.extend(queue.settle(LANE, [Settlement(job.lease) for job in jobs]))
            n += 1

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(seen) == Counter(range(total))
    assert lost == []
    assert counts(queue) == (0, 0, 0)


@pytest.mark.parametrize("server", ["redis-server", "valkey"])
def test_at_maxmemory_only_feeding_is_refused(servers: Callable[[str], str], server: str) -> None:
    with redis.Redis.from_url(servers(server)) as client:
        client.flushall()
        queue = RedisQueue(client, max_attempts=3)
        fed(queue, [row(0), row(1)])
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(QueueUnavailable, match="full"):
                queue.feed(LANE, "b2", 1, 0, 1, True, [row(5)])
            client.delete(key("ready"))  # to be mended, which takes memory too
            jobs = claim(queue)
            assert queue.beat(LANE, [job.lease for job in jobs], LEASE_MS, ME).lost == frozenset()
            assert queue.release(LANE, [jobs[0].lease]) == frozenset()
            assert queue.settle(LANE, [Settlement(jobs[1].lease)]) == frozenset()
            assert queue.drop(LANE, "b", 1, forget=True) == 1
        finally:
            client.config_set("maxmemory", 0)


@pytest.mark.parametrize("server", ["redis-server", "valkey"])
def test_rescue_and_retry_at_maxmemory_do_not_grow(servers: Callable[[str], str], server: str) -> None:
    """Many lives of a worker, each of which releases, retries and loses jobs; scripts/checks/full_redis.py does so for long."""
    with redis.Redis.from_url(servers(server)) as client:
        client.flushall()
        client.config_set("hash-max-listpack-value", 1)  # a record of one byte more must not change a key's form
        queue = RedisQueue(client, max_attempts=3)
        fed(queue, [row(n) for n in range(60)], at_end=False)
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        sizes = []
        try:
            for life in range(300):
                leases = [job.lease for job in claim(queue, 9, f"w-{life}-0")]
                queue.release(LANE, leases[::2])
                queue.settle(LANE, [Settlement(lease, "retry", 0) for lease in leases[1::2]])
                claim(queue, 5, f"w-{life}-1", lease_ms=1)  # and is heard of no more
                queue.resume(LANE)
                names: list[Any] = [name for name in client.keys("np:1:*") if b":claim:" not in name]
                sizes.append(sum(client.memory_usage(name, samples=0) or 0 for name in names))
                client.delete(*client.keys("*:claim:*"))
            assert sum(counts(queue)) == 60
            with pytest.raises(QueueUnavailable, match="full"):
                queue.feed(LANE, "b", 1, 100, 200, True, [row(99)])
        finally:
            client.config_set("maxmemory", 0)
            client.config_set("hash-max-listpack-value", 64)
    assert max(sizes[250:]) <= max(sizes[150:250]) * 1.02


def test_no_server_is_said_in_one_line_without_the_password() -> None:
    queue = RedisQueue.from_url("redis://user:secret@127.0.0.1:1/0")
    with pytest.raises(QueueUnavailable) as raised:
        queue.ping()
    assert "127.0.0.1:1" in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://nowhere", id="scheme"),
        pytest.param("redis://host:99999/0", id="port"),
        pytest.param("redis://:sec/ret@host:6379/0", id="slash in the password"),
        pytest.param("redis://:sec#ret@host:6379/0", id="hash in the password"),
        pytest.param("redis://:sec?ret=1@host:6379/0", id="question mark in the password"),
        pytest.param("redis://:secret@host:6379/0?timeout=3", id="unknown option"),
        pytest.param("redis://:secret@host:6379/0?ssl_cert_reqs=none", id="option of another scheme"),
        pytest.param("rediss://:secret@host:6379/0?ssl_cert_reqs=maybe", id="option with a wrong value"),
    ],
)
def test_a_wrong_url_is_said_without_any_of_it(url: str) -> None:
    with pytest.raises(QueueUnavailable, match="not a Redis URL") as raised:
        RedisQueue.from_url(url)
    assert "sec" not in str(raised.value)


@pytest.mark.parametrize("options", ["?max_connections=1", "?socket_keepalive=true&db=0"])
def test_options_of_a_url_are_taken(redis_url: str, options: str) -> None:
    queue = RedisQueue.from_url(redis_url + options)
    assert queue.lanes() == []
    queue.close()


@pytest.mark.parametrize("ca", ["none.pem", "."])
def test_a_ca_that_is_no_file_is_said_with_its_setting(tmp_path: Path, ca: str) -> None:
    with pytest.raises(QueueUnavailable, match=r"^NIGHTPRESS_REDIS_CA names no file that can be read: /") as raised:
        RedisQueue.from_url("rediss://:secret@host:6379/0", ca=tmp_path / ca)
    assert "secret" not in str(raised.value)
    RedisQueue.from_url("redis://host:6379/0", ca=tmp_path / ca).close()


def test_a_server_that_hangs_is_noticed_after_a_few_timeouts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        queue = RedisQueue.from_url(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", timeout_s=0.2)
        began = time.monotonic()
        with pytest.raises(QueueUnavailable, match="does not answer"):
            queue.ping()
        assert 0.2 <= time.monotonic() - began < TRIES * 0.2 + 1.5


def test_whoever_waits_for_a_server_that_hangs_is_told_so_once() -> None:
    told: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(QueueUnavailable, match="does not answer"):
            RedisQueue.from_url(f"redis://{place}/0", timeout_s=SLOW_S).ping(told.append)
    assert told == [f"waiting for Redis at {place}, which has not answered yet"]


def test_ping_tells_version_and_memory(servers: Callable[[str], str]) -> None:
    said = RedisQueue.from_url(servers("valkey")).ping(pytest.fail)
    assert {"redis_version", "maxmemory", "maxmemory_policy"} <= said.keys()


def test_check_leaves_nothing(servers: Callable[[str], str]) -> None:
    queue = RedisQueue.from_url(servers("valkey"))
    queue.check()
    with redis.Redis.from_url(servers("valkey")) as client:
        assert not client.exists(PROBE)


def test_check_finds_a_replica(redis_url: str) -> None:
    """One that reads and answers, and takes no writes."""
    queue = RedisQueue.from_url(redis_url)
    with redis.Redis.from_url(redis_url) as client:
        client.replicaof("127.0.0.1", 1)
        assert queue.ping()
        with pytest.raises(QueueUnavailable, match="read only replica") as raised:
            queue.check()
    assert "\n" not in str(raised.value)

"""Shows jobs/lanes/lua/parts/mend.lua and records.lua: lost keys are made again, and damaged records count as lost."""

from collections import Counter
from typing import Any

import pytest
import redis

from jobs.lanes.protocol import Settlement
from jobs.lanes.redis_queue import RedisQueue
from jobs.lanes.scripts import KEYS
from tests.support.lane import LANE, LEASE_MS, ME, claim, counts, expire, fed, key, rename, row, rows_of


def test_ready_members_that_are_damaged_are_made_again(queue: RedisQueue, client: redis.Redis) -> None:
    """The damaged members lack the round and the size of their jobs. A claim removes them, and the next claim makes the lane's
    keys again.
    """
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


@pytest.mark.parametrize("evicted", [name for name in KEYS if name not in ("jobs", "payload", "batches")])
def test_a_key_that_was_evicted_is_mended_from_the_jobs(queue: RedisQueue, client: redis.Redis, evicted: str) -> None:
    """Every row is still claimed once, leases still hold, and the counts of the lane are right again."""
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
    """No job is given out without its payload. The batch then looks drained, so the audit resets it."""
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
    """The leases of these jobs are lost, and every row is claimed again."""
    fed(queue, [row(n) for n in range(4)])
    held, later, *_ = claim(queue, 2)
    queue.settle(LANE, [Settlement(later.lease, "retry", 0)])
    client.delete(key("jobs"))
    assert sorted(rows_of(claim(queue, 10, "c-2"))) == [0, 1, 2, 3]
    assert queue.beat(LANE, [held.lease], LEASE_MS, ME).lost == {held.lease}
    assert queue.settle(LANE, [Settlement(held.lease)]) == {held.lease}
    assert counts(queue) == (0, 0, 4)


@pytest.mark.parametrize(
    "garbage",
    [b"\xff\x00", b"", b"l", b"q|1|1|1|0|4|10|20|7|t|c-1", b"l|1|1|1|0|4|10|20|7|t", b"l|1|1|1|1|4|10|20|7|t|c-1|x"],
)
def test_jobs_whose_records_are_damaged_begin_anew(queue: RedisQueue, client: redis.Redis, garbage: bytes) -> None:
    """Records of leased and delayed jobs are damaged. A damaged record counts as lost, and stops no claim."""
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


def test_what_is_left_of_a_job_is_removed(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(0), row(1)])
    client.hdel(key("payload"), "b/0")
    client.hset(key("jobs"), "b/7", "l|1|1|1|0|4|10|20|7|t|c-0")
    assert rows_of(claim(queue)) == [1]
    assert (client.hkeys(key("jobs")), client.hkeys(key("payload"))) == ([b"b/1"], [b"b/1"])
    assert queue.snapshot(LANE).bytes == len(b'1|4|t|10|1|={"row":1}')


@pytest.mark.parametrize("state", ["delayed", "leased"])
def test_a_job_whose_record_is_gone_begins_anew(queue: RedisQueue, client: redis.Redis, state: str) -> None:
    """The sizes of all keys still agree. The claim that finds the job removes it, and the next claim mends the lane."""
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


def test_a_tenant_that_waits_under_a_wrong_name_is_served(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(0), row(1)])
    client.zrem(key("waits"), "5|t")
    client.zadd(key("waits"), {"5|other": 1})
    assert sorted(rows_of(claim(queue))) == [0, 1]


def test_counts_that_are_wrong_between_states_are_made_again_at_once(queue: RedisQueue, client: redis.Redis) -> None:
    """The counts are wrong as if `counts` came from an earlier moment than the other keys."""
    fed(queue, [row(n) for n in range(6)])
    claim(queue, 3)
    for batch in ("b", ""):
        client.hincrby(key("counts"), f"{batch}|r", 2)
        client.hincrby(key("counts"), f"{batch}|l", -2)
    claim(queue, 1, "c-2")
    assert counts(queue) == (2, 0, 4)


@pytest.mark.parametrize("state", ["r", "l"])
def test_counts_that_are_wrong_between_batches_are_made_again(
    queue: RedisQueue, client: redis.Redis, state: str
) -> None:
    """If the counts stayed wrong, a batch would show live jobs for ever, and would never be published."""
    for batch in ("b", "c"):
        fed(queue, [row(n) for n in range(3)], batch)
    jobs = claim(queue, 6) if state == "l" else []
    client.hincrby(key("counts"), f"b|{state}", 2)
    client.hincrby(key("counts"), f"c|{state}", -2)
    for n_claim in range(3):
        assert not queue.settle(LANE, [Settlement(job.lease) for job in jobs])
        jobs = claim(queue, 6, f"c-{n_claim}")
    live = {batch.batch_id: batch.live for batch in queue.snapshot(LANE).batches.values()}
    assert live == {"b": 0, "c": 0}


def test_leased_jobs_that_are_counted_for_another_tenant_are_counted_again(
    queue: RedisQueue, client: redis.Redis
) -> None:
    fed(queue, [row(n) for n in range(4)])
    jobs = claim(queue, 3)
    client.hincrby(key("flights"), "t", -2)
    client.hincrby(key("flights"), "other", 2)
    queue.settle(LANE, [Settlement(job.lease) for job in jobs[:2]])
    claim(queue, 1, "c-2")
    assert client.hgetall(key("flights")) == {b"t": b"2", b"|": b"2"}

"""A lane under test, and functions to feed it, claim from it, let its leases run out and count its jobs."""

from collections.abc import Sequence
from typing import Any, Final

import redis

from jobs.lanes.job import Job
from jobs.lanes.protocol import FeedRow, WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from tests.faults.model.moved_time import SHORTEN

LANE = "m@1"
LEASE_MS = 60_000
ME = WorkerRecord("w-1", 1, "n-1", LANE, 0)

AGE: Final = """
for _, key in ipairs(redis.call('KEYS', 'np:2:*')) do
  if string.match(key, ':leased$') or string.match(key, ':delayed$') then
    for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      redis.call('ZINCRBY', key, -tonumber(ARGV[1]), member)
    end
  end
  for _, field in ipairs(string.match(key, ':meta$') and {'now', 'silence', 'grace'} or {}) do
    if redis.call('HEXISTS', key, field) == 1 then
      redis.call('HINCRBY', key, field, string.format('%d', -tonumber(ARGV[1])))
    end
  end
end
"""
"""Moves every due time, every expiry and the note of the last call back by the given milliseconds."""


def row(n: int, *, cost: int = 10, priority: int = 4, tenant: str = "t", **fields: Any) -> FeedRow:
    return FeedRow(n, b'{"row":%d}' % n, cost, priority, tenant, **fields)


def fed(queue: RedisQueue, rows: Sequence[FeedRow], batch: str = "b", round_: int = 1, at_end: bool = True) -> None:
    reply = queue.feed(LANE, batch, round_, 0, 100, at_end, rows)
    assert (reply.accepted, reply.refused, reply.cursor) == (True, False, 100)


def claim(queue: RedisQueue, n: int = 10, claim_id: str = "c-1", lease_ms: int = LEASE_MS) -> Sequence[Job]:
    return queue.claim(LANE, claim_id, n, lease_ms, ME).jobs


def rows_of(jobs: Sequence[Job]) -> list[int]:
    return [job.key.row for job in jobs]


def counts(queue: RedisQueue, batch: str = "b") -> tuple[int, int, int]:
    """Return how many jobs of a batch are ready, delayed and leased. If no other batch is on the lane, the lane's sets must
    hold as many.
    """
    snapshot = queue.snapshot(LANE)
    schedule = snapshot.batches[batch]
    if len(snapshot.batches) == 1:
        assert (snapshot.ready, snapshot.delayed, snapshot.leased) == (
            schedule.ready,
            schedule.delayed,
            schedule.leased,
        )
    return schedule.ready, schedule.delayed, schedule.leased


def key(name: str) -> str:
    return f"np:2:{{-/{LANE}}}:{name}"


def expire(client: redis.Redis, queue: RedisQueue, jobs: Sequence[Job]) -> None:
    """Move the expiry of leases into the past."""
    client.zadd(key("leased"), {str(job.key): 1 for job in jobs})


def rename(client: redis.Redis, name: str, field: str, other: str) -> None:
    """Rename a field of a hash. Then the keys of the lane disagree, although all their sizes agree."""
    value = client.hget(key(name), field)
    assert value is not None
    client.hdel(key(name), field)
    client.hset(key(name), other, value)


def pass_ms(client: redis.Redis, ms: int) -> None:
    """Let time pass without a call, or let the clock of Redis jump."""
    client.eval(AGE + SHORTEN, 0, str(ms))

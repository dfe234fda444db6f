"""Shows jobs/lanes/lua/beat.lua: leases are extended, and the reply names the leases that are lost or cancelled."""

import redis

from jobs.lanes.protocol import Settlement
from jobs.lanes.redis_queue import RedisQueue
from tests.support.lane import LANE, LEASE_MS, ME, claim, fed, row


def test_beat_extends_leases_and_returns_the_lost_ones(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(0), row(1)])
    held = [job.lease for job in claim(queue)]
    before = client.zscore(f"np:2:{{-/{LANE}}}:leased", str(held[0].key))
    queue.settle(LANE, [Settlement(held[1])])
    beat = queue.beat(LANE, held, 2 * LEASE_MS, ME)
    assert set(beat.lost) == {held[1]}
    assert set(beat.cancelled) == set()
    after = client.zscore(f"np:2:{{-/{LANE}}}:leased", str(held[0].key))
    assert before is not None
    assert after is not None
    assert after > before


def test_beat_returns_the_cancelled_leases(queue: RedisQueue) -> None:
    fed(queue, [row(0)])
    held = [job.lease for job in claim(queue)]
    assert queue.drop(LANE, "b", 1, forget=False) == 0
    assert queue.beat(LANE, held, LEASE_MS, ME).cancelled == set(held)

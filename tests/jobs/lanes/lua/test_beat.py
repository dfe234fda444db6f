"""Shows jobs/lanes/lua/beat.lua: leases are extended, and the reply names the leases that are lost or cancelled."""

from collections.abc import Callable

import pytest
import redis

from jobs.lanes.protocol import Settlement
from jobs.lanes.redis_queue import RedisQueue
from tests.support.lane import LANE, LEASE_MS, ME, claim, fed, key, row


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


@pytest.mark.parametrize(
    ("gone", "forgotten"),
    [
        pytest.param(lambda queue, _: queue.drop(LANE, "b", 1, forget=True), True, id="its batch has ended"),
        pytest.param(lambda _, client: client.flushall(), False, id="Redis was wiped"),
        pytest.param(
            lambda _, client: client.delete(key("batches"), key("jobs"), key("meta")), False, id="keys are lost"
        ),
        pytest.param(lambda queue, _: fed(queue, [row(0)], round_=2), False, id="a further round was opened"),
    ],
)
def test_a_lease_of_a_batch_that_has_ended_is_forgotten(
    queue: RedisQueue, client: redis.Redis, gone: Callable[..., object], forgotten: bool
) -> None:
    """Settling such a lease does not count it as lost either."""
    fed(queue, [row(0)])
    (job,) = claim(queue)
    gone(queue, client)
    beat = queue.beat(LANE, [job.lease], LEASE_MS, ME)
    assert beat.lost == {job.lease}
    assert set(beat.forgotten) == ({job.lease} if forgotten else set())
    assert queue.settle(LANE, [Settlement(job.lease)]) == beat.lost - beat.forgotten


def test_beat_returns_the_cancelled_leases(queue: RedisQueue) -> None:
    fed(queue, [row(0)])
    held = [job.lease for job in claim(queue)]
    assert queue.drop(LANE, "b", 1, forget=False) == 0
    assert queue.beat(LANE, held, LEASE_MS, ME).cancelled == set(held)

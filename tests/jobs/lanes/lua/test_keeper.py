"""Shows which worker keeps a lane, what it is told, and who wakes the workers that wait (rule 47)."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import redis

from jobs.lanes.protocol import ClaimReply, LanePolicy, Settlement
from jobs.lanes.redis_queue import RedisQueue
from jobs.tenants import TenantSettings
from tests.support.lane import LANE, LEASE_MS, ME, claim, fed, key, pass_ms, row

KEEP_MS = 3_000
SOON_S = 0.02


def asks(queue: RedisQueue, worker: str, n: int = 0, keep_ms: int = KEEP_MS, scope: str = "") -> ClaimReply:
    """Claim under a new id, as a worker that keeps the lane if no other does."""
    claim_id = f"{worker}-1-{next(NUMBERS)}"
    return queue.claim(LANE, claim_id, n, LEASE_MS, replace(ME, worker=worker), keep_ms=keep_ms, scope=scope)


NUMBERS = iter(range(10**6))


def wakes(queue: RedisQueue) -> int:
    """Take all wakes that wait. Returns how many there were."""
    n = 0
    while queue.wait_for_rows(LANE, SOON_S):
        n += 1
    return n


# -- the keeper


def test_the_first_that_claims_keeps_the_lane_and_no_other(queue: RedisQueue) -> None:
    assert [asks(queue, name).keeps for name in ("a", "b", "a", "c")] == [True, False, True, False]


def test_a_keeper_that_no_longer_claims_is_replaced(queue: RedisQueue, client: redis.Redis) -> None:
    assert asks(queue, "a").keeps
    pass_ms(client, KEEP_MS - 500)
    assert not asks(queue, "b").keeps
    assert asks(queue, "a").keeps, "each claim begins the time anew"
    pass_ms(client, KEEP_MS - 500)
    assert not asks(queue, "b").keeps
    pass_ms(client, KEEP_MS)
    assert asks(queue, "b").keeps
    assert not asks(queue, "a").keeps


def test_a_worker_that_asks_for_no_time_gives_the_lane_up(queue: RedisQueue) -> None:
    assert asks(queue, "a").keeps
    assert not asks(queue, "b", keep_ms=0).keeps
    assert not asks(queue, "b").keeps, "another worker's lane is not given up"
    assert not asks(queue, "a", keep_ms=0).keeps
    assert asks(queue, "b").keeps


def test_workers_of_other_batches_have_a_keeper_of_their_own(queue: RedisQueue) -> None:
    assert asks(queue, "a").keeps
    assert asks(queue, "b", scope="some").keeps
    assert not asks(queue, "c", scope="some").keeps
    assert not asks(queue, "c").keeps


def test_a_keeper_that_redis_forgot_is_whoever_claims_next(queue: RedisQueue, client: redis.Redis) -> None:
    assert asks(queue, "a").keeps
    client.delete(key("keeper:"))
    assert asks(queue, "b").keeps
    assert not asks(queue, "a").keeps


def test_an_announcement_changes_the_news(queue: RedisQueue) -> None:
    assert asks(queue, "a").news == ""
    queue.announce(LANE, "night-1")
    first = asks(queue, "a").news
    assert first.partition("|")[2] == "night-1"
    assert asks(queue, "b").news == first
    queue.announce(LANE, "night-2")
    assert asks(queue, "a").news.partition("|")[2] == "night-2"
    assert queue.lanes() == [LANE]


def test_a_reset_is_news_of_its_batch(queue: RedisQueue) -> None:
    """So the keeper reads storage and feeds the rows that the lane has lost, without waiting for its next look."""
    reset(queue)
    assert asks(queue, "a").news.partition("|")[2] == "b"


def test_a_reset_that_changes_nothing_is_no_news(queue: RedisQueue) -> None:
    fed(queue, [row(0)])
    wakes(queue)
    assert not queue.reset(LANE, "b", queue.snapshot(LANE).batches["b"].version)
    assert wakes(queue) == 0
    assert asks(queue, "a", n=0).news == ""


def test_a_claim_counts_the_workers_of_the_lane(queue: RedisQueue) -> None:
    assert [asks(queue, name).workers for name in ("a", "b", "b", "c")] == [1, 2, 2, 3]
    queue.leave(LANE, "b")
    assert asks(queue, "a").workers == 2


# -- wakes


def test_a_worker_that_waits_is_not_woken_without_reason(queue: RedisQueue) -> None:
    asks(queue, "a", n=8)
    assert not queue.wait_for_rows(LANE, SOON_S)


def fed_rows(queue: RedisQueue) -> None:
    fed(queue, [row(n) for n in range(8)])


def released(queue: RedisQueue) -> None:
    fed(queue, [row(0)])
    (job,) = claim(queue)
    wakes(queue)
    queue.release(LANE, [job.lease])


def resumed(queue: RedisQueue) -> None:
    queue.pause(LANE)
    queue.resume(LANE)


def announced(queue: RedisQueue) -> None:
    queue.announce(LANE, "night-1")


def reset(queue: RedisQueue) -> None:
    fed(queue, [row(0)])
    (job,) = claim(queue)
    queue.settle(LANE, [Settlement(job.lease)])
    wakes(queue)
    assert queue.reset(LANE, "b", queue.snapshot(LANE).batches["b"].version)


def left_by_a_claim(queue: RedisQueue) -> None:
    fed_rows(queue)
    wakes(queue)
    assert len(asks(queue, "a", n=7).jobs) == 7


def left_by_a_keeper_without_room(queue: RedisQueue) -> None:
    """The job was delayed, and no other worker has claimed since it is due."""
    fed(queue, [row(0)])
    (job,) = claim(queue)
    queue.settle(LANE, [Settlement(job.lease, "retry", 0)])
    wakes(queue)
    asks(queue, "a", n=0)


def made_room_under_a_cap(queue: RedisQueue) -> None:
    fed_rows(queue)
    (job,) = asks(queue, "a", n=1).jobs
    wakes(queue)
    queue.settle(LANE, [Settlement(job.lease)])


@pytest.mark.parametrize(
    "leave_rows",
    [
        *(fed_rows, released, resumed, announced, reset),
        *(left_by_a_claim, left_by_a_keeper_without_room, made_room_under_a_cap),
    ],
)
def test_whoever_leaves_rows_wakes_two(queue: RedisQueue, leave_rows: Callable[[RedisQueue], None]) -> None:
    leave_rows(queue)
    assert wakes(queue) == 2


def test_suspects_wake_a_worker_without_jobs(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(0), row(1)])
    assert len(asks(queue, "dead", n=2).jobs) == 2
    wakes(queue)
    pass_ms(client, LEASE_MS - 1_000)
    asks(queue, "other", n=0)
    pass_ms(client, 2_000)
    asks(queue, "busy", n=0)
    assert queue.snapshot(LANE).suspects == 2
    assert wakes(queue) == 2


def test_a_claim_that_takes_all_wakes_nobody(queue: RedisQueue) -> None:
    fed_rows(queue)
    wakes(queue)
    assert len(asks(queue, "a", n=8).jobs) == 8
    assert wakes(queue) == 0


def test_rows_that_may_not_be_claimed_wake_nobody(client: redis.Redis) -> None:
    """Otherwise workers would wake each other as long as a tenant is at its cap, or the lane is paused."""
    queue = RedisQueue(client, policy=LanePolicy(tenants={"t": TenantSettings(rows_in_flight=3)}))
    fed_rows(queue)
    assert len(asks(queue, "a", n=8).jobs) == 3
    wakes(queue)
    assert len(asks(queue, "b", n=8).jobs) == 0
    assert wakes(queue) == 0
    queue.pause(LANE)
    asks(queue, "c", n=0)
    assert wakes(queue) == 0


def test_wakes_that_nobody_takes_do_not_grow(queue: RedisQueue, client: redis.Redis) -> None:
    for n in range(20):
        queue.feed(LANE, "b", 1, n, n + 1, False, [row(n)])
    assert client.llen(key("wake")) == 2


def test_a_snapshot_without_workers_has_the_same_batches(queue: RedisQueue) -> None:
    fed_rows(queue)
    asks(queue, "a", n=2)
    whole = queue.snapshot(LANE)
    assert [worker.worker for worker in whole.workers] == ["a"]
    assert queue.snapshot(LANE, workers=False) == replace(whole, workers=[])

"""Shows jobs/lanes/lua/parts/turns.lua: tenants take turns by weight and cap, and groups that wait gain priority."""

from collections import Counter
from typing import Any

import pytest
import redis

from jobs.lanes.protocol import LanePolicy, Settlement
from jobs.lanes.redis_queue import RedisQueue
from jobs.tenants import TenantSettings
from tests.support.lane import LANE, claim, counts, expire, fed, key, row, rows_of

PRIORITY_AGING_S = 600.0


def queue_with(client: redis.Redis, **tenants: TenantSettings) -> RedisQueue:
    return RedisQueue(client, max_attempts=3, policy=LanePolicy(priority_aging_s=PRIORITY_AGING_S, tenants=tenants))


def not_served_for(client: redis.Redis, group: str, seconds: float) -> None:
    """Move the time of a group's last turn into the past."""
    assert client.zscore(key("waits"), group) is not None
    client.zincrby(key("waits"), -int(seconds * 1000), group)


@pytest.mark.parametrize("n", [1, 7, 64])
def test_work_is_shared_by_weight(client: redis.Redis, n: int) -> None:
    """The rows of the three tenants have different lengths. The weights hold for any size of a claim."""
    queue = queue_with(client, b=TenantSettings(weight=2), c=TenantSettings(weight=4))
    costs = {"a": 100, "b": 10, "c": 50}
    place = {"a": 0, "b": 1000, "c": 2000}
    fed(queue, [row(place[name] + i, cost=cost, tenant=name) for name, cost in costs.items() for i in range(900)])
    work: Counter[str] = Counter()
    for turn in range(1000):
        for job in claim(queue, n, f"c-{turn}"):
            name = "abc"[job.key.row // 1000]
            work[name] += costs[name]
        if work.total() >= 12_000:
            break
    assert work["b"] / work["a"] == pytest.approx(2, rel=0.15)
    assert work["c"] / work["a"] == pytest.approx(4, rel=0.15)


def test_a_tenant_at_its_cap_is_passed_over_until_a_row_ends(client: redis.Redis) -> None:
    queue = queue_with(client, a=TenantSettings(rows_in_flight=2))
    fed(queue, [row(n, tenant="a", cost=99 - n) for n in range(5)] + [row(10 + n, tenant="b") for n in range(3)])
    first = claim(queue, 10, "w-1-0")
    assert sorted(rows_of(first)) == [0, 1, 10, 11, 12]
    assert rows_of(claim(queue, 10, "w-1-1")) == []
    queue.settle(LANE, [Settlement(job.lease) for job in first if job.key.row == 0])
    assert rows_of(claim(queue, 10, "w-1-2")) == [2]
    queue.release(LANE, [job.lease for job in first if job.key.row == 1])
    assert rows_of(claim(queue, 10, "w-1-3")) == [1]


def test_a_tenant_at_its_cap_that_is_alone_is_not_served_and_goes_on_waiting(client: redis.Redis) -> None:
    queue = queue_with(client, a=TenantSettings(rows_in_flight=2))
    fed(queue, [row(n, tenant="a", priority=4) for n in range(5)])
    assert len(claim(queue, 10, "w-1-0")) == 2
    not_served_for(client, "5|a", 2 * PRIORITY_AGING_S)
    waits = client.zscore(key("waits"), "5|a")
    assert rows_of(claim(queue, 10, "w-1-1")) == []
    assert client.zscore(key("waits"), "5|a") == waits


@pytest.mark.parametrize("evicted", ["flights", "meta", "leased"])
def test_a_cap_holds_also_after_a_lost_key(client: redis.Redis, evicted: str) -> None:
    queue = queue_with(client, a=TenantSettings(rows_in_flight=2))
    fed(queue, [row(n, tenant="a") for n in range(5)])
    assert len(claim(queue, 10, "w-1-0")) == 2
    client.delete(key(evicted))
    assert rows_of(claim(queue, 10, "w-1-1")) == []


def test_a_burial_needs_no_room(client: redis.Redis) -> None:
    queue = queue_with(client, a=TenantSettings(rows_in_flight=1))
    fed(queue, [row(0, tenant="a"), row(1, tenant="a", solo_crashes=2, crashes=2)])
    assert sorted(rows_of(claim(queue, 10, "w-1-0"))) == [1]
    expire(client, queue, claim(queue, 10, "w-1-0"))
    assert [job.burial for job in claim(queue, 1, "w-1-1")] == [True]


def test_a_group_that_waits_gains_priority_for_a_turn(client: redis.Redis) -> None:
    queue = queue_with(client)
    fed(queue, [row(n, priority=6) for n in range(4)] + [row(10 + n, priority=4, tenant="old") for n in range(4)])
    assert rows_of(claim(queue, 1, "w-1-0")) == [0]
    not_served_for(client, "5|old", 2 * PRIORITY_AGING_S - 1)
    assert rows_of(claim(queue, 1, "w-1-1")) == [1]
    not_served_for(client, "5|old", PRIORITY_AGING_S)
    assert rows_of(claim(queue, 1, "w-1-2")) == [10]
    assert rows_of(claim(queue, 2, "w-1-3")) == [2, 3]


def test_the_time_of_the_last_turn_is_forgotten_with_the_last_row(client: redis.Redis) -> None:
    queue = queue_with(client)
    fed(queue, [row(0)])
    assert client.zscore(key("waits"), "5|t") is not None
    claim(queue)
    assert client.zscore(key("waits"), "5|t") is None
    assert counts(queue) == (0, 0, 1)


@pytest.mark.parametrize("n", [1, 3, 10, 64])
def test_tenants_take_turns_by_expected_work(queue: RedisQueue, n: int) -> None:
    """A tenant of long rows gets as much work done as one of short rows, for any size of a claim."""
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

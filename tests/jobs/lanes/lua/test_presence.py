"""Shows jobs/lanes/lua/parts/presence.lua: workers are shown, and get a grace after a silence of all of them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import redis

from jobs.lanes.job import Job
from jobs.lanes.protocol import ClaimReply, LanePolicy, Settlement, WorkerRecord
from jobs.lanes.records import worker_bytes
from jobs.lanes.redis_queue import RedisQueue
from tests.support.lane import LANE, LEASE_MS, ME, counts, fed, key, pass_ms, row

GRACE_MS = 15_000
OUTAGE_MS = LEASE_MS + 2_000
HOUR_MS = 3_600_000
WORKERS = [replace(ME, worker=f"w-{n}") for n in range(LanePolicy().pause_after_deaths)]


def claims(queue: RedisQueue, worker: WorkerRecord, n: int, time: int = 0) -> ClaimReply:
    """Claim for a worker that has only one incarnation."""
    return queue.claim(LANE, f"{worker.worker}-1-{time}", n, LEASE_MS, worker)


def beats(queue: RedisQueue, worker: WorkerRecord, jobs: Sequence[Job]) -> None:
    assert queue.beat(LANE, [job.lease for job in jobs], LEASE_MS, worker).lost == frozenset()


@pytest.fixture
def in_hand(queue: RedisQueue) -> dict[str, Sequence[Job]]:
    """The jobs of each worker. The deaths of all these workers would pause the lane."""
    fed(queue, [row(n) for n in range(100)])
    return {worker.worker: claims(queue, worker, 10).jobs for worker in WORKERS}


@pytest.mark.parametrize("ms", [pytest.param(OUTAGE_MS, id="an outage"), pytest.param(HOUR_MS, id="the clock jumped")])
@pytest.mark.parametrize("first", ["claim", "beat"])
def test_after_an_outage_no_living_worker_loses_a_lease(
    queue: RedisQueue, client: redis.Redis, in_hand: dict[str, Sequence[Job]], ms: int, first: str
) -> None:
    """The first call after the outage is a claim or a beat."""
    pass_ms(client, ms)
    if first == "beat":
        beats(queue, WORKERS[0], in_hand["w-0"])
    for worker in WORKERS:
        reply = claims(queue, worker, 1, time=1)
        assert [(job.crashes, job.suspect) for job in reply.jobs] == [(0, False)]
        assert not reply.paused
    for worker in WORKERS:
        beats(queue, worker, in_hand[worker.worker])
    pass_ms(client, GRACE_MS + 1)
    assert not claims(queue, WORKERS[0], 1, time=2).paused
    assert not client.exists(key("crashed"))
    for jobs in in_hand.values():
        assert queue.settle(LANE, [Settlement(job.lease) for job in jobs]) == frozenset()


def test_jobs_of_a_worker_that_died_in_an_outage_are_rescued_after_the_grace(
    queue: RedisQueue, client: redis.Redis, in_hand: dict[str, Sequence[Job]]
) -> None:
    pass_ms(client, OUTAGE_MS)
    for worker in WORKERS[1:]:
        beats(queue, worker, in_hand[worker.worker])
    pass_ms(client, GRACE_MS - 1_000)
    assert [job.rescued for job in claims(queue, WORKERS[1], 1, time=1).jobs] == [False]
    pass_ms(client, 1_001)
    jobs = claims(queue, WORKERS[1], 10, time=2).jobs
    assert {(job.rescued, job.lost[0]) for job in jobs} <= {(True, job.lease) for job in in_hand["w-0"]}
    assert len(jobs) == len(in_hand["w-0"]) // 2, "the first half of what was lost together"


def test_the_death_of_the_only_worker_needs_no_grace(queue: RedisQueue, client: redis.Redis) -> None:
    """The worker that replaces it claims before the leases of the dead worker run out."""
    fed(queue, [row(0)])
    claims(queue, WORKERS[0], 1)
    pass_ms(client, LEASE_MS - 1_000)
    assert claims(queue, WORKERS[1], 1).jobs == []
    pass_ms(client, 1_001)
    assert [job.rescued for job in claims(queue, WORKERS[1], 1, time=1).jobs] == [True]


def test_workers_that_die_at_once_and_are_replaced_late_pause_the_lane(queue: RedisQueue, client: redis.Redis) -> None:
    """Each worker dies in its grace. The grace covers only leases that ran out in the silence before it."""
    fed(queue, [row(n) for n in range(100)])
    lives = 0
    while not claims(queue, replace(ME, worker=f"w-{lives}"), 5).paused:
        lives += 1
        assert lives < 20
        pass_ms(client, OUTAGE_MS)
    assert lives == LanePolicy().pause_after_deaths + 1


def test_outages_alone_bury_no_row(queue: RedisQueue, client: redis.Redis) -> None:
    """One worker lives through all outages, and holds one job."""
    fed(queue, [row(0)])
    held = claims(queue, ME, 1).jobs
    for time in range(1, 5):
        pass_ms(client, OUTAGE_MS)
        assert claims(queue, ME, 1, time).jobs == []
        beats(queue, ME, held)
    assert counts(queue) == (0, 0, 1)


def test_a_grace_does_not_wait_for_a_clock_that_was_set_back(queue: RedisQueue, client: redis.Redis) -> None:
    """The clock jumped ahead, which began a grace. Now it is right again, so the time of the last call lies in the future."""
    fed(queue, [row(0)])
    claims(queue, WORKERS[0], 1)
    pass_ms(client, HOUR_MS)
    assert claims(queue, WORKERS[1], 1).jobs == []
    pass_ms(client, -HOUR_MS)
    assert claims(queue, WORKERS[1], 1, time=1).jobs == []
    pass_ms(client, GRACE_MS + 1)
    assert [job.rescued for job in claims(queue, WORKERS[1], 1, time=2).jobs] == [True]


def test_a_worker_that_beats_first_after_the_clock_was_set_back_keeps_its_leases(
    queue: RedisQueue, client: redis.Redis, in_hand: dict[str, Sequence[Job]]
) -> None:
    """The other workers keep their leases too. Each lease lasts as long as it would have lasted without the change of the
    clock.
    """
    pass_ms(client, -HOUR_MS)
    beats(queue, WORKERS[0], in_hand["w-0"])
    assert [job.rescued for job in claims(queue, WORKERS[1], 1, time=1).jobs] == [False]
    seconds, _ = client.time()
    expiries: list[Any] = client.zrange(key("leased"), 0, -1, withscores=True)
    left_ms = [expiry - int(seconds) * 1000 for _, expiry in expiries]
    assert 0 < min(left_ms) <= max(left_ms) <= LEASE_MS + 1_000
    for worker in WORKERS:
        beats(queue, worker, in_hand[worker.worker])


def test_a_lane_that_lost_its_note_of_the_last_call_gives_each_lease_a_new_term(
    queue: RedisQueue, client: redis.Redis, in_hand: dict[str, Sequence[Job]]
) -> None:
    pass_ms(client, OUTAGE_MS)
    client.delete(key("meta"))
    assert [job.rescued for job in claims(queue, WORKERS[0], 1, time=1).jobs] == [False]
    for worker in WORKERS:
        beats(queue, worker, in_hand[worker.worker])


@pytest.mark.parametrize("server", ["redis-server", "valkey"])
def test_at_maxmemory_a_grace_is_given_too(servers: Callable[[str], str], server: str) -> None:
    with redis.Redis.from_url(servers(server)) as client:
        client.flushall()
        queue = RedisQueue(client, max_attempts=3)
        fed(queue, [row(0), row(1)])
        held = claims(queue, WORKERS[0], 1).jobs
        pass_ms(client, OUTAGE_MS)
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        try:
            assert [job.rescued for job in claims(queue, WORKERS[1], 1).jobs] == [False]
            beats(queue, WORKERS[0], held)
        finally:
            client.config_set("maxmemory", 0)


def test_a_beat_shows_the_worker_and_silence_hides_it(queue: RedisQueue, client: redis.Redis) -> None:
    queue.beat(LANE, [], LEASE_MS, ME)
    assert queue.snapshot(LANE).workers == [ME]
    now_ms = int(client.time()[0]) * 1000
    record = worker_bytes(ME).decode()
    client.hset(f"np:2:{{-/{LANE}}}:workers", "w-1", f"{now_ms + 9_000}|{now_ms - 12_000}|{record}")
    (silent,) = queue.snapshot(LANE).workers
    assert 12 <= silent.silent_s <= 14
    assert replace(silent, silent_s=0) == ME
    client.hset(f"np:2:{{-/{LANE}}}:workers", "w-1", "1|1|{}")
    assert queue.snapshot(LANE).workers == []


@pytest.mark.parametrize("first", ["claim", "beat"])
def test_a_new_worker_removes_records_that_are_a_day_old(queue: RedisQueue, client: redis.Redis, first: str) -> None:
    """Each start of a fleet leaves a few records. A damaged record is removed too."""
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

"""Shows jobs/lanes/lua/parts/rescue.lua and the suspects of claim.lua: jobs whose worker died are run apart, or buried."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest
import redis

from jobs.lanes.job import Job
from jobs.lanes.protocol import LanePolicy, Settlement
from jobs.lanes.redis_queue import RedisQueue
from tests.support.lane import LANE, LEASE_MS, ME, claim, counts, expire, fed, key, row, rows_of

PAUSE_AFTER_DEATHS = LanePolicy().pause_after_deaths
BUSY = replace(ME, running=3)


def lost(queue: RedisQueue, client: redis.Redis, n: int, claim_id: str = "dead-1-0") -> Sequence[Job]:
    """Return jobs that were claimed by a worker that then died."""
    jobs = claim(queue, n, claim_id)
    expire(client, queue, jobs)
    return jobs


def settled(queue: RedisQueue, jobs: Sequence[Job]) -> None:
    assert queue.settle(LANE, [Settlement(job.lease) for job in jobs]) == frozenset()


@pytest.mark.parametrize(
    ("size", "halves"),
    [
        pytest.param(1, [1], id="one"),
        pytest.param(2, [1, 1], id="two"),
        pytest.param(5, [3, 2], id="odd"),
        pytest.param(8, [4, 4], id="even"),
    ],
)
def test_jobs_lost_together_are_claimed_apart_in_halves(
    queue: RedisQueue, client: redis.Redis, size: int, halves: list[int]
) -> None:
    fed(queue, [row(n) for n in range(size)])
    before = lost(queue, client, size)
    seen: list[int] = []
    for n, half in enumerate(halves):
        jobs = claim(queue, 64, f"w-1-{n}")
        assert [(job.suspect, job.attempt, job.crashes, job.solo_crashes) for job in jobs] == [(True, 1, 1, 0)] * half
        assert {job.lost for job in jobs} <= {(job.lease,) for job in before}
        seen += rows_of(jobs)
        settled(queue, jobs)
    assert sorted(seen) == list(range(size))
    assert counts(queue) == (0, 0, 0)


def test_workers_that_died_apart_make_groups_of_their_own(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(n, cost=9 - n) for n in range(4)])
    lost(queue, client, 2, "dead-1-0")
    fresh = queue.claim(LANE, "dead-2-0", 2, LEASE_MS, BUSY)
    assert (list(fresh.jobs), fresh.apart) == ([], True)
    assert queue.snapshot(LANE).suspects == 2


def test_an_idle_worker_gets_suspects_and_other_jobs_in_turn(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(n, cost=90 - n) for n in range(8)])
    lost(queue, client, 4)
    turns = [claim(queue, 2, f"w-1-{n}") for n in range(4)]
    assert [[job.suspect for job in jobs] for jobs in turns] == [[True] * 2, [False] * 2, [True] * 2, [False] * 2]
    assert [rows_of(jobs) for jobs in turns] == [[0, 1], [4, 5], [2, 3], [6, 7]]


def test_one_busy_worker_at_a_time_is_asked_to_become_idle(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(n, cost=90 - n) for n in range(6)])
    lost(queue, client, 2)
    asked = queue.claim(LANE, "w-1-0", 2, LEASE_MS, BUSY)
    assert (list(asked.jobs), asked.apart) == ([], True)
    other = queue.claim(LANE, "w-2-0", 2, LEASE_MS, replace(BUSY, worker="w-2"))
    assert (rows_of(other.jobs), other.apart) == ([2, 3], False)
    assert queue.claim(LANE, "w-1-1", 2, LEASE_MS, BUSY).apart
    client.hset(key("meta"), "apart", "w-1|1")  # this worker never came back
    assert queue.claim(LANE, "w-2-1", 2, LEASE_MS, replace(BUSY, worker="w-2")).apart


def test_a_suspect_that_did_not_crash_is_no_suspect_any_more(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(0)])
    lost(queue, client, 1)
    (job,) = claim(queue, 5, "w-1-0")
    queue.settle(LANE, [Settlement(job.lease, "retry", 0)])
    (again,) = claim(queue, 5, "w-1-1")
    assert (again.suspect, again.attempt, again.crashes, again.rescued) == (False, 2, 1, False)


def test_released_suspects_stay_together(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(n) for n in range(4)])
    lost(queue, client, 4)
    jobs = claim(queue, 5, "w-1-0")
    for job in jobs:
        assert queue.release(LANE, [job.lease]) == frozenset()
    assert queue.snapshot(LANE).suspects == 4
    again = claim(queue, 5, "w-1-1")
    assert rows_of(again) == rows_of(jobs)
    assert [(job.suspect, job.attempt) for job in again] == [(True, 1)] * 2


def test_after_two_crashes_alone_a_job_is_buried_and_a_lost_burial_is_another(
    queue: RedisQueue, client: redis.Redis
) -> None:
    fed(queue, [row(0)])
    for n, (solo, was_solo) in enumerate([(0, False), (0, False), (1, True)]):
        (job,) = lost(queue, client, 1, f"dead-{n}-0")
        assert (job.burial, job.attempt, job.crashes, job.solo_crashes, job.lost_solo) == (False, 1, n, solo, was_solo)
    for n in range(2):
        (job,) = lost(queue, client, 1, f"burial-{n}-0")
        assert (job.burial, job.crashes, job.solo_crashes, job.lost_solo) == (True, 3, 2, True)
    (job,) = claim(queue, 1, "burial-2-0")
    assert claim(queue, 1, "burial-2-0") == [job]
    settled(queue, [job])
    assert counts(queue) == (0, 0, 0)


def test_a_suspect_that_was_last_of_several_in_hand_did_not_crash_alone(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(n) for n in range(4)])
    lost(queue, client, 4)
    first, second = claim(queue, 5, "dead-2-0")
    settled(queue, [first])
    expire(client, queue, [second])
    claim(queue, 5, "w-1-0")  # the other half of the jobs that were lost together
    (job,) = claim(queue, 5, "w-1-1")
    assert (job.key, job.crashes, job.solo_crashes) == (second.key, 2, 0)


def test_a_row_fed_with_two_crashes_alone_is_buried(queue: RedisQueue) -> None:
    fed(queue, [row(0, crashes=5, solo_crashes=2), row(1, cost=1, crashes=5, solo_crashes=1)])
    assert [(job.burial, job.crashes, job.solo_crashes) for job in claim(queue)] == [(True, 5, 2), (False, 5, 1)]


def test_suspects_of_a_closed_batch_are_taken_off(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(n) for n in range(4)])
    lost(queue, client, 4)
    jobs = claim(queue, 5, "w-1-0")
    assert queue.drop(LANE, "b", 1, forget=False) == 2
    assert queue.snapshot(LANE).suspects == 0
    assert queue.release(LANE, [job.lease for job in jobs]) == frozenset()
    assert counts(queue) == (0, 0, 0)


@pytest.mark.parametrize("evicted", ["suspects", "ready", "counts", "meta", "crashed", "leased"])
def test_suspects_are_mended_with_their_groups(queue: RedisQueue, client: redis.Redis, evicted: str) -> None:
    fed(queue, [row(n) for n in range(6)])
    lost(queue, client, 6)
    assert rows_of(claim(queue, 5, "w-1-0")) == [0, 1, 2]
    client.delete(key(evicted))
    jobs = claim(queue, 5, "w-1-1")
    assert [(job.key.row, job.suspect) for job in jobs] == [(3, True), (4, True), (5, True)]
    assert counts(queue) == (0, 0, 6)


@dataclass
class Deaths:
    """Workers that die of a guilty row, and finish all other rows."""

    queue: RedisQueue
    client: redis.Redis
    guilty: set[int]
    in_hand: int = 256
    deaths: int = 0
    done: set[int] = field(default_factory=set)
    buried: set[int] = field(default_factory=set)
    lives: Iterator[int] = field(default_factory=itertools.count)

    def work(self) -> None:
        """Let workers work until no job is left, or until the lane is paused."""
        for n in self.lives:
            reply = self.queue.claim(LANE, f"w-{n}-0", self.in_hand, LEASE_MS, ME)
            if not reply.jobs:
                return
            burials = [job for job in reply.jobs if job.burial]
            jobs = [job for job in reply.jobs if not job.burial]
            self.buried.update(rows_of(burials))
            settled(self.queue, burials)
            if self.guilty.intersection(rows_of(jobs)):
                self.deaths += 1
                expire(self.client, self.queue, jobs)
            else:
                self.done.update(rows_of(jobs))
                settled(self.queue, jobs)


@pytest.mark.parametrize("guilty", [0, 100, 255])
def test_one_guilty_row_of_256_fails_alone(queue: RedisQueue, client: redis.Redis, guilty: int) -> None:
    fed(queue, [row(n) for n in range(256)])
    night = Deaths(queue, client, {guilty})
    night.work()
    assert (night.buried, night.done) == ({guilty}, {*range(256)} - {guilty})
    assert night.deaths == 10  # 8 deaths with ever smaller groups, and 2 of the guilty row alone
    assert not queue.snapshot(LANE).paused


def test_five_guilty_of_1000_do_not_pause_the_lane(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(n) for n in range(1000)])
    guilty = {3, 140, 141, 600, 999}
    night = Deaths(queue, client, guilty, in_hand=64)
    night.work()
    assert (night.buried, night.done) == (guilty, {*range(1000)} - guilty)
    assert not queue.snapshot(LANE).paused


def test_when_every_row_crashes_the_lane_pauses_and_nothing_is_buried(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(n) for n in range(300)])
    night = Deaths(queue, client, set(range(300)), in_hand=64)
    night.work()
    assert (night.deaths, night.buried) == (PAUSE_AFTER_DEATHS, set())
    snapshot = queue.snapshot(LANE)
    assert (snapshot.paused, snapshot.ready) == (True, 300)
    assert snapshot.reason.startswith("workers died 5 times in a row")
    assert queue.claim(LANE, "w-99-0", 5, LEASE_MS, ME).reason == snapshot.reason
    queue.resume(LANE)
    assert (queue.snapshot(LANE).paused, queue.snapshot(LANE).reason) == (False, "")
    night.guilty = set()
    night.work()
    assert len(night.done) == 300


def test_the_lane_pauses_rather_than_bury(queue: RedisQueue, client: redis.Redis) -> None:
    """Without the pause, the last death would have been the second solo crash of this job, and would have buried it."""
    fed(queue, [row(0), row(1)])
    night = Deaths(queue, client, {0, 1})
    night.work()
    assert (night.deaths, night.buried) == (PAUSE_AFTER_DEATHS, {0})
    assert queue.snapshot(LANE).paused
    queue.resume(LANE)
    (job,) = claim(queue, 5, "w-9-0")
    assert (job.key.row, job.burial, job.solo_crashes) == (1, False, 1)


def test_finished_rows_between_deaths_keep_the_lane_going(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(n) for n in range(64)])
    for n in range(2 * PAUSE_AFTER_DEATHS):
        lost(queue, client, 1, f"dead-{n}-0")
        settled(queue, claim(queue, 1, f"w-{n}-0"))
    assert not queue.snapshot(LANE).paused


def test_an_operators_pause_gives_no_reason(queue: RedisQueue) -> None:
    queue.pause(LANE)
    assert (queue.snapshot(LANE).paused, queue.snapshot(LANE).reason) == (True, "")


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

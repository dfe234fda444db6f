"""Shows jobs/lanes/lua/release.lua: releasing a job counts no attempt."""

from jobs.lanes.redis_queue import RedisQueue
from tests.support.lane import LANE, claim, counts, fed, row


def test_a_release_costs_no_attempt(queue: RedisQueue) -> None:
    fed(queue, [row(0)])
    (job,) = claim(queue)
    assert queue.release(LANE, [job.lease]) == frozenset()
    assert queue.release(LANE, [job.lease]) == {job.lease}
    (again,) = claim(queue, claim_id="c-2")
    assert again.attempt == 1


def test_a_job_of_a_closed_batch_is_removed_when_it_is_released(queue: RedisQueue) -> None:
    fed(queue, [row(0)])
    (job,) = claim(queue)
    queue.drop(LANE, "b", 1, forget=False)
    assert queue.release(LANE, [job.lease]) == frozenset()
    assert counts(queue) == (0, 0, 0)


def test_a_released_burial_is_still_a_burial(queue: RedisQueue) -> None:
    fed(queue, [row(0, attempts=3)])
    (job,) = claim(queue)
    assert queue.release(LANE, [job.lease]) == frozenset()
    assert [job.burial for job in claim(queue, claim_id="c-2")] == [True]

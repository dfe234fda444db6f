"""Shows jobs/lanes/lua/reset.lua: the cursor goes back to 0 only if nothing changed since the caller looked."""

from jobs.lanes.protocol import Settlement
from jobs.lanes.redis_queue import RedisQueue
from tests.support.lane import LANE, claim, fed, row


def test_reset_only_at_the_end_with_nothing_live_and_unchanged(queue: RedisQueue) -> None:
    def version() -> int:
        return queue.snapshot(LANE).batches["b"].version

    assert not queue.reset(LANE, "b", 1)  # the lane does not know the batch
    fed(queue, [row(0)], at_end=False)
    queue.settle(LANE, [Settlement(job.lease) for job in claim(queue)])
    assert not queue.reset(LANE, "b", version())  # the cursor is not at the end
    assert queue.feed(LANE, "b", 1, 100, 200, True, [row(1)]).accepted
    assert not queue.reset(LANE, "b", version())  # the batch has a live job
    queue.settle(LANE, [Settlement(job.lease) for job in claim(queue, claim_id="c-2")])
    assert not queue.reset(LANE, "b", version() + 1)  # the batch has changed meanwhile
    seen = version()
    assert queue.reset(LANE, "b", seen)
    schedule = queue.snapshot(LANE).batches["b"]
    assert (schedule.cursor, schedule.at_end) == (0, False)
    assert schedule.version != seen
    fed(queue, [])
    queue.drop(LANE, "b", 1, forget=False)
    assert queue.snapshot(LANE).batches["b"].at_end
    assert not queue.reset(LANE, "b", version())  # the batch is closed

"""Shows `pause` and `resume` of jobs/commands/control.py."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import fakeredis

from jobs.lanes.redis_queue import RedisQueue
from tests.support.command_line import Ran

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


def test_a_lane_is_paused_and_goes_on(nightpress: Callable[..., Ran]) -> None:
    queue = RedisQueue(fakeredis.FakeRedis())
    assert nightpress("pause", "stub", given_queue=queue).status == 0
    assert queue.snapshot("stub").paused
    assert nightpress("resume", "stub", given_queue=queue).status == 0
    assert not queue.snapshot("stub").paused
    ran = nightpress("pause", "stbu", given_queue=queue)
    assert ran.status == 2
    assert "no lane 'stbu': did you mean stub?" in ran.err


def test_a_lane_goes_on_although_a_batch_begins_with_its_name(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    queue = RedisQueue(fakeredis.FakeRedis())
    shelf.accept("stub-1a")
    queue.pause("stub")
    ran = nightpress("resume", "stub", given_queue=queue)
    assert (ran.status, queue.snapshot("stub").paused) == (0, False), ran.err

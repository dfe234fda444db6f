"""Shows jobs/operations/cancellation.py."""

from typing import TYPE_CHECKING, Any

import fakeredis
import pytest

from jobs.batches.rounds import close
from jobs.errors import NoBatch, QueueUnavailable, RequestError
from jobs.lanes.protocol import FeedRow
from jobs.lanes.redis_queue import RedisQueue
from jobs.operations.cancellation import cancel

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


def test_the_marker_is_written_before_rows_are_taken_off_the_queue(shelf: Shelf) -> None:
    """If rows were taken off first, a feeder that runs in between would put them back."""
    closed: list[bool] = []

    class Watched(RedisQueue):
        def drop(self, *args: Any, **options: Any) -> int:
            closed.append(shelf.store.exists("batches/night-1/closed-1.json"))
            return super().drop(*args, **options)

    shelf.accept(rows=3)
    queue = Watched(fakeredis.FakeRedis())
    queue.feed("stub", "night-1", 1, 0, 1, True, [FeedRow(row, b"{}", 1, 4, "default") for row in range(3)])
    found = cancel(shelf.store, lambda: queue, "night-1", shelf.clock)
    assert closed == [True]
    assert (found.reason, found.at, found.dropped, found.queue_fault) == ("cancelled", shelf.now, 3, None)
    again = cancel(shelf.store, lambda: queue, "night-1", shelf.clock)
    assert (again.reason, again.dropped) == ("cancelled", 0)


def test_a_batch_is_cancelled_also_when_the_queue_cannot_be_opened(shelf: Shelf) -> None:
    def opened() -> RedisQueue:
        raise QueueUnavailable("NIGHTPRESS_REDIS_URL is not a Redis URL")

    shelf.accept(rows=3)
    found = cancel(shelf.store, opened, "night-1", shelf.clock)
    assert (found.dropped, found.queue_fault) == (None, "NIGHTPRESS_REDIS_URL is not a Redis URL")
    assert shelf.store.exists("batches/night-1/closed-1.json")


def test_a_batch_that_has_expired_before_is_expired(shelf: Shelf) -> None:
    shelf.accept(rows=3)
    expired_at = close(shelf.store, "night-1", "expired", clock=shelf.clock).at
    shelf.pass_s(60)
    found = cancel(shelf.store, lambda: None, "night-1", shelf.clock)
    assert (found.reason, found.at, found.dropped) == ("expired", expired_at, None)


def test_a_published_batch_has_nothing_left_to_cancel(shelf: Shelf) -> None:
    shelf.accept(rows=1)
    shelf.write("night-1", [shelf.completed(0)])
    shelf.publish()
    with pytest.raises(RequestError, match="is published already"):
        cancel(shelf.store, lambda: None, "night-1")
    with pytest.raises(NoBatch):
        cancel(shelf.store, lambda: None, "another")

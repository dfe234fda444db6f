"""Shows `cancel` of jobs/commands/control.py."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import fakeredis
import orjson

from jobs.lanes.protocol import FeedRow
from jobs.lanes.redis_queue import RedisQueue
from tests.support.command_line import Ran

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


def test_cancel_without_a_queue_leaves_the_marker_that_decides(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    shelf.accept(rows=2)
    ran = nightpress("cancel", "night-1")
    assert (ran.status, ran.out) == (0, "")
    assert orjson.loads(shelf.store.read("batches/night-1/closed-1.json"))["reason"] == "cancelled"
    ran = nightpress("publish", "night-1")
    assert ran.status == 1
    assert "2 cancelled" in ran.err


def test_cancel_takes_waiting_rows_off_the_queue(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    queue = RedisQueue(fakeredis.FakeRedis())
    shelf.accept(rows=3)
    rows = [FeedRow(row, b"{}", cost=1, priority=4, tenant="default") for row in range(3)]
    queue.feed("stub", "night-1", 1, 0, 1, True, rows)
    ran = nightpress("cancel", "night-1", given_queue=queue)
    assert (ran.status, ran.out) == (0, "")
    assert "3 waiting rows were taken off the queue" in ran.err
    assert queue.snapshot("stub").ready == 0
    assert queue.snapshot("stub").batches["night-1"].closed, "so that its leased rows are stopped too"
    assert nightpress("status", "--json", given_queue=queue).json()["batches"][0]["state"] == "cancelling"


def test_cancel_holds_also_when_the_queue_is_away(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    server = fakeredis.FakeServer()
    server.connected = False
    shelf.accept(rows=3)
    ran = nightpress("cancel", "night-1", given_queue=RedisQueue(fakeredis.FakeRedis(server=server)))
    assert ran.status == 0
    assert "the queue learns of it later" in ran.err
    assert shelf.store.exists("batches/night-1/closed-1.json")

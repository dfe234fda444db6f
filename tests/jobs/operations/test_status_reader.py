"""Shows jobs/operations/status_reader.py: counts, rates and expected end of an open batch, and the exact published figures of a
published batch.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import fakeredis
import pytest

from jobs.batches.batch import BatchPaths
from jobs.batches.rounds import close, reopen
from jobs.errors import NoBatch, RequestError, StoreDamaged
from jobs.lanes.protocol import FeedRow, Settlement, WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from jobs.operations.listing import Choice, listing
from jobs.operations.rate import first_started
from jobs.operations.status_reader import FORGET_AFTER, StatusReader
from jobs.store.store import Store
from jobs.usage import Usage
from tests.support.night import chats
from tests.support.outcomes import RECEIPT, completed
from tests.support.timed_night import TimedNight

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any

START = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)


def test_without_a_queue_storage_alone_says_how_far_a_batch_is(shelf: Shelf) -> None:
    shelf.accept(rows=6, refused=[5])
    shelf.write("night-1", [shelf.completed(0), shelf.completed(1), shelf.failed(2), shelf.failed(3, final=False)])
    now = StatusReader(shelf.store, None, clock=shelf.clock).read(["night-1"])
    (one,) = now.batches
    assert (one.state, one.round, one.rows, one.completed, one.failed, one.waiting) == ("open", 1, 6, 2, 2, 2)
    assert one.usage == shelf.completed(0).usage + shelf.completed(1).usage
    assert (now.workers, now.queue_fault) == ([], "NIGHTPRESS_REDIS_URL names no queue to ask")


def test_the_cost_of_an_open_batch_is_in_the_currency_of_its_rows(shelf: Shelf) -> None:
    shelf.accept(rows=3)
    reader = StatusReader(shelf.store, None, clock=shelf.clock)
    assert reader.batch("night-1").currency == "USD"
    shelf.write("night-1", [shelf.completed(0)])
    shelf.write("night-1", [shelf.priced(1, "EUR")])
    assert reader.batch("night-1").currency == "EUR"


def test_a_reader_goes_on_from_what_it_has_read(shelf: Shelf) -> None:
    shelf.accept(rows=100)
    reader = StatusReader(shelf.store, None, clock=shelf.clock)
    assert reader.batch("night-1").rows_per_s is None
    shelf.pass_s(10)
    shelf.write("night-1", [shelf.completed(row) for row in range(20)])
    one = reader.batch("night-1")
    assert (one.completed, one.rows_per_s, one.tokens_per_s) == (20, 2.0, 20.0)
    assert one.expected_end == shelf.now + timedelta(seconds=40)


def test_one_look_gives_the_mean_since_the_first_row_was_started(shelf: Shelf) -> None:
    shelf.accept(rows=30, refused=[29])
    shelf.write("night-1", [shelf.completed(row) for row in range(20)])
    shelf.pass_s(10)
    one = StatusReader(shelf.store, None, clock=shelf.clock).batch("night-1")
    assert (one.rows_per_s, one.tokens_per_s) == (2.0, 20.0)
    assert one.expected_end is None, "nobody can be seen at work, so nobody knows when it will be done"


def test_the_first_row_is_looked_for_in_the_first_segments_of_each_worker(shelf: Shelf) -> None:
    batch = shelf.accept(rows=4)
    earlier = {"started_at": "2026-11-23T21:00:00.000Z"}
    shelf.write("night-1", [shelf.completed(0, receipt=earlier)], worker="zoe-stub-0")
    # Only the first segments of each worker are looked at. By their names, these ten come before the segment of zoe.
    for _ in range(10):
        shelf.write("night-1", [shelf.completed(1)], worker="amy-stub-0")
    assert first_started(shelf.store, BatchPaths(batch.batch_id)) == START - timedelta(hours=1)
    shelf.accept("none-yet")
    assert first_started(shelf.store, BatchPaths("none-yet")) is None


def test_at_the_end_every_number_is_the_published_one(shelf: Shelf) -> None:
    shelf.accept(rows=5, refused=[4])
    reader = StatusReader(shelf.store, None, clock=shelf.clock)
    # Row 0 has two completed lines: while the batch is open both are seen, and only the winner is published.
    shelf.write("night-1", [shelf.completed(0), shelf.completed(1), shelf.failed(2)])
    shelf.write("night-1", [shelf.completed(0)], worker="v")
    assert reader.batch("night-1").usage.prompt_tokens == 100 + 101 + 100
    close(shelf.store, "night-1", "cancelled", clock=shelf.clock)
    assert reader.batch("night-1").state == "cancelling"
    shelf.pass_s(60)
    done = shelf.publish()
    one = reader.batch("night-1")
    assert (one.state, one.completed, one.failed, one.cancelled, one.expired) == ("published", 2, 2, 1, 0)
    assert (one.ready, one.delayed, one.leased, one.waiting) == (0, 0, 0, 0)
    assert one.usage == shelf.completed(0).usage + shelf.completed(1).usage
    assert one.wasted.prompt_tokens == 100
    assert (one.published_at, one.expected_end) == (done.at, None)
    assert one == StatusReader(shelf.store, None).batch("night-1"), "and a reader that saw nothing before says the same"


def test_late_attempts_are_counted_apart_and_change_no_published_number(shelf: Shelf) -> None:
    shelf.accept(rows=3)
    shelf.write("night-1", [shelf.completed(0), shelf.failed(1)])
    shelf.write("night-1", [shelf.completed(2), shelf.completed(0)], worker="v")
    reader = StatusReader(shelf.store, None, clock=shelf.clock, counts_late=True)
    assert reader.batch("night-1").late is None, "nothing can be late yet"
    shelf.publish()
    before = reader.batch("night-1")
    assert before.late == Usage()
    shelf.write("night-1", [shelf.completed(1)])
    shelf.write("night-1", [shelf.priced(0, "EUR")])
    now = reader.batch("night-1")
    assert before.currency == "USD"
    assert now.late == shelf.completed(1).usage + replace(shelf.completed(0).usage, device_cost=0, charge=0)
    assert replace(now, late=Usage()) == before
    assert StatusReader(shelf.store).batch("night-1").late is None, "nobody has asked"
    reopen(shelf.store, "night-1", clock=shelf.clock)
    shelf.publish()
    again = reader.batch("night-1")
    assert (again.completed, again.late) == (3, Usage()), "a late attempt completes its row in the next round"
    assert again.wasted.prompt_tokens == before.wasted.prompt_tokens + now.late.prompt_tokens - 101


def test_published_numbers_are_read_also_where_a_late_segment_is_damaged(shelf: Shelf) -> None:
    shelf.accept(rows=1)
    shelf.write("night-1", [shelf.completed(0)])
    shelf.publish()
    shelf.store.create(BatchPaths("night-1").segment(f"w-1-000099-{'0' * 64}.jsonl"), b"{}\n")
    faults: list[StoreDamaged] = []
    now = StatusReader(shelf.store, None, clock=shelf.clock, counts_late=True).read(["night-1"], faults)
    assert [(one.completed, one.late) for one in now.batches] == [(1, None)]
    assert len(faults) == 1


WORKER = WorkerRecord("w-stub-0", 4711, "node-1", "stub", 1)


@pytest.fixture
def queue() -> RedisQueue:
    return RedisQueue(fakeredis.FakeRedis())


def feed(queue: RedisQueue, rows: int, batch_id: str = "night-1", round_: int = 1) -> None:
    fed = [FeedRow(row, b"{}", cost=10, priority=4, tenant="default") for row in range(rows)]
    assert queue.feed("stub", batch_id, round_, 0, 1, False, fed).accepted


def test_the_queue_knows_the_waiting_rows_and_the_workers(shelf: Shelf, queue: RedisQueue) -> None:
    shelf.accept(rows=10)
    reader = StatusReader(shelf.store, queue, clock=shelf.clock)
    one = reader.batch("night-1")
    assert (one.state, one.waiting) == ("queued", 10), "the queue has not heard of it yet"
    feed(queue, 5)
    jobs = queue.claim("stub", "claim", 3, 60_000, WORKER).jobs
    queue.settle("stub", [Settlement(jobs[0].lease, "retry", 60_000)])
    queue.settle("stub", [Settlement(jobs[1].lease)])
    shelf.write("night-1", [shelf.completed(jobs[1].key.row)])
    shelf.pass_s(10)
    now = reader.read(["night-1"])
    (one,) = now.batches
    assert (one.state, one.ready, one.delayed, one.leased, one.waiting, one.completed) == ("running", 2, 1, 1, 5, 1)
    assert one.rows_per_s == 0.1
    assert one.expected_end == shelf.now + timedelta(seconds=90)
    assert (now.workers, now.queue_fault) == ([WORKER], None)


def test_a_batch_at_work_has_an_expected_end_at_the_first_look(shelf: Shelf, queue: RedisQueue) -> None:
    shelf.accept(rows=10)
    feed(queue, 10)
    queue.claim("stub", "claim", 3, 60_000, WORKER)
    shelf.write("night-1", [shelf.completed(0)])
    shelf.pass_s(10)
    one = StatusReader(shelf.store, queue, clock=shelf.clock).batch("night-1")
    assert one.expected_end == shelf.now + timedelta(seconds=90)


def test_the_expected_end_is_reckoned_in_expected_tokens_without_the_loading_of_the_model(night: TimedNight) -> None:
    """Each of two slots makes a token a second. After 30 s two short rows have ended, and a long row and a middle one run.

    Before that, the reader saw the model load for 100 s. Half of the rows are done, but 100 of 120 tokens are left.
    """
    batch = night.accept([*chats(2, max_tokens=10), *chats(1, max_tokens=80), *chats(1, max_tokens=20)])
    assert [lane.cost for lane in batch.lanes.values()] == [120]
    reader = StatusReader(night.store, night.queue, clock=night.now)
    for _ in range(10):
        assert reader.batch(batch.batch_id).expected_end is None
        night.clock.pass_s(10)
    jobs, began = night.claim(), night.now()
    night.clock.pass_s(30)
    receipt = {**RECEIPT, "started_at": began.isoformat()}
    night.finish(jobs[:2], lambda lease: completed(lease, cost=10, receipt=receipt))
    worker = replace(WORKER, slots=2, begun=2, began_at=began.timestamp() + (0 + 20) / 2)
    night.queue.beat("stub", [job.lease for job in jobs[2:]], 60_000, worker)
    one = reader.batch(batch.batch_id)
    assert (one.state, one.completed, one.rows_per_s) == ("running", 2, 2 / 30)
    assert one.expected_end == began + timedelta(seconds=30 + (120 - 20 - 40) / 2)


def test_a_batch_is_paused_with_its_lane(shelf: Shelf, queue: RedisQueue) -> None:
    shelf.accept(rows=10)
    feed(queue, 5)
    reader = StatusReader(shelf.store, queue, clock=shelf.clock)
    assert reader.batch("night-1").state == "queued"
    queue.pause("stub")
    assert reader.batch("night-1").state == "paused"
    queue.resume("stub")
    assert reader.batch("night-1").state == "queued"


def test_counts_of_an_older_round_on_the_queue_are_ignored(shelf: Shelf, queue: RedisQueue) -> None:
    shelf.accept(rows=2)
    feed(queue, 2)
    shelf.write("night-1", [shelf.completed(0), shelf.failed(1)])
    shelf.publish()
    reopen(shelf.store, "night-1", clock=shelf.clock)
    one = StatusReader(shelf.store, queue, clock=shelf.clock).batch("night-1")
    assert (one.round, one.ready, one.waiting) == (2, 0, 1)


def test_storage_answers_alone_when_the_queue_does_not(shelf: Shelf) -> None:
    server = fakeredis.FakeServer()
    server.connected = False
    shelf.accept(rows=2)
    now = StatusReader(shelf.store, RedisQueue(fakeredis.FakeRedis(server=server))).read(["night-1"])
    assert now.batches[0].state == "open"
    assert now.queue_fault is not None
    assert "does not answer" in now.queue_fault


@pytest.mark.parametrize("reason", ["cancelled", "expired"])
def test_a_closed_batch_is_on_its_way_to_its_end(reason: Any, shelf: Shelf) -> None:
    shelf.accept()
    close(shelf.store, "night-1", reason)
    expected = {"cancelled": "cancelling", "expired": "expiring"}[reason]
    assert StatusReader(shelf.store).batch("night-1").state == expected


def test_a_batch_whose_rows_all_have_outcomes_waits_for_a_publisher(shelf: Shelf) -> None:
    shelf.accept(rows=1)
    shelf.write("night-1", [shelf.completed(0)])
    assert StatusReader(shelf.store).batch("night-1").state == "publishing"


def test_a_reopened_batch_is_open_again_and_keeps_what_completed(shelf: Shelf) -> None:
    shelf.accept(rows=2)
    shelf.write("night-1", [shelf.completed(0), shelf.failed(1)])
    reader = StatusReader(shelf.store, None, clock=shelf.clock)
    shelf.publish()
    assert reader.batch("night-1").state == "published"
    reopen(shelf.store, "night-1", clock=shelf.clock)
    one = reader.batch("night-1")
    assert (one.state, one.round, one.completed, one.failed, one.waiting) == ("open", 2, 1, 0, 1)


def test_open_batches_are_listed_first_and_then_the_newest_that_were_published(shelf: Shelf) -> None:
    for number, batch_id in enumerate(["b", "a", "d", "c"]):
        shelf.pass_s(60)
        shelf.accept(batch_id, 1)
        if number < 3:
            shelf.write(batch_id, [shelf.completed(0)])
            shelf.publish(batch_id)
    shelf.pass_s(60)
    shelf.accept("0-the-youngest", 1)
    shelf.store.create("batches/no-batch-yet/input/stub.jsonl", b"")
    assert listing(shelf.store, Choice(published=2)).ids == ["c", "0-the-youngest", "d", "a"]


def test_a_batch_that_is_not_there_is_a_wrong_request(shelf: Shelf) -> None:
    with pytest.raises(RequestError, match="no batch"):
        StatusReader(shelf.store).batch("nothing")


@pytest.mark.parametrize("reason", ["", "workers died"])
def test_a_paused_lane_is_named_with_its_reason(shelf: Shelf, fake_client: fakeredis.FakeRedis, reason: str) -> None:
    queue = RedisQueue(fake_client)
    queue.pause("stub")
    fake_client.hset("np:2:{-/stub}:meta", "reason", reason)
    now = StatusReader(shelf.store, queue, clock=shelf.clock).read([])
    assert (now.paused, now.as_dict()["paused"]) == ({"stub": reason}, {"stub": reason})


class Gate:
    """A store in which each listing of segments waits a moment for a second listing at the same time. `met` tells whether a
    second listing came.
    """

    def __init__(self, inner: Store) -> None:
        self._inner, self._both, self.met = inner, threading.Barrier(2), False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def list(self, folder: str) -> list[str]:
        if folder.endswith("/segments"):
            with suppress(threading.BrokenBarrierError):
                self._both.wait(0.5)
                self.met = True
        return self._inner.list(folder)


def test_threads_may_share_a_reader(shelf: Shelf) -> None:
    """Only one thread at a time reads the new segments of a batch, so that no segment is counted twice."""
    shelf.accept(rows=2)
    shelf.write("night-1", [shelf.completed(0)])
    store = Gate(shelf.store)
    reader = StatusReader(cast("Store", store), None, clock=shelf.clock)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(reader.batch, ["night-1"] * 4))
    assert [(one.completed, one.usage) for one in found] == [(1, shelf.completed(0).usage)] * 4
    assert not store.met


def test_a_reader_forgets_what_nobody_asks_for(shelf: Shelf) -> None:
    for batch_id in ("published", "deleted", "left"):
        shelf.accept(batch_id, rows=1)
    reader = StatusReader(shelf.store, None, clock=shelf.clock)
    reader.read(["published", "deleted", "left"])
    assert sorted(reader._watched) == ["deleted", "left", "published"]
    shelf.write("published", [shelf.completed(0)])
    shelf.publish("published")
    assert reader.batch("published").state == "published"
    shelf.store.delete("batches/deleted")
    with pytest.raises(NoBatch):
        reader.batch("deleted")
    assert list(reader._watched) == ["left"]
    shelf.accept("other", rows=1)
    shelf.pass_s(FORGET_AFTER.total_seconds() + 1)
    reader.batch("other")
    assert list(reader._watched) == ["other"]


def test_a_batch_that_was_made_anew_is_read_anew(shelf: Shelf) -> None:
    shelf.accept(rows=2)
    shelf.write("night-1", [shelf.completed(0)])
    reader = StatusReader(shelf.store, None, clock=shelf.clock)
    assert reader.batch("night-1").completed == 1
    shelf.store.delete("batches/night-1")
    shelf.pass_s(1)
    shelf.accept(rows=2)
    assert reader.batch("night-1").completed == 0

"""Shows jobs/lanes/feed.py and jobs/publishing/sweeper.py: storage decides which rows are on the lane."""

import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import redis

from jobs.batches.batch import Batch, BatchPaths, Done
from jobs.batches.open_batches import OpenBatches
from jobs.batches.published import verify
from jobs.batches.request_row import RowRequest
from jobs.batches.rounds import close, reopen
from jobs.batches.segments.line import Outcome
from jobs.batches.segments.segment import write
from jobs.errors import RowError, StoreDamaged, StoreUnavailable
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.lanes import feed
from jobs.lanes.feed import Feeder
from jobs.lanes.job import InputSlice, Job, JobKey, Lease
from jobs.lanes.protocol import FeedReply, LaneSnapshot, Settlement, WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from jobs.lanes.requests import load_request
from jobs.lanes.window import LEAST_ROWS
from jobs.publishing.publish import publish
from jobs.publishing.retention import delete_batch
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.checksum import with_checksum
from jobs.store.local import LocalStore
from jobs.store.opening import open_store

LANE = "stub"
KINDS = load_kinds()
ME = WorkerRecord("w-1", 1, "n-1", LANE, 0)
EVENING = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)


class Desk:
    """A store, a queue, and a feeder between them."""

    def __init__(self, folder: Path, client: redis.Redis, **settings: Any) -> None:
        self.settings = Settings(model="stub", max_attempts=3, **settings)
        self.store = open_store(str(folder))
        self.queue = RedisQueue(client, max_attempts=3)
        self.batches = OpenBatches(self.store, batch_scan_s=0.0)
        self.now = 0.0
        self.feeder = Feeder(self.store, self.queue, self.batches, self.settings, monotonic=lambda: self.now)
        self.segments = 0

    def accept(self, rows: int, name: str = "b", **options: Any) -> Batch:
        lines = b"".join(b'{"kind":"chat","prompt":"%s"}\n' % (b"x" * (n + 1)) for n in range(rows))
        made = accept(
            self.store,
            io.BytesIO(lines),
            IntakeOptions(name=name, **options),
            kinds=KINDS,
            settings=self.settings,
            run_key="k",
        )
        self.batches.scan()
        return made.batch

    def top_up(self) -> int:
        return self.feeder.top_up(LANE)

    def snapshot(self) -> LaneSnapshot:
        return self.queue.snapshot(LANE)

    def claim(self, n: int = 100, claim_id: str = "c-1") -> Sequence[Job]:
        return self.queue.claim(LANE, claim_id, n, 60_000, ME).jobs

    def write(self, batch: Batch, *outcomes: Outcome) -> None:
        self.segments += 1
        write(self.store, BatchPaths(batch.batch_id), outcomes, "w", "i", self.segments)

    def complete(self, batch: Batch, rows: Sequence[int], round_: int = 1) -> None:
        self.write(batch, *(outcome(row, round=round_) for row in rows))

    def sweeper(self) -> Sweeper:
        return Sweeper(self.store, self.queue, self.batches, self.settings.prices, clock=lambda: EVENING)


def outcome(row: int, **fields: Any) -> Outcome:
    line = Outcome(row, 1, 1, "c", "completed", True, "chat", output={"text": "x"}, model="stub")
    return replace(line, **fields)


@pytest.fixture
def desk(tmp_path: Path, fake_client: redis.Redis) -> Desk:
    return Desk(tmp_path, fake_client)


# -- the window


class Opened(LocalStore):
    """A store that remembers which files were opened as streams."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.opened: list[str] = []

    @contextmanager
    def reader(self, path: str) -> Iterator[BinaryIO]:
        self.opened.append(path)
        with super().reader(path) as file:
            yield file


@pytest.mark.parametrize(
    ("bound", "value", "steps"),
    [
        pytest.param("CHUNK_ROWS", 3, 4, id="rows"),
        pytest.param("CHUNK_BYTES", 1, 10, id="bytes, but at least a row"),
    ],
)
def test_the_input_is_opened_once_for_all_steps_of_feeding(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, bound: str, value: int, steps: int
) -> None:
    monkeypatch.setattr(feed, bound, value)
    taken: list[int] = []
    take = desk.queue.feed

    def count(*args: Any, **kwargs: Any) -> FeedReply:
        taken.append(len(args[6]))
        return take(*args, **kwargs)

    monkeypatch.setattr(desk.queue, "feed", count)
    batch = desk.accept(10)
    store = Opened(desk.store.url)
    assert Feeder(store, desk.queue, desk.batches, desk.settings).top_up(LANE) == 10
    assert (len(taken), sum(taken)) == (steps, 10)
    assert store.opened == [BatchPaths(batch.batch_id).input(LANE)]
    assert sorted(load_request(store, batch.batch_id, LANE, job).row for job in desk.claim()) == list(range(10))


def test_a_small_batch_is_fed_whole_and_once(desk: Desk) -> None:
    batch = desk.accept(10)
    assert desk.top_up() == 10
    assert desk.top_up() == 0
    schedule = desk.snapshot().batches[batch.batch_id]
    assert (schedule.at_end, schedule.cursor, schedule.ready) == (True, batch.lanes[LANE].bytes, 10)
    rows = [load_request(desk.store, batch.batch_id, LANE, job) for job in desk.claim()]
    assert sorted(row.row for row in rows) == list(range(10))
    assert {len(row.request["prompt"]) for row in rows} == set(range(1, 11))


def test_the_window_bounds_the_rows_and_the_next_top_up_goes_on(tmp_path: Path, fake_client: redis.Redis) -> None:
    desk = Desk(tmp_path, fake_client, window_rows=100)
    desk.accept(250)
    assert (desk.top_up(), desk.snapshot().ready) == (100, 100)
    assert desk.feeder.top_up(LANE, ready=100) == 0
    jobs = desk.claim(100)
    desk.queue.settle(LANE, [Settlement(job.lease) for job in jobs])
    assert (desk.top_up(), desk.top_up()) == (100, 0)
    desk.queue.settle(LANE, [Settlement(job.lease) for job in desk.claim(100, "c-2")])
    assert desk.top_up() == 50


def test_bytes_bound_the_window_too(tmp_path: Path, fake_client: redis.Redis) -> None:
    desk = Desk(tmp_path, fake_client, window_bytes=1 << 16)
    desk.accept(600)
    desk.top_up()
    desk.top_up()
    assert desk.snapshot().bytes < 2 * (1 << 16)
    assert 0 < desk.snapshot().ready < 600


def test_an_urgent_batch_gets_its_part_in_a_full_window(tmp_path: Path, fake_client: redis.Redis) -> None:
    desk = Desk(tmp_path, fake_client, window_rows=100)
    desk.accept(200, "first")
    desk.top_up()
    urgent = desk.accept(150, "urgent", priority=9)
    assert desk.top_up() == 100
    assert {job.key.batch_id for job in desk.claim(20)} == {urgent.batch_id}


def test_a_lane_more_than_half_full_is_looked_at_from_time_to_time(tmp_path: Path, fake_client: redis.Redis) -> None:
    """A batch gets its part at the next look, and gets more rows when less than half of its part waits."""
    desk = Desk(tmp_path, fake_client, window_rows=100, batch_scan_s=2.0)
    desk.accept(300, "first")
    desk.top_up()
    urgent = desk.accept(130, "urgent", priority=9)
    assert desk.feeder.top_up(LANE, ready=100) == 100
    desk.queue.settle(LANE, [Settlement(job.lease) for job in desk.claim(60)])
    assert desk.snapshot().batches[urgent.batch_id].ready == 40
    desk.now = 1.9
    assert desk.feeder.top_up(LANE, ready=100) == 0
    desk.now = 2.0
    assert desk.feeder.top_up(LANE, ready=100) == 30


def test_a_batch_whose_part_was_claimed_is_fed_at_once_for_a_hungry_caller(
    tmp_path: Path, fake_client: redis.Redis
) -> None:
    """A hungry caller feeds the batch at once, and other callers feed it at the next look."""
    desk = Desk(tmp_path, fake_client, window_rows=100, batch_scan_s=2.0)
    desk.accept(300, "first")
    desk.top_up()
    urgent = desk.accept(300, "urgent", priority=9)
    assert desk.feeder.top_up(LANE, ready=100) == 100
    assert len(desk.claim(100)) == 100
    assert desk.feeder.top_up(LANE, ready=100) == 0
    assert desk.feeder.top_up(LANE, ready=100, hungry=True) == 100
    assert desk.feeder.top_up(LANE, ready=100, hungry=True) == 0
    assert {job.key.batch_id for job in desk.claim(100, "c-2")} == {urgent.batch_id}
    desk.now = 2.0
    assert desk.feeder.top_up(LANE, ready=100) == 100


def test_a_claim_says_that_it_took_the_last_of_a_batch_that_goes_on(tmp_path: Path, fake_client: redis.Redis) -> None:
    desk = Desk(tmp_path, fake_client, window_rows=10)
    desk.accept(15)
    desk.top_up()
    claims = [desk.queue.claim(LANE, f"c-{n}", 5, 60_000, ME) for n in range(2)]
    assert [reply.dry for reply in claims] == [False, True]
    desk.top_up()
    assert not desk.queue.claim(LANE, "c-3", 5, 60_000, ME).dry, "no row of it is left to feed"


def test_a_lane_with_nothing_left_to_feed_is_looked_at_from_time_to_time(
    tmp_path: Path, fake_client: redis.Redis
) -> None:
    """A new batch is fed at once. A queue that has forgotten its rows is noticed at the next look."""
    desk = Desk(tmp_path, fake_client, window_rows=100, batch_scan_s=2.0)
    desk.accept(10, "first")
    assert desk.top_up() == 10
    assert desk.feeder.top_up(LANE, ready=10) == 0
    fake_client.flushall()
    desk.now = 1.9
    assert desk.feeder.top_up(LANE, ready=0) == 0
    desk.accept(5, "second")
    desk.now = 1.95
    assert desk.feeder.top_up(LANE, ready=0) == 15
    fake_client.flushall()
    assert desk.feeder.top_up(LANE, ready=0) == 0
    desk.now = 4.0
    assert desk.feeder.top_up(LANE, ready=0) == 15


def test_each_open_batch_has_its_part(tmp_path: Path, fake_client: redis.Redis) -> None:
    desk = Desk(tmp_path, fake_client, window_rows=100)
    desk.accept(97, "first")
    desk.top_up()
    desk.accept(100, "second")
    desk.accept(10, "third")
    assert desk.top_up() == 50 + 10
    assert desk.top_up() == 0


def test_many_open_batches_do_not_fill_the_queue(tmp_path: Path, fake_client: redis.Redis) -> None:
    desk = Desk(tmp_path, fake_client, window_rows=20)
    batches = [desk.accept(15, f"b{n}") for n in range(8)]
    desk.top_up()
    snapshot = desk.snapshot()
    assert [snapshot.batches[one.batch_id].ready for one in batches] == [15, *[LEAST_ROWS] * 7]
    assert desk.top_up() == 0


def test_another_feeder_may_have_moved_the_cursor(tmp_path: Path, fake_client: redis.Redis) -> None:
    one, other = Desk(tmp_path, fake_client, window_rows=100), Desk(tmp_path, fake_client, window_rows=100)
    one.accept(150)
    other.batches.scan()
    assert one.top_up() == 100
    one.queue.settle(LANE, [Settlement(job.lease) for job in one.claim(100)])
    assert other.top_up() == 50
    assert one.top_up() == 0
    assert one.snapshot().ready == 50


def test_rows_that_have_outcomes_by_now_are_not_fed_when_others_moved_the_cursor_back(
    tmp_path: Path, fake_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between this feeder's look and its feed, the rows of its earlier feed are done, and the queue forgets everything."""
    desk = Desk(tmp_path, fake_client, window_rows=5)
    batch = desk.accept(10)
    assert desk.top_up() == 5
    desk.queue.settle(LANE, [Settlement(job.lease) for job in desk.claim()])
    feed_rows = desk.queue.feed

    def forgotten(*args: Any, **options: Any) -> FeedReply:
        monkeypatch.undo()
        desk.complete(batch, range(5))
        fake_client.flushall()
        return feed_rows(*args, **options)

    monkeypatch.setattr(desk.queue, "feed", forgotten)
    assert desk.top_up() == 5
    assert sorted(job.key.row for job in desk.claim(claim_id="c-2")) == [5, 6, 7, 8, 9]


def test_long_requests_stay_in_storage(tmp_path: Path, fake_client: redis.Redis) -> None:
    desk = Desk(tmp_path, fake_client, inline_bytes=0)
    batch = desk.accept(3)
    desk.top_up()
    jobs = desk.claim()
    assert all(isinstance(job.payload, InputSlice) for job in jobs)
    assert sorted(load_request(desk.store, batch.batch_id, LANE, job).row for job in jobs) == [0, 1, 2]


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"{torn", id="not json"),
        pytest.param(b"[]", id="not an object"),
        pytest.param(with_checksum(b'{"row":1,"colour":1}'), id="another form"),
        pytest.param(RowRequest(0, 1, "chat", "m", {}).to_line(), id="another row"),
        pytest.param(
            RowRequest(1, 2, "chat", LANE, {"prompt": "no"}).to_line().replace(b'"no"', b'"yes"'), id="other JSON"
        ),
        pytest.param(InputSlice(10**9, 5), id="beyond the file"),
    ],
)
def test_a_request_that_the_queue_has_damaged_is_read_from_storage(desk: Desk, payload: bytes | InputSlice) -> None:
    batch = desk.accept(3)
    job = Job(Lease(JobKey(batch.batch_id, 1), 1, 1, "c"), payload)
    assert load_request(desk.store, batch.batch_id, LANE, job).request["prompt"] == "xx"
    damage(desk, batch, 1)
    with pytest.raises(RowError) as raised:
        load_request(desk.store, batch.batch_id, LANE, job)
    assert raised.value.code == "bad_record"


def torn(line: bytes) -> bytes:
    """Return a line that is not JSON."""
    return b"\xff" * (len(line) - 1) + b"\n"


def other_text(line: bytes) -> bytes:
    """Return the line with another text for the same row."""
    return line.replace(b'"prompt":"x', b'"prompt":"y')


def other_row(line: bytes) -> bytes:
    """Return the line with the row number 0."""
    return re.sub(rb'"row":\d+', b'"row":0', line)


def damage(desk: Desk, batch: Batch, *rows: int, into: Callable[[bytes], bytes] = torn) -> None:
    """Spoil the stored requests of these rows."""
    path = Path(desk.store.url) / BatchPaths(batch.batch_id).input(LANE)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(into(line) if n in rows else line for n, line in enumerate(lines)))


@pytest.mark.parametrize("into", [torn, other_text, other_row], ids=lambda into: into.__name__)
def test_rows_whose_stored_requests_are_damaged_fail_and_harm_no_other(
    desk: Desk, capsys: pytest.CaptureFixture[str], into: Callable[[bytes], bytes]
) -> None:
    """The damaged rows are not fed. After the batch was fed from storage once more, the audit finds no line that holds these
    rows.
    """
    batch = desk.accept(5)
    damage(desk, batch, 1, 4, into=into)
    sweeper = desk.sweeper()
    desk.top_up()
    jobs = desk.claim()
    assert [job.key.row for job in jobs] == [0, 2, 3]
    desk.complete(batch, [0, 2, 3])
    desk.queue.settle(LANE, [Settlement(job.lease) for job in jobs])
    sweeper.sweep()
    desk.top_up()
    assert desk.claim(claim_id="c-2") == []
    sweeper.sweep()
    assert "batch.damaged" in capsys.readouterr().out
    desk.top_up()
    sweeper.sweep()
    assert sweeper.published[batch.batch_id].counts == {"completed": 3, "failed": 2, "cancelled": 0, "expired": 0}
    assert verify(desk.store, batch.batch_id) == []


# -- rebuilding from storage


def test_what_redis_forgot_is_fed_again_without_the_rows_that_have_an_outcome(
    desk: Desk, fake_client: redis.Redis
) -> None:
    batch = desk.accept(10)
    desk.top_up()
    desk.complete(batch, [0, 3])
    desk.write(
        batch,
        outcome(4, status="failed", final=True, error={"code": "empty_output"}, output=None),
        outcome(5, status="failed", final=False, error={"code": "generation_failed"}, output=None),
        outcome(6, status="crashed", final=False, output=None),
    )
    fake_client.flushall()
    assert desk.top_up() == 7
    jobs = {job.key.row: job for job in desk.claim()}
    assert sorted(jobs) == [1, 2, 5, 6, 7, 8, 9]
    assert {row: (job.attempt, job.crashes) for row, job in jobs.items() if row in (5, 6, 7)} == {
        5: (2, 0),
        6: (1, 1),
        7: (1, 0),
    }


def test_a_feeder_reads_storage_before_it_feeds_a_batch_that_another_opened_anew(
    tmp_path: Path, fake_client: redis.Redis
) -> None:
    """A queue that forgot everything counts versions from 1 again, so the version does not show that the batch was
    opened anew.
    """
    one, other = Desk(tmp_path, fake_client, window_rows=10), Desk(tmp_path, fake_client, window_rows=2)
    batch = one.accept(14)
    assert one.top_up() == 10
    one.queue.settle(LANE, [Settlement(job.lease) for job in one.claim()])
    assert one.top_up() == 4
    one.complete(batch, range(2, 10))
    fake_client.flushall()
    other.batches.scan()
    assert other.top_up() == 2
    one.now = one.settings.batch_scan_s
    assert one.top_up() == 4
    assert sorted(job.key.row for job in one.claim(claim_id="c-2")) == [0, 1, 10, 11, 12, 13]


def test_a_reopened_batch_is_fed_with_the_rows_that_did_not_complete(desk: Desk) -> None:
    batch = desk.accept(4)
    desk.top_up()
    desk.claim()
    desk.complete(batch, [0, 2])
    desk.write(batch, *(outcome(row, status="failed", error={"code": "empty_output"}, output=None) for row in (1, 3)))
    assert isinstance(publish(desk.store, batch.batch_id, prices=desk.settings.prices), Done)
    desk.queue.drop(LANE, batch.batch_id, 1, forget=True)
    desk.batches.scan()
    assert list(desk.batches) == [] or desk.top_up() == 0
    reopen(desk.store, batch.batch_id)
    desk.batches.scan()
    assert desk.top_up() == 2
    assert sorted((job.key.row, job.lease.round) for job in desk.claim(claim_id="c-2")) == [(1, 2), (3, 2)]


def test_the_markers_of_a_batch_that_is_not_fed_are_read_from_time_to_time(desk: Desk) -> None:
    """A batch may be cancelled while the queue is away. But not every claim may read storage, so the markers are read from time
    to time.
    """
    batch = desk.accept(10)
    desk.top_up()
    desk.top_up()
    close(desk.store, batch.batch_id, "cancelled")
    desk.top_up()
    assert desk.snapshot().ready == 10
    desk.now = desk.settings.batch_scan_s
    desk.top_up()
    assert desk.snapshot().ready == 0


def test_a_batch_that_was_closed_while_it_was_fed_is_dropped(desk: Desk) -> None:
    batch = desk.accept(10)
    close(desk.store, batch.batch_id, "cancelled")
    desk.top_up()
    assert desk.snapshot().ready == 0
    assert desk.claim() == []


# -- the sweep


def test_a_drained_and_complete_batch_is_published_and_forgotten(desk: Desk) -> None:
    batch = desk.accept(3)
    desk.top_up()
    sweeper = desk.sweeper()
    assert sweeper.sweep() == 1
    jobs = desk.claim()
    desk.complete(batch, [0, 1, 2])
    desk.queue.settle(LANE, [Settlement(job.lease) for job in jobs])
    assert sweeper.sweep() == 0
    assert sweeper.published[batch.batch_id].counts["completed"] == 3
    assert desk.snapshot().batches == {}
    assert desk.store.list("open") == []


def test_a_drained_batch_that_lacks_outcomes_is_fed_again(desk: Desk) -> None:
    """This is the audit: Redis lost rows, and shows the batch as drained. Rows that were done since the last look are not done
    again.
    """
    batch = desk.accept(3)
    assert (desk.top_up(), desk.top_up()) == (3, 0)
    jobs = desk.claim()
    desk.complete(batch, [0, 2])
    desk.queue.settle(LANE, [Settlement(job.lease) for job in jobs])
    sweeper = Sweeper(desk.store, desk.queue, OpenBatches(desk.store), desk.settings.prices)
    assert sweeper.sweep() == 1
    assert desk.top_up() == 1
    assert [job.key.row for job in desk.claim(claim_id="c-2")] == [1]


def test_a_batch_that_the_queue_does_not_know_is_published_when_storage_has_it_all(desk: Desk) -> None:
    batch = desk.accept(2)
    desk.complete(batch, [0, 1])
    assert desk.sweeper().sweep() == 0
    assert json.loads(desk.store.read(BatchPaths(batch.batch_id).done(1)))["counts"]["completed"] == 2


def test_a_deadline_closes_the_batch_and_its_rows_expire(desk: Desk) -> None:
    batch = desk.accept(3, deadline=EVENING)
    desk.top_up()
    (first, *_) = desk.claim(1)
    desk.complete(batch, [first.key.row])
    sweeper = desk.sweeper()
    assert sweeper.sweep() == 1
    assert desk.snapshot().ready == 0
    desk.queue.settle(LANE, [Settlement(first.lease)])
    assert sweeper.sweep() == 0
    assert dict(sweeper.published[batch.batch_id].counts) == {"completed": 1, "failed": 0, "cancelled": 0, "expired": 2}


def test_a_missing_input_is_waited_for(desk: Desk) -> None:
    batch = desk.accept(2)
    desk.store.delete(BatchPaths(batch.batch_id).input(LANE))
    with pytest.raises(StoreUnavailable, match="Restore it"):
        desk.top_up()


def test_a_missing_input_is_looked_for_ever_more_rarely(desk: Desk) -> None:
    """Until the input is restored, each call raises the damage, even a call that reads nothing. The other batch is fed."""
    hurt, other = desk.accept(2), desk.accept(2, name="other")
    path = Path(desk.store.url) / BatchPaths(hurt.batch_id).input(LANE)
    whole = path.read_bytes()
    path.unlink()
    store = Opened(desk.store.url)
    feeder = Feeder(store, desk.queue, desk.batches, desk.settings, monotonic=lambda: desk.now)
    for desk.now in range(8):
        for ready in (0, desk.settings.window_rows):
            with pytest.raises(StoreDamaged, match="Restore it"):
                feeder.top_up(LANE, ready)
    assert {job.key.batch_id for job in desk.claim()} == {other.batch_id}
    assert store.opened.count(BatchPaths(hurt.batch_id).input(LANE)) == 4
    path.write_bytes(whole)
    desk.now = 16.0
    assert feeder.top_up(LANE, 0) == 2


def test_a_damaged_segment_of_one_batch_holds_up_no_other(desk: Desk) -> None:
    """The feeder and the sweeper share open batches that have seen the batch before the damage; new open batches leave it out.
    Feeder and sweeper raise the damage only after they have worked on the other batch.
    """
    hurt, other = desk.accept(2), desk.accept(2, name="other", priority=1)
    desk.top_up()
    desk.complete(hurt, [0, 1])
    paths = BatchPaths(hurt.batch_id)
    (name,) = desk.store.list(paths.segments)
    path = Path(desk.store.url) / paths.segment(name)
    whole = path.read_bytes()
    path.write_bytes(whole[:5] + b"\xff" + whole[6:])
    met = OpenBatches(desk.store, batch_scan_s=0.0)
    met.scan()
    assert [index.batch.batch_id for index in met] == [other.batch_id]
    desk.queue.drop(LANE, hurt.batch_id, 1, forget=True)
    desk.queue.drop(LANE, other.batch_id, 1, forget=True)
    with pytest.raises(StoreDamaged, match="Restore it"):
        desk.top_up()
    assert {job.key.batch_id for job in desk.claim()} == {other.batch_id}
    desk.complete(other, [0, 1])
    desk.queue.drop(LANE, other.batch_id, 1, forget=True)
    sweeper = desk.sweeper()
    with pytest.raises(StoreDamaged):
        sweeper.sweep()
    assert list(sweeper.published) == [other.batch_id]
    path.write_bytes(whole)
    desk.batches.scan()
    restored = desk.sweeper()  # a new sweeper has not seen the damage, so it looks at once
    restored.sweep()
    assert list(restored.published) == [hurt.batch_id]


@pytest.mark.parametrize("known", ["rows", "the end"])
def test_a_batch_that_is_deleted_and_accepted_again_between_two_looks_is_fed_anew(desk: Desk, known: str) -> None:
    """The feeder's index still has the outcomes of the deleted batch."""
    batch = desk.accept(5)
    desk.top_up()
    desk.complete(batch, range(5))
    desk.queue.settle(LANE, [Settlement(job.lease) for job in desk.claim()])
    if known == "the end":
        assert desk.sweeper().sweep() == 0
    else:
        for index in desk.batches:
            index.refresh()
        publish(desk.store, batch.batch_id, prices=desk.settings.prices)
    delete_batch(desk.store, batch.batch_id)
    assert desk.accept(5).batch_id == batch.batch_id
    for look in range(4):
        desk.now += 100
        desk.top_up()
        if jobs := desk.claim(claim_id=f"c-{look + 2}"):
            break
        assert desk.sweeper().sweep() == 1
    assert sorted(job.key.row for job in jobs) == [0, 1, 2, 3, 4]

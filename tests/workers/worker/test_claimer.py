"""Shows workers/worker/claimer.py: whose rows are begun next, and what a claim costs. Claim by claim, in this thread."""

import io
import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis

from jobs.batches.batch import Batch, BatchPaths
from jobs.batches.open_batches import OpenBatches
from jobs.batches.segments.segment import Outcome, write
from jobs.errors import StoreUnavailable
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.lanes.feed import Feeder
from jobs.lanes.job import Job
from jobs.lanes.protocol import LanePolicy, Settlement, WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.damage import MAX_S
from jobs.store.local import LocalStore
from jobs.tenants import TenantSettings
from workers.worker.claimer import WELL, Claimer
from workers.worker.context import Line
from workers.worker.failing_batches import Doubts
from workers.worker.flusher import Flusher
from workers.worker.heartbeat import Heartbeat, Pulse
from workers.worker.leases import Leases
from workers.worker.outcome import Outcomes
from workers.worker.retry import RetryPolicy

LANE = "stub"
SLOTS = 16
ASKED = frozenset({"list", "read", "read_range", "reader", "exists", "size", "create"})


class Counted(LocalStore):
    """Counts what is asked of it. Of the batch that is `away` no request can be read by its place."""

    asked = 0
    away = "none"

    def __getattribute__(self, name: str) -> Any:
        if name in ASKED:
            self.asked += 1
        return super().__getattribute__(name)

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        if self.away in path:
            raise StoreUnavailable("storage: it is away")
        return super().read_range(path, offset, length)


class Post:
    """A claimer with all that it stands between, and no thread: it claims when it is told to. Its clock is moved by hand."""

    def __init__(self, folder: Path, client: redis.Redis, **given: Any) -> None:
        self.settings = Settings(model=LANE, batch_scan_s=2.0, spool_dir=folder / "spool", **given)
        self.store = Counted(str(folder / "store"))
        self.queue = RedisQueue(client, policy=LanePolicy(tenants=self.settings.tenants))
        self.now = 0.0
        self.batches = OpenBatches(self.store, batch_scan_s=self.settings.batch_scan_s, monotonic=lambda: self.now)
        feeder = Feeder(self.store, self.queue, self.batches, self.settings, lambda: self.now)
        outcomes = Outcomes("w-1", LANE, "cpu", {"engine": "stub"}, self.settings.prices, RetryPolicy(3, 0.0, 0.0))
        kinds = dict(load_kinds())
        self.line = Line(LANE, self.store, self.queue, self.batches, feeder, kinds, outcomes, self.settings)
        self.leases = Leases.from_settings(self.settings)
        heartbeat = Heartbeat(self.queue, self.leases, LANE, self.settings, self._record)
        self.flusher = Flusher(
            self.store,
            self.queue,
            self.leases,
            heartbeat,
            lane=LANE,
            worker="w-1",
            incarnation="i",
            settings=self.settings,
        )
        self.doubts = Doubts(3)
        self.claimer = Claimer(
            self.line,
            self.leases,
            self.flusher,
            self.doubts,
            slots=SLOTS,
            claim_id="w-1-i-{}".format,
            record=self._record,
            clock=lambda: datetime.now(UTC),
            pulse=Pulse(),
        )

    def _record(self, running: int) -> WorkerRecord:
        return WorkerRecord("w-1", 1, "n-1", LANE, running)

    def accept(self, name: str, rows: int, prompt: str = "Say it.", **options: Any) -> Batch:
        line = json.dumps({"kind": "chat", "prompt": prompt}).encode() + b"\n"
        chosen = IntakeOptions(name=name, **options)
        made = accept(
            self.store,
            io.BytesIO(line * rows),
            chosen,
            kinds=self.line.kinds,
            settings=self.settings,
            run_key=name,
        )
        return made.batch

    def claim(self) -> None:
        """One turn of the claimer's loop."""
        self.claimer._claim()

    def begun(self) -> list[Job]:
        """The jobs that were begun since, which are in hand still."""
        return [turn.attempt.job for turn in self.claimer.ready()]

    def turn(self) -> Mapping[str, int]:
        """Claim, and finish at once what was begun. How many rows those were, by the name of their batch."""
        self.claim()
        jobs = self.begun()
        self.queue.settle(LANE, [Settlement(job.lease) for job in jobs])
        self.leases.let_go(job.lease for job in jobs)
        return Counter(job.key.batch_id.rpartition("-")[0] for job in jobs)


@pytest.fixture
def post(tmp_path: Path, fake_client: redis.Redis) -> Post:
    return Post(tmp_path, fake_client, window_rows=400)


# -- whose rows are next


def test_an_urgent_batch_is_begun_while_the_lane_is_more_than_half_full(post: Post) -> None:
    post.accept("large", 1000)
    post.turn()
    post.accept("urgent", 50, priority=9)
    post.now += post.settings.batch_scan_s
    post.turn()
    assert post.queue.snapshot(LANE).ready > post.settings.window_rows / 2
    assert [post.turn() for _ in range(3)] == [{"urgent": 32}, {"urgent": 18, "large": 14}, {"large": 32}]


def test_a_tenant_at_its_cap_that_fills_the_lane_keeps_no_other_waiting(
    tmp_path: Path, fake_client: redis.Redis
) -> None:
    """What waits may not be claimed. So the worker, which has room, looks for other rows at each claim, and is kept busy."""
    post = Post(tmp_path, fake_client, window_rows=400, tenants={"a": TenantSettings(rows_in_flight=2)})
    post.accept("large", 1000, tenant="a")
    post.turn()
    post.accept("other", 300, tenant="b")
    post.now += post.settings.batch_scan_s
    post.turn()
    assert post.queue.snapshot(LANE).ready > post.settings.window_rows / 2
    done: Counter[str] = Counter()
    for _ in range(16):
        done += Counter(post.turn())
    assert done["other"] == 300


def test_a_claim_on_a_lane_that_is_full_asks_nothing_of_the_storage(post: Post) -> None:
    """But once in `batch_scan_s`, and then no more for each batch that has rows waiting."""
    for n in range(8):
        post.accept(f"b{n}", 200)
    post.now += post.settings.batch_scan_s
    post.turn()
    post.now += post.settings.batch_scan_s
    post.turn()
    asked = post.store.asked
    for _ in range(5):
        assert sum(post.turn().values()) == 2 * SLOTS
    assert post.store.asked == asked
    post.now += post.settings.batch_scan_s
    post.turn()
    assert 0 < post.store.asked - asked < 4


# -- what is damaged


def input_of(post: Post, batch: Batch) -> Path:
    return Path(post.store.url) / BatchPaths(batch.batch_id).input(LANE)


def test_a_damaged_batch_in_front_whose_requests_are_read_by_their_place_keeps_no_other_waiting(
    tmp_path: Path, fake_client: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is charged to its rows, and they come again by themselves once its input is restored."""
    post = Post(tmp_path, fake_client, inline_bytes=0)
    hurt, sound = post.accept("hurt", 40, priority=9), post.accept("sound", 100)
    post.claim()
    whole = input_of(post, hurt).read_bytes()
    input_of(post, hurt).unlink()
    assert [post.turn() for _ in range(6)] == [{}, *[{"sound": 32}] * 3, {"sound": 4}, {}]
    event, why = post.claimer.fault
    assert event == "store.damaged"
    assert "Restore it from a backup" in why
    assert capsys.readouterr().out.count("store.damaged") == 1
    assert post.leases.holding == 0
    snapshot = post.queue.snapshot(LANE)
    assert (snapshot.ready, snapshot.delayed, snapshot.leased) == (0, 0, 0)
    assert sound.batch_id in snapshot.batches
    input_of(post, hurt).write_bytes(whole)
    post.now += MAX_S
    post.claim()
    post.claim()
    jobs = post.begun()
    assert [(job.key.batch_id, job.attempt, job.crashes) for job in jobs] == [(hurt.batch_id, 1, 0)] * 32
    assert post.claimer.fault == WELL


def test_a_row_of_a_damaged_batch_that_runs_may_run_to_its_end(tmp_path: Path, fake_client: redis.Redis) -> None:
    """The audit then feeds what was taken off the lane, once its input is restored."""
    post = Post(tmp_path, fake_client, inline_bytes=0)
    hurt = post.accept("hurt", 40)
    post.claim()
    post.claim()
    jobs = post.begun()
    running, others = [job.lease for job in jobs[:8]], [job.lease for job in jobs[8:]]
    whole = input_of(post, hurt).read_bytes()
    input_of(post, hurt).unlink()
    post.queue.release(LANE, others)
    post.leases.let_go(others)
    post.claim()
    assert post.queue.snapshot(LANE).batches[hurt.batch_id].live == 8
    finished = [Outcome(one.key.row, 1, one.fence, one.claim_id, "completed", True, "chat") for one in running]
    write(post.store, BatchPaths(hurt.batch_id), finished, "w-1", "i", 1)
    assert post.queue.settle(LANE, [Settlement(lease) for lease in running]) == frozenset()
    post.leases.let_go(running)
    input_of(post, hurt).write_bytes(whole)
    sweeper = Sweeper(post.store, post.queue, OpenBatches(post.store), post.settings.prices)
    sweeper.sweep()
    post.now += MAX_S
    assert [post.turn(), post.turn(), post.turn()] == [{}, {"hurt": 32}, {}]


def test_what_is_away_gives_all_back_that_was_not_begun(tmp_path: Path, fake_client: redis.Redis) -> None:
    """Also the rows of a damaged batch that stood before it."""
    post = Post(tmp_path, fake_client, inline_bytes=0)
    hurt, sound = post.accept("hurt", 4, priority=9), post.accept("sound", 4)
    post.claim()
    input_of(post, hurt).unlink()
    post.store.away = sound.batch_id
    post.claim()
    assert post.leases.holding == 0
    assert post.queue.snapshot(LANE).ready == 8
    post.store.away = "none"
    assert [post.turn(), post.turn()] == [{"sound": 4}, {}]


def test_a_damaged_batch_that_is_in_doubt_keeps_no_other_waiting(
    post: Post, capsys: pytest.CaptureFixture[str]
) -> None:
    """The worker saw three rows of it fail, and cannot read what the others did: that is said, and all go on."""
    hurt, _ = post.accept("hurt", 40, priority=9), post.accept("sound", 40)
    post.claim()
    failed = [Outcome(row, 1, row, "c", "failed", True, "chat", error={"code": "empty_output"}) for row in range(3)]
    write(post.store, BatchPaths(hurt.batch_id), failed, "w-2", "i", 1)
    (segment,) = (Path(post.store.url) / BatchPaths(hurt.batch_id).segments).iterdir()
    segment.write_bytes(b"torn")
    for outcome in failed:
        post.doubts.note(hurt.batch_id, outcome)
    assert [post.turn() for _ in range(3)] == [{"hurt": 32}, {"hurt": 8, "sound": 24}, {"sound": 16}]
    assert capsys.readouterr().out.count("store.damaged") == 1

"""Shows jobs/publishing/sweeper.py: the soft deadline, which publishes what is ready and goes on, and the breaker."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
import redis

from jobs.accounts.tallies import tallies
from jobs.batches.batch import Batch, BatchPaths, Done
from jobs.batches.open_batches import OpenBatches
from jobs.batches.published import ERRORS, OUTPUT, read_published, verify
from jobs.batches.rounds import close, is_left_over, is_open, read_round, reopen, resume
from jobs.batches.segments.line import Outcome
from jobs.batches.segments.segment import write
from jobs.errors import StoreDamaged
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.lanes.feed import Feeder
from jobs.lanes.job import Job
from jobs.lanes.protocol import LaneSnapshot, Settlement, WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from jobs.operations.status_reader import StatusReader, listed
from jobs.publishing.candidates import add_candidates
from jobs.publishing.publish import publish
from jobs.publishing.retention import delete_batch
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.damage import Damage
from jobs.store.local import LocalStore
from jobs.store.opening import open_store
from jobs.store.store import Store
from jobs.usage import Usage

LANE = "stub"
EVENING = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
EIGHT = EVENING + timedelta(hours=10)
ME = WorkerRecord("w", 1, "n", LANE, 0)


@dataclass
class Night:
    """One store and one queue, a clock, and whoever works and sweeps."""

    store: Store
    queue: RedisQueue
    settings: Settings
    now: datetime = EVENING
    claims: int = 0
    segments: int = 0

    def __post_init__(self) -> None:
        self.batches = OpenBatches(self.store, batch_scan_s=0.0)
        self.feeder = Feeder(self.store, self.queue, self.batches, self.settings)

    def accept(self, rows: int, bad: int = 0, **options: Any) -> Batch:
        lines = [orjson.dumps({"kind": "chat", "prompt": f"{n}?"}) for n in range(rows)] + [b"{"] * bad
        chosen = IntakeOptions(name="night", **options)
        made = accept(self.store, lines, chosen, kinds=load_kinds(), settings=self.settings, run_key="k")
        return made.batch

    def sweep(self) -> Sweeper:
        sweeper = Sweeper(
            self.store,
            self.queue,
            OpenBatches(self.store, batch_scan_s=0.0),
            self.settings.prices,
            clock=lambda: self.now,
            breaker_rows=self.settings.breaker_rows,
            compact_segments=self.settings.compact_segments,
        )
        sweeper.sweep()
        return sweeper

    def claim(self, n: int = 100, lane: str = LANE) -> Sequence[Job]:
        """As a worker does that asks more than once: feed, then claim."""
        self.batches.scan(now=True)
        for _ in range(2):
            self.feeder.top_up(lane)
        self.claims += 1
        return self.queue.claim(lane, f"w-i-{self.claims}", n, 60_000, ME).jobs

    def finish(self, jobs: Sequence[Job], *, status: str = "completed", lane: str = LANE) -> None:
        """Flush, then settle."""
        said: dict[str, Any] = (
            {"output": {"text": "x"}} if status == "completed" else {"error": {"code": "empty_output"}}
        )
        outcomes = [
            Outcome(
                job.key.row, job.lease.round, job.lease.fence, job.lease.claim_id, cast("Any", status), True, "chat",
                model=lane, usage=Usage(10, 0, 5, 7, 1, 2), **said,
            )
            for job in jobs
        ]  # fmt: skip
        self.segments += 1
        write(self.store, BatchPaths(jobs[0].key.batch_id), outcomes, "w", "i", self.segments)
        self.queue.settle(lane, [Settlement(job.lease) for job in jobs])

    def published(self, batch: Batch) -> Done:
        current = read_round(self.store, batch)
        done = current.done or current.before
        assert done is not None
        assert verify(self.store, batch.batch_id) == []
        return done

    def rows(self, batch: Batch, name: str = OUTPUT) -> list[int]:
        return [row["row"] for row in read_published(self.store, self.published(batch), batch.batch_id, name)]


@pytest.fixture
def make_night(tmp_path: Path, fake_client: redis.Redis) -> Callable[..., Night]:
    def make(**settings: Any) -> Night:
        chosen = Settings(store_url=str(tmp_path / "store"), model="stub", batch_scan_s=1e-9, **settings)
        return Night(open_store(chosen.store_url), RedisQueue(fake_client), chosen)

    return make


@pytest.fixture
def night(make_night: Callable[..., Night]) -> Night:
    return make_night()


def test_at_the_soft_deadline_what_is_ready_is_published_and_the_rest_goes_on(night: Night) -> None:
    batch = night.accept(6, bad=1, publish_at=EIGHT)
    night.finish(night.claim(2))
    night.sweep()
    assert read_round(night.store, batch).closed is None, "not yet"
    night.now = EIGHT
    night.sweep()
    first = night.published(batch)
    assert (first.round, first.counts["completed"], first.counts["failed"], first.counts["expired"]) == (1, 2, 1, 4)
    errors = read_published(night.store, first, batch.batch_id, ERRORS)
    assert sorted(row["error"]["code"] for row in errors) == ["not_json", *["postponed"] * 4]
    assert read_round(night.store, batch).number == 2
    assert night.store.list("open") == [batch.batch_id]
    night.finish(night.claim())
    night.sweep()
    second = night.published(batch)
    assert (second.round, second.counts["completed"], second.counts["failed"]) == (2, 6, 1)
    assert night.store.list("open") == []


def test_what_runs_at_the_soft_deadline_runs_to_its_end_and_counts_in_the_next_round(night: Night) -> None:
    batch = night.accept(4, publish_at=EIGHT)
    running = night.claim(2)
    night.now = EIGHT
    night.sweep()
    assert night.queue.beat(LANE, [job.lease for job in running], 60_000, ME).cancelled == frozenset()
    rest = night.claim()
    assert {job.key.row for job in (*running, *rest)} == {0, 1, 2, 3}, "what waits is not held up by what runs"
    assert (len(rest), {job.lease.round for job in rest}) == (2, {2})
    night.finish(rest)
    beat = night.queue.beat(LANE, [job.lease for job in running], 60_000, ME)
    assert (beat.lost, beat.cancelled) == (frozenset(), frozenset())
    night.sweep()
    assert read_round(night.store, batch).done is None
    night.finish(running)
    night.sweep()
    assert night.rows(batch) == [0, 1, 2, 3]


def test_usage_of_both_rounds_adds_up_and_nothing_is_charged_twice(night: Night) -> None:
    batch = night.accept(4, publish_at=EIGHT)
    night.finish(night.claim(3))
    night.now = EIGHT
    night.sweep()
    night.now = EIGHT + timedelta(days=1)
    night.finish(night.claim())
    night.sweep()
    days = tallies(night.store, "day")["USD"]
    assert [tally.rows for tally in days.values()] == [3, 1]
    assert sum(tally.usage.charge for tally in days.values()) == 4 * 2
    assert tallies(night.store, "batch")["USD"][batch.batch_id].rows == 4


def test_a_failure_of_what_ran_over_the_soft_deadline_is_tried_in_the_next_round(night: Night) -> None:
    batch = night.accept(2, publish_at=EIGHT)
    running = night.claim(1)
    night.now = EIGHT
    night.sweep()
    night.finish(running, status="failed")
    rest = night.claim()
    assert sorted(job.key.row for job in rest) == [0, 1]
    night.finish(rest)
    night.sweep()
    assert night.rows(batch) == [0, 1]


def test_a_failure_over_the_soft_deadline_that_comes_after_the_next_round_was_fed_is_tried_again(night: Night) -> None:
    batch = night.accept(2, publish_at=EIGHT)
    running = night.claim(1)
    night.now = EIGHT
    night.sweep()
    night.finish(night.claim())
    night.finish(running, status="failed")
    night.sweep()
    again = night.claim()
    assert [(job.key.row, job.lease.round) for job in again] == [(0, 2)]
    night.finish(again)
    night.sweep()
    assert night.rows(batch) == [0, 1]


def test_a_paused_batch_stays_paused_over_the_soft_deadline(make_night: Callable[..., Night]) -> None:
    night = make_night(breaker_rows=2)
    batch = night.accept(8, publish_at=EIGHT)
    night.finish(night.claim(2), status="failed")
    night.sweep()
    night.now = EIGHT
    for _ in range(2):
        night.sweep()
    current = read_round(night.store, batch)
    assert (current.number, current.closed, current.paused is None) == (1, None, False)
    assert night.claim() == []
    resume(night.store, batch, clock=lambda: night.now)
    for _ in range(2):
        night.sweep()
    assert read_round(night.store, batch).number == 2
    night.finish(night.claim())
    night.sweep()
    assert night.rows(batch) == list(range(8))


def test_a_batch_between_its_rounds_is_shown_as_open(
    night: Night, dying: Callable[[Store, int], Store], killed: type[BaseException]
) -> None:
    batch = night.accept(3, publish_at=EIGHT)
    night.finish(night.claim(1))
    night.now = EIGHT
    whole = night.store
    night.store = dying(whole, 3)
    with pytest.raises(killed):
        night.sweep()
    night.store = whole
    assert read_round(whole, batch).has_next_round, "round 1 is published, and round 2 not open yet"
    assert StatusReader(whole, night.queue).batch(batch.batch_id).state == "publishing"
    assert listed(whole, published=0) == [batch.batch_id]
    assert is_open(whole, batch.batch_id)


@pytest.mark.parametrize("running", [pytest.param(0, id="nothing runs"), pytest.param(2, id="some run")])
def test_cancelling_while_the_soft_deadline_is_carried_out_ends_the_batch(night: Night, running: int) -> None:
    batch = night.accept(4, publish_at=EIGHT)
    jobs = night.claim(running) if running else []
    night.now = EIGHT
    close(night.store, batch.batch_id, "postponed", clock=lambda: night.now)
    for _ in range(2):  # a person may say it twice
        assert close(night.store, batch.batch_id, "cancelled", clock=lambda: night.now).reason == "cancelled"
    assert StatusReader(night.store, night.queue).batch(batch.batch_id).state == "cancelling"
    for _ in range(3):
        night.sweep()
    done = night.published(batch)
    assert (done.round, done.counts["cancelled"]) == (2, 4)
    assert night.queue.beat(LANE, [job.lease for job in jobs], 60_000, ME).lost == {job.lease for job in jobs}
    reopen(night.store, batch.batch_id, clock=lambda: night.now)
    night.finish(night.claim())
    night.sweep()
    assert night.rows(batch) == [0, 1, 2, 3], "another round is not given up with it"


def test_several_sweepers_at_a_soft_deadline_open_one_round(night: Night) -> None:
    batch = night.accept(6, publish_at=EIGHT)
    night.finish(night.claim(2))
    night.now = EIGHT
    with ThreadPoolExecutor(4) as sweepers:
        for swept in [sweepers.submit(night.sweep) for _ in range(4)]:
            swept.result()
    night.sweep()
    assert read_round(night.store, batch).number == 2
    night.finish(night.claim())
    night.sweep()
    assert night.rows(batch) == list(range(6))
    assert sum(tally.rows for tally in tallies(night.store, "day")["USD"].values()) == 6


def test_a_batch_that_is_done_by_then_has_one_round(night: Night) -> None:
    batch = night.accept(2, publish_at=EIGHT)
    night.finish(night.claim())
    night.now = EIGHT
    night.sweep()
    assert (night.published(batch).round, read_round(night.store, batch).closed) == (1, None)


def test_the_hard_deadline_ends_the_next_round_too(night: Night) -> None:
    batch = night.accept(2, publish_at=EIGHT, deadline=EIGHT + timedelta(hours=1))
    night.finish(night.claim(1))
    night.now = EIGHT
    night.sweep()
    assert read_round(night.store, batch).deadline == batch.deadline
    night.now = EIGHT + timedelta(hours=1)
    for _ in range(2):
        night.sweep()
    done = night.published(batch)
    assert (done.round, done.counts["completed"], done.counts["expired"]) == (2, 1, 1)
    assert night.store.list("open") == []


@pytest.mark.parametrize("step", range(8))
def test_a_sweeper_that_dies_at_any_step_of_a_soft_deadline_loses_nothing(
    night: Night, step: int, dying: Callable[[Store, int], Store], killed: type[BaseException]
) -> None:
    batch = night.accept(3, publish_at=EIGHT)
    night.finish(night.claim(1))
    night.now = EIGHT
    whole = night.store
    night.store = dying(whole, step)
    try:
        night.sweep()
    except killed:
        assert step < 7
    night.store = whole
    for _ in range(3):
        night.sweep()
    assert read_round(night.store, batch).number == 2
    night.finish(night.claim())
    night.sweep()
    assert (night.published(batch).round, night.rows(batch)) == (2, [0, 1, 2])


@pytest.mark.parametrize(
    ("hours", "expires"), [pytest.param(1, True, id="an hour ahead"), pytest.param(-1, False, id="an hour behind")]
)
def test_a_sweeper_whose_clock_is_wrong_may_end_a_batch_too_early_but_none_twice(
    night: Night, hours: int, expires: bool
) -> None:
    """A deadline is as right as the clock of whoever sweeps; what is done stays, and all abide by the one marker."""
    batch = night.accept(4, deadline=EIGHT)
    night.finish(night.claim(1))
    running = night.claim(1)
    true = EIGHT - timedelta(minutes=30)
    night.now = true + timedelta(hours=hours)
    night.sweep()
    assert (read_round(night.store, batch).closed is not None) is expires
    night.finish(running)  # it ran, and counts although the marker stands
    for now in (true, EIGHT, EIGHT + timedelta(hours=hours)):
        night.now = now
        night.sweep()
    assert night.published(batch).counts == {"completed": 2, "failed": 0, "cancelled": 0, "expired": 2}
    assert night.store.list(BatchPaths(batch.batch_id).root).count("done-1.json") == 1
    assert night.claim() == []


@pytest.mark.parametrize("rows", [3, 300])
def test_what_is_cancelled_gets_its_outcome_at_publishing_and_not_one_by_one(night: Night, rows: int) -> None:
    """However many rows there are, nothing is written of one that never ran."""
    batch = night.accept(rows)
    night.finish(night.claim(1))
    files = night.store.list(BatchPaths(batch.batch_id).root)
    close(night.store, batch.batch_id, "cancelled")
    night.queue.drop(LANE, batch.batch_id, 1, forget=False)
    night.sweep()
    assert night.published(batch).counts == {"completed": 1, "failed": 0, "cancelled": rows - 1, "expired": 0}
    assert len(night.store.list(BatchPaths(batch.batch_id).segments)) == 1
    more = set(night.store.list(BatchPaths(batch.batch_id).root)) - set(files)
    assert more == {"closed-1.json", "done-1.json", "published"}


def test_what_is_done_just_as_a_sweep_asks_the_queue_is_not_fed_again(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Storage is read after the queue was seen to be drained: what it lacks then has been forgotten."""
    batch = night.accept(3)
    jobs, snapshot = night.claim(), night.queue.snapshot

    def drained(lane: str) -> LaneSnapshot:
        monkeypatch.undo()
        night.finish(jobs)
        return snapshot(lane)

    monkeypatch.setattr(night.queue, "snapshot", drained)
    night.sweep()
    assert night.rows(batch) == [0, 1, 2]


def test_a_batch_of_nothing_but_failures_pauses_itself_and_says_why(make_night: Callable[..., Night]) -> None:
    night = make_night(breaker_rows=3)
    batch = night.accept(10, bad=2)
    running = night.claim(4)
    night.finish(running[:2], status="failed")
    night.sweep()
    assert read_round(night.store, batch).paused is None, "two are too few; the refused rows do not count"
    night.finish(running[2:3], status="failed")
    night.sweep()
    paused = read_round(night.store, batch).paused
    assert paused is not None
    assert paused.reason == "its first 3 rows all failed, most of them with empty_output"
    beat = night.queue.beat(LANE, [running[3].lease], 60_000, ME)
    assert (beat.lost, beat.cancelled) == (frozenset(), frozenset()), "what runs may finish"
    assert night.claim() == []
    status = StatusReader(night.store, night.queue).batch(batch.batch_id)
    assert (status.state, status.paused_reason) == ("paused", paused.reason)


def test_what_runs_when_a_batch_is_paused_finishes_and_counts(make_night: Callable[..., Night]) -> None:
    night = make_night(breaker_rows=2)
    batch = night.accept(6)
    running = night.claim(4)
    night.finish(running[:2], status="failed")
    night.sweep()
    night.finish(running[2:])
    for _ in range(2):
        night.sweep()
    assert night.queue.snapshot(LANE).batches == {}
    assert night.claim() == []
    resume(night.store, batch, clock=lambda: night.now)
    rest = night.claim()
    assert sorted(job.key.row for job in rest) == [4, 5]
    night.finish(rest)
    night.sweep()
    done = night.published(batch)
    assert (done.counts["completed"], done.counts["failed"]) == (4, 2)


def test_a_further_round_of_nothing_but_failures_is_paused_too(make_night: Callable[..., Night]) -> None:
    night = make_night(breaker_rows=2)
    batch = night.accept(6)
    night.finish(night.claim(1))
    night.finish(night.claim(8), status="failed")
    night.sweep()
    assert night.published(batch).counts["completed"] == 1
    reopen(night.store, batch.batch_id, clock=lambda: night.now)
    night.finish(night.claim(3), status="failed")
    night.sweep()
    assert read_round(night.store, batch).paused is not None, "what completed in the round before is no success of this"


def test_a_paused_batch_goes_on_when_a_person_says_so_and_is_not_paused_again(make_night: Callable[..., Night]) -> None:
    night = make_night(breaker_rows=2)
    batch = night.accept(6)
    night.finish(night.claim(2), status="failed")
    night.sweep()
    assert night.claim() == []
    resume(night.store, batch, clock=lambda: night.now)
    jobs = night.claim()
    assert sorted(job.key.row for job in jobs) == [2, 3, 4, 5]
    night.finish(jobs[:1], status="failed")
    night.sweep()
    assert read_round(night.store, batch).paused is None
    night.finish(jobs[1:])
    night.sweep()
    assert night.published(batch).counts["completed"] == 3


@pytest.mark.parametrize(
    ("breaker_rows", "completed"),
    [pytest.param(0, 0, id="switched off"), pytest.param(3, 1, id="something came")],
)
def test_what_pauses_no_batch(make_night: Callable[..., Night], breaker_rows: int, completed: int) -> None:
    night = make_night(breaker_rows=breaker_rows)
    batch = night.accept(10)
    jobs = night.claim()
    if completed:
        night.finish(jobs[:completed])
    night.finish(jobs[completed:9], status="failed")
    night.sweep()
    assert read_round(night.store, batch).may_pause


def test_the_queue_may_forget_a_paused_batch(make_night: Callable[..., Night], fake_client: redis.Redis) -> None:
    night = make_night(breaker_rows=2)
    night.accept(6)
    night.finish(night.claim(2), status="failed")
    night.sweep()
    fake_client.flushall()
    night.sweep()
    assert night.claim() == []


def test_many_small_segments_are_compacted_while_rows_are_left(make_night: Callable[..., Night]) -> None:
    night = make_night(compact_segments=3)
    batch = night.accept(5)
    paths = BatchPaths(batch.batch_id)
    jobs = night.claim()
    for n, files in ((0, (1, 0)), (1, (2, 0)), (2, (0, 1)), (3, (1, 1))):
        night.finish(jobs[n : n + 1])
        night.sweep()
        assert (len(night.store.list(paths.segments)), len(night.store.list(paths.compacted))) == files
    night.finish(jobs[4:])
    night.sweep()
    assert night.rows(batch) == [0, 1, 2, 3, 4]
    assert len(night.store.list(paths.segments)) == 2, "what is about to be published is left as it is"


def test_a_batch_whose_segment_is_found_damaged_at_compacting_holds_up_no_other(
    make_night: Callable[..., Night],
) -> None:
    night = make_night(compact_segments=1, breaker_rows=0)
    made = {batch.batch_id: batch for batch in (night.accept(2), night.accept(3))}
    jobs = night.claim()
    sweeper = night.sweep()
    hurt, other = [index.batch.batch_id for index in sweeper.batches]
    night.finish([job for job in jobs if job.key.batch_id == other])
    paths = BatchPaths(hurt)
    lost = [Outcome(0, 1, 1, "c", "completed", True, "chat", output={"text": "x"}, model=LANE)]
    name = write(night.store, paths, lost, "w", "i", 99)
    night.store.delete(paths.segment(name))
    night.store.create(paths.segment(name), b"no head\n")
    night.now += timedelta(minutes=2)
    with pytest.raises(StoreDamaged, match="Restore it from a backup"):
        sweeper.sweep()
    assert night.rows(made[other]) == list(range(made[other].rows))


class Counted(LocalStore):
    """Counts how often segments are read whole."""

    reads = 0

    def read(self, path: str) -> bytes:
        self.reads += "/segments/" in path
        return super().read(path)


def test_a_damaged_batch_is_read_less_and_less_often_and_published_once_it_is_restored(
    make_night: Callable[..., Night],
) -> None:
    night = make_night(breaker_rows=0)
    batch = night.accept(3)
    night.finish(night.claim())
    (path,) = Path(night.store.url).glob("batches/*/segments/*")
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + b"\xff" + whole[-8:])
    store, seconds = Counted(night.store.url), [0.0]
    batches, damage = OpenBatches(store, batch_scan_s=0.0), Damage(lambda: seconds[0])
    sweeper = Sweeper(store, night.queue, batches, night.settings.prices, clock=lambda: night.now, damage=damage)
    for _ in range(60):  # one a second
        with pytest.raises(StoreDamaged, match="Restore it from a backup"):
            sweeper.sweep()
        seconds[0] += 1.0
    assert store.reads == 6, "at 0, 1, 3, 7, 15 and 31 s"
    path.write_bytes(whole)
    other = night.accept(2)
    night.finish(night.claim())
    with pytest.raises(StoreDamaged):
        sweeper.sweep()
    assert night.rows(other) == [0, 1], "no other waits"
    seconds[0] = 63.0
    sweeper.sweep()
    assert night.rows(batch) == [0, 1, 2]


@pytest.fixture
def short(make_night: Callable[..., Night]) -> tuple[Night, Sweeper]:
    """A night, and a sweeper that scans but once: what comes then it learns from the batches themselves."""
    night = make_night(breaker_rows=0)
    batches = OpenBatches(night.store, batch_scan_s=1e9)
    return night, Sweeper(night.store, night.queue, batches, night.settings.prices, clock=lambda: night.now)


def published_and_deleted(night: Night, batch: Batch) -> None:
    """As `wait`, `results` and `delete` do, in another process."""
    publish(night.store, batch.batch_id, prices=night.settings.prices, clock=lambda: night.now)
    delete_batch(night.store, batch.batch_id, clock=lambda: night.now)


def test_a_batch_that_another_publishes_and_deletes_ends_no_sweep(short: tuple[Night, Sweeper]) -> None:
    night, sweeper = short
    gone, other = night.accept(2), night.accept(3)
    jobs = night.claim()
    assert sweeper.sweep() == 2
    night.finish([job for job in jobs if job.key.batch_id == gone.batch_id])
    for index in sweeper.batches:
        index.refresh()
    published_and_deleted(night, gone)
    night.finish([job for job in jobs if job.key.batch_id == other.batch_id])
    assert sweeper.sweep() == 0
    assert list(sweeper.published) == [other.batch_id]
    assert night.queue.snapshot(LANE).batches == {}


@pytest.mark.parametrize("round_", [1, 2])
def test_a_batch_that_is_found_deleted_leaves_the_queue(night: Night, round_: int) -> None:
    """Also where its folder was read again, and looked like that of a first round."""
    batch = night.accept(2)
    batches = OpenBatches(night.store, batch_scan_s=0.0)
    sweeper = Sweeper(night.store, night.queue, batches, night.settings.prices, clock=lambda: night.now)
    if round_ == 2:
        night.finish(night.claim(), status="failed")
        assert sweeper.sweep() == 0
        reopen(night.store, batch.batch_id, clock=lambda: night.now)
        sweeper.published.clear()
    jobs = night.claim()
    assert sweeper.sweep() == 1
    night.finish(jobs)
    published_and_deleted(night, batch)
    for index in batches:
        index.refresh()
    assert list(night.queue.snapshot(LANE).batches) == [batch.batch_id]
    assert sweeper.sweep() == 0
    assert (night.queue.snapshot(LANE).batches, sweeper.published) == ({}, {})


@pytest.mark.parametrize(
    ("collected", "again"),
    [
        pytest.param(False, False, id="before its segments are read"),
        pytest.param(True, False, id="after that"),
        pytest.param(True, True, id="after that, and accepted again"),
    ],
)
def test_a_batch_that_is_deleted_while_it_is_published_ends_no_sweep(
    short: tuple[Night, Sweeper], monkeypatch: pytest.MonkeyPatch, collected: bool, again: bool
) -> None:
    night, sweeper = short
    batch = night.accept(2)
    night.finish(night.claim())

    def meanwhile(*given: Any) -> Any:
        monkeypatch.setattr("jobs.publishing.edition.add_candidates", add_candidates)
        names = add_candidates(*given) if collected else []
        published_and_deleted(night, batch)
        if again:
            night.accept(2)
        return names or add_candidates(*given)

    monkeypatch.setattr("jobs.publishing.edition.add_candidates", meanwhile)
    assert sweeper.sweep() == 0
    assert (sweeper.published, night.store.list("unsummed")) == ({}, [])
    assert not is_left_over(night.store, batch.batch_id)


def test_what_is_missing_of_a_batch_that_is_being_deleted_is_no_damage(short: tuple[Night, Sweeper]) -> None:
    night, sweeper = short
    batch = night.accept(2)
    jobs = night.claim()
    assert sweeper.sweep() == 1
    night.finish(jobs[:1])
    night.finish(jobs[1:], status="failed")
    publish(night.store, batch.batch_id, prices=night.settings.prices, clock=lambda: night.now)
    reopen(night.store, batch.batch_id, clock=lambda: night.now)
    paths = BatchPaths(batch.batch_id)
    night.store.delete(paths.acceptance)
    night.store.delete(f"{paths.root}/published")
    assert sweeper.sweep() == 0


def test_lanes_are_fed_again_once_the_queue_knows_all_of_them(tmp_path: Path, fake_client: redis.Redis) -> None:
    settings = Settings(
        store_url=str(tmp_path / "store"), model=LANE, batch_scan_s=1e-9, models={"late": {"engine": "stub"}}
    )
    night = Night(open_store(settings.store_url), RedisQueue(fake_client), settings)
    lines = [orjson.dumps({"kind": "chat", "model": model, "prompt": "Say."}) for model in (LANE, LANE, "late")]
    batch = accept(night.store, lines, IntakeOptions(), kinds=load_kinds(), settings=settings, run_key="k").batch
    jobs = night.claim()
    night.finish(jobs[:1])
    night.queue.settle(LANE, [Settlement(jobs[1].lease)])  # its outcome is lost

    def version() -> int:
        return night.queue.snapshot(LANE).batches[batch.batch_id].version

    before = version()
    for _ in range(3):
        night.sweep()
    assert version() == before, "the worker of the other lane has not loaded its model yet"
    late = night.claim(lane="late")
    night.sweep()
    assert version() == before, "it works"
    night.finish(late, lane="late")
    night.sweep()
    again = night.claim()
    assert [job.key.row for job in again] == [1]
    night.finish(again)
    assert night.claim(lane="late") == []
    night.sweep()
    assert night.rows(batch) == [0, 1, 2]

"""Shows jobs/publishing/sweeper.py: it closes, feeds, compacts and publishes batches. A damaged batch holds up no other batch."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.batches.batch import BatchPaths
from jobs.batches.open_batches import OpenBatches
from jobs.batches.rounds import close, read_round, reopen
from jobs.batches.segments.line import Outcome
from jobs.batches.segments.segment import write
from jobs.errors import StoreDamaged, StoreUnavailable
from jobs.lanes.protocol import LaneSnapshot, Settlement
from jobs.publishing.sweeper import Sweeper
from jobs.store.damage import Damage
from jobs.store.local import LocalStore
from tests.support.clocks import EVENING
from tests.support.night import LANE
from tests.support.outcomes import completed
from tests.support.timed_night import TimedNight

EIGHT = EVENING + timedelta(hours=10)


@pytest.mark.parametrize(
    ("hours", "expires"), [pytest.param(1, True, id="an hour ahead"), pytest.param(-1, False, id="an hour behind")]
)
def test_a_sweeper_whose_clock_is_wrong_may_end_a_batch_too_early_but_none_twice(
    night: TimedNight, hours: int, expires: bool
) -> None:
    """The deadline follows the clock of the sweeper. Rows that are done stay done, and one marker counts for all sweepers."""
    batch = night.accept(4, deadline=EIGHT)
    night.finish(night.claim(1))
    running = night.claim(1)
    true = EIGHT - timedelta(minutes=30)
    night.at(true + timedelta(hours=hours))
    night.sweep()
    assert (read_round(night.store, batch).closed is not None) is expires
    night.finish(running)  # the row ran when the round was closed, so its outcome counts
    for now in (true, EIGHT, EIGHT + timedelta(hours=hours)):
        night.at(now)
        night.sweep()
    assert night.done(batch.batch_id).counts == {"completed": 2, "failed": 0, "cancelled": 0, "expired": 2}
    assert night.store.list(BatchPaths(batch.batch_id).root).count("done-1.json") == 1
    assert night.claim() == []


def test_a_batch_is_published_on_another_thread_once_and_its_fault_is_raised_by_a_later_sweep(
    night: TimedNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, healthy = night.accept(1), night.accept(2)
    for one in (batch, healthy):
        close(night.store, one.batch_id, "cancelled")
    tasks: list[Callable[[], object]] = []
    sweeper = Sweeper(
        night.store,
        night.queue,
        OpenBatches(night.store, batch_scan_s=0.0),
        night.settings.prices,
        aside=tasks.append,
    )
    assert [sweeper.sweep(), sweeper.sweep()] == [2, 2], "a batch is open until its marker is there"
    assert len(tasks) == 2, "and is not published twice at the same time"

    def fails(*_: object, **__: object) -> None:
        raise StoreUnavailable("no byte left")

    with monkeypatch.context() as patch:
        patch.setattr("jobs.publishing.sweeper.publish", fails)
        tasks.pop(0)()
    with pytest.raises(StoreUnavailable, match="no byte left"):
        sweeper.sweep()
    sweeper.sweep()
    assert len(tasks) == 2, "it is tried again"
    while tasks:
        tasks.pop()()
    assert sweeper.sweep() == 0
    assert set(sweeper.published) == {batch.batch_id, healthy.batch_id}


def test_the_sweep_after_a_publishing_beside_it_tells_of_it(night: TimedNight) -> None:
    """So it does where the next round has begun meanwhile, which leaves the batch open."""
    batch = night.accept(2)
    close(night.store, batch.batch_id, "cancelled")
    tasks: list[Callable[[], object]] = []
    told: list[bool] = []
    batches = OpenBatches(night.store, batch_scan_s=0.0)
    sweeper = Sweeper(
        night.store, night.queue, batches, night.settings.prices, aside=tasks.append, after_sweep=told.append
    )
    sweeper.sweep()
    tasks.pop()()
    reopen(night.store, batch.batch_id)
    assert sweeper.sweep() == 1, "the next round is open"
    sweeper.sweep()
    assert told == [False, True, False]


@pytest.mark.parametrize("rows", [3, 300])
def test_cancelled_rows_get_their_outcomes_when_the_batch_is_published(night: TimedNight, rows: int) -> None:
    """The cancellation writes no file for the rows that never ran, however many there are."""
    batch = night.accept(rows)
    night.finish(night.claim(1))
    files = night.store.list(BatchPaths(batch.batch_id).root)
    close(night.store, batch.batch_id, "cancelled")
    night.queue.drop(LANE, batch.batch_id, 1, forget=False)
    night.sweep()
    assert night.done(batch.batch_id).counts == {"completed": 1, "failed": 0, "cancelled": rows - 1, "expired": 0}
    assert len(night.store.list(BatchPaths(batch.batch_id).segments)) == 1
    more = set(night.store.list(BatchPaths(batch.batch_id).root)) - set(files)
    assert more == {"closed-1.json", "done-1.json", "published"}


def test_a_batch_that_completes_while_the_sweeper_asks_the_queue_is_not_fed_again(
    night: TimedNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweeper reads storage after the queue has shown the batch as drained. Only a row without an outcome at that time is
    lost.
    """
    batch = night.accept(3)
    jobs, snapshot = night.claim(), night.queue.snapshot

    def drained(lane: str, *batch_ids: str) -> LaneSnapshot:
        monkeypatch.undo()
        night.finish(jobs)
        return snapshot(lane, *batch_ids)

    monkeypatch.setattr(night.queue, "snapshot", drained)
    night.sweep()
    assert night.completed_rows(batch.batch_id) == [0, 1, 2]


def test_many_small_segments_are_compacted_while_rows_are_left(make_night: Callable[..., TimedNight]) -> None:
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
    assert night.completed_rows(batch.batch_id) == [0, 1, 2, 3, 4]
    assert len(night.store.list(paths.segments)) == 2, "a batch that is about to be published is not compacted"


def test_damage_found_while_compacting_holds_up_no_other_batch(
    make_night: Callable[..., TimedNight],
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
    night.clock.pass_s(120)
    with pytest.raises(StoreDamaged, match="Restore it from a backup"):
        sweeper.sweep()
    assert night.completed_rows(other) == list(range(made[other].rows))


class Counted(LocalStore):
    """Counts how often whole segments are read."""

    reads = 0

    def read(self, path: str) -> bytes:
        self.reads += "/segments/" in path
        return super().read(path)


def test_a_damaged_batch_is_read_less_and_less_often_and_published_once_it_is_restored(
    make_night: Callable[..., TimedNight],
) -> None:
    night = make_night(breaker_rows=0)
    batch = night.accept(3)
    night.finish(night.claim())
    (path,) = Path(night.store.url).glob("batches/*/segments/*")
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + b"\xff" + whole[-8:])
    store, seconds = Counted(night.store.url), [0.0]
    batches, damage = OpenBatches(store, batch_scan_s=0.0), Damage(lambda: seconds[0])
    sweeper = Sweeper(store, night.queue, batches, night.settings.prices, clock=night.now, damage=damage)
    for _ in range(60):  # there is a sweep every second
        with pytest.raises(StoreDamaged, match="Restore it from a backup"):
            sweeper.sweep()
        seconds[0] += 1.0
    assert store.reads == 6, "at 0, 1, 3, 7, 15 and 31 s"
    assert sweeper.damaged == 1
    path.write_bytes(whole)
    other = night.accept(2)
    night.finish(night.claim())
    with pytest.raises(StoreDamaged):
        sweeper.sweep()
    assert night.completed_rows(other.batch_id) == [0, 1], "another batch does not wait"
    seconds[0] = 63.0
    sweeper.sweep()
    assert night.completed_rows(batch.batch_id) == [0, 1, 2]
    assert sweeper.damaged == 0


def test_lanes_are_fed_again_once_the_queue_knows_all_of_them(make_night: Callable[..., TimedNight]) -> None:
    night = make_night(models={"late": {"engine": "stub"}})
    batch = night.accept([{"kind": "chat", "model": model, "prompt": "Say."} for model in (LANE, LANE, "late")])
    jobs = night.claim()
    night.finish(jobs[:1])
    night.queue.settle(LANE, [Settlement(jobs[1].lease)])  # the job is settled, but its outcome is not in storage

    def version() -> int:
        return night.snapshot().batches[batch.batch_id].version

    before = version()
    for _ in range(3):
        night.sweep()
    assert version() == before, "the queue does not know the lane late yet"
    late = night.claim(lane="late")
    night.sweep()
    assert version() == before, "the lane late has a live job"
    night.finish(late, lambda lease: completed(lease, model="late"), lane="late")
    night.sweep()
    again = night.claim()
    assert [job.key.row for job in again] == [1]
    night.finish(again)
    assert night.claim(lane="late") == []
    night.sweep()
    assert night.completed_rows(batch.batch_id) == [0, 1, 2]


@pytest.mark.parametrize(
    "fed", [pytest.param(0, id="never fed"), pytest.param(2, id="half fed"), pytest.param(4, id="fed")]
)
def test_a_batch_whose_rows_all_have_outcomes_is_published_although_its_input_is_gone(
    make_night: Callable[..., TimedNight], fed: int
) -> None:
    """The queue has not seen the end of the input. Without the input, no feeder can move the cursor there."""
    night = make_night(window_rows=max(1, fed))
    batch = night.accept(4)
    jobs = night.claim(fed) if fed else []
    night.write([completed(job.lease) for job in jobs])
    night.queue.settle(LANE, [Settlement(job.lease) for job in jobs])
    night.write(
        [Outcome(row, 1, 1, "another", "completed", True, "chat", model=LANE) for row in range(fed, 4)], batch.batch_id
    )
    night.store.delete(BatchPaths(batch.batch_id).input(LANE))
    assert night.sweeper().sweep() == 0
    assert night.done(batch.batch_id).counts["completed"] == 4

"""Shows jobs/publishing/sweeper.py when a batch is deleted at any moment: the sweep continues, and the queue forgets
the batch.
"""

from collections.abc import Callable
from typing import Any

import pytest

from jobs.batches.batch import Batch, BatchPaths
from jobs.batches.open_batches import OpenBatches
from jobs.batches.rounds import is_left_over, reopen
from jobs.errors import NoBatch
from jobs.publishing.candidates import add_candidates
from jobs.publishing.publish import publish
from jobs.publishing.retention import delete_batch
from jobs.publishing.sweeper import Sweeper
from tests.support.outcomes import failed
from tests.support.timed_night import TimedNight


@pytest.fixture
def scanned_once(make_night: Callable[..., TimedNight]) -> tuple[TimedNight, Sweeper]:
    """A night, and a sweeper that scans only once. It learns of later changes from the batches themselves."""
    night = make_night(breaker_rows=0)
    batches = OpenBatches(night.store, batch_scan_s=1e9)
    return night, Sweeper(night.store, night.queue, batches, night.settings.prices, clock=night.now)


def publish_and_delete(night: TimedNight, batch: Batch) -> None:
    """Another process publishes the batch and deletes it."""
    publish(night.store, batch.batch_id, prices=night.settings.prices, clock=night.now)
    delete_batch(night.store, batch.batch_id, clock=night.now)


def test_a_sweep_goes_on_after_another_process_published_and_deleted_a_batch(
    scanned_once: tuple[TimedNight, Sweeper],
) -> None:
    night, sweeper = scanned_once
    gone, other = night.accept(2), night.accept(3)
    jobs = night.claim()
    assert sweeper.sweep() == 2
    night.finish([job for job in jobs if job.key.batch_id == gone.batch_id])
    for index in sweeper.batches:
        index.refresh()
    publish_and_delete(night, gone)
    night.finish([job for job in jobs if job.key.batch_id == other.batch_id])
    assert sweeper.sweep() == 0
    assert list(sweeper.published) == [other.batch_id]
    assert night.snapshot().batches == {}


@pytest.mark.parametrize("round_", [1, 2])
def test_a_deleted_batch_is_dropped_from_the_queue(night: TimedNight, round_: int) -> None:
    """The batch's index notices the deletion too: an empty folder does not count as a batch in round 1."""
    batch = night.accept(2)
    batches = OpenBatches(night.store, batch_scan_s=0.0)
    sweeper = Sweeper(night.store, night.queue, batches, night.settings.prices, clock=night.now)
    if round_ == 2:
        night.finish(night.claim(), failed)
        assert sweeper.sweep() == 0
        reopen(night.store, batch.batch_id, clock=night.now)
        sweeper.published.clear()
    jobs = night.claim()
    assert sweeper.sweep() == 1
    night.finish(jobs)
    publish_and_delete(night, batch)
    with pytest.raises(NoBatch):
        next(iter(batches)).refresh()
    assert list(night.snapshot().batches) == [batch.batch_id]
    assert sweeper.sweep() == 0
    assert (night.snapshot().batches, sweeper.published) == ({}, {})


@pytest.mark.parametrize(
    ("collected", "again"),
    [
        pytest.param(False, False, id="before its segments are read"),
        pytest.param(True, False, id="after its segments are read"),
        pytest.param(True, True, id="after that, and it is accepted again"),
    ],
)
def test_a_sweep_goes_on_after_a_batch_was_deleted_while_it_was_published(
    scanned_once: tuple[TimedNight, Sweeper], monkeypatch: pytest.MonkeyPatch, collected: bool, again: bool
) -> None:
    night, sweeper = scanned_once
    batch = night.accept(2)
    night.finish(night.claim())

    def meanwhile(*given: Any) -> Any:
        monkeypatch.setattr("jobs.publishing.edition.add_candidates", add_candidates)
        names = add_candidates(*given) if collected else []
        publish_and_delete(night, batch)
        if again:
            night.clock.pass_s(1)
            night.accept(2)
        return names or add_candidates(*given)

    monkeypatch.setattr("jobs.publishing.edition.add_candidates", meanwhile)
    assert sweeper.sweep() == 0
    assert (sweeper.published, night.store.list("unsummed")) == ({}, [])
    assert not is_left_over(night.store, batch.batch_id)


def test_a_file_that_is_missing_from_a_batch_under_deletion_is_not_damage(
    scanned_once: tuple[TimedNight, Sweeper],
) -> None:
    night, sweeper = scanned_once
    batch = night.accept(2)
    jobs = night.claim()
    assert sweeper.sweep() == 1
    night.finish(jobs[:1])
    night.finish(jobs[1:], failed)
    publish(night.store, batch.batch_id, prices=night.settings.prices, clock=night.now)
    reopen(night.store, batch.batch_id, clock=night.now)
    paths = BatchPaths(batch.batch_id)
    night.store.delete(paths.acceptance)
    night.store.delete(f"{paths.root}/published")
    assert sweeper.sweep() == 0

"""Shows jobs/publishing/sweeper.py at the soft deadline: the sweeper publishes the rows that are ready, and the next round does
all other rows.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from jobs.accounts.tallies import tallies
from jobs.batches.published import ERRORS, read_published
from jobs.batches.rounds import close, is_open, read_round, reopen, resume
from jobs.operations.listing import Choice, listing
from jobs.operations.status_reader import StatusReader
from jobs.store.store import Store
from tests.support.clocks import EVENING
from tests.support.night import LANE, LEASE_MS, chats
from tests.support.outcomes import completed, failed
from tests.support.timed_night import ME, TimedNight

EIGHT = EVENING + timedelta(hours=10)


def test_at_the_soft_deadline_the_ready_rows_are_published_and_the_others_follow(night: TimedNight) -> None:
    batch = night.accept([*chats(6), *[b"{"] * 1], publish_at=EIGHT)
    night.finish(night.claim(2))
    night.sweep()
    assert read_round(night.store, batch).closed is None, "the soft deadline is not reached yet"
    night.at(EIGHT)
    night.sweep()
    first = night.done(batch.batch_id)
    assert (first.round, first.counts["completed"], first.counts["failed"], first.counts["expired"]) == (1, 2, 1, 4)
    errors = read_published(night.store, first, batch.batch_id, ERRORS)
    assert sorted(row["error"]["code"] for row in errors) == ["not_json", *["postponed"] * 4]
    assert read_round(night.store, batch).number == 2
    assert night.store.list("open") == [batch.batch_id]
    night.finish(night.claim())
    night.sweep()
    second = night.done(batch.batch_id)
    assert (second.round, second.counts["completed"], second.counts["failed"]) == (2, 6, 1)
    assert night.store.list("open") == []


def test_jobs_that_run_at_the_soft_deadline_finish_and_count_in_the_next_round(night: TimedNight) -> None:
    batch = night.accept(4, publish_at=EIGHT)
    running = night.claim(2)
    night.at(EIGHT)
    night.sweep()
    assert night.queue.beat(LANE, [job.lease for job in running], LEASE_MS, ME).cancelled == frozenset()
    rest = night.claim()
    assert {job.key.row for job in (*running, *rest)} == {0, 1, 2, 3}, "waiting rows are not held up by running ones"
    assert (len(rest), {job.lease.round for job in rest}) == (2, {2})
    night.finish(rest)
    beat = night.queue.beat(LANE, [job.lease for job in running], LEASE_MS, ME)
    assert (beat.lost, beat.cancelled) == (frozenset(), frozenset())
    night.sweep()
    assert read_round(night.store, batch).done is None
    night.finish(running)
    night.sweep()
    assert night.completed_rows(batch.batch_id) == [0, 1, 2, 3]


def test_usage_of_both_rounds_adds_up_and_nothing_is_charged_twice(night: TimedNight) -> None:
    batch = night.accept(4, publish_at=EIGHT)
    night.finish(night.claim(3))
    night.at(EIGHT)
    night.sweep()
    night.at(EIGHT + timedelta(days=1))
    night.finish(night.claim())
    night.sweep()
    days = tallies(night.store, "day")["USD"]
    assert [tally.rows for tally in days.values()] == [3, 1]
    assert sum(tally.usage.charge for tally in days.values()) == sum(completed(row).usage.charge for row in range(4))
    assert tallies(night.store, "batch")["USD"][batch.batch_id].rows == 4


def test_a_row_that_fails_after_the_soft_deadline_is_tried_in_the_next_round(night: TimedNight) -> None:
    batch = night.accept(2, publish_at=EIGHT)
    running = night.claim(1)
    night.at(EIGHT)
    night.sweep()
    night.finish(running, failed)
    rest = night.claim()
    assert sorted(job.key.row for job in rest) == [0, 1]
    night.finish(rest)
    night.sweep()
    assert night.completed_rows(batch.batch_id) == [0, 1]


def test_a_row_of_the_round_before_that_fails_after_the_next_round_was_fed_is_tried_again(
    night: TimedNight,
) -> None:
    batch = night.accept(2, publish_at=EIGHT)
    running = night.claim(1)
    night.at(EIGHT)
    night.sweep()
    night.finish(night.claim())
    night.finish(running, failed)
    night.sweep()
    again = night.claim()
    assert [(job.key.row, job.lease.round) for job in again] == [(0, 2)]
    night.finish(again)
    night.sweep()
    assert night.completed_rows(batch.batch_id) == [0, 1]


def test_a_paused_batch_stays_paused_over_the_soft_deadline(make_night: Callable[..., TimedNight]) -> None:
    night = make_night(breaker_rows=2)
    batch = night.accept(8, publish_at=EIGHT)
    night.finish(night.claim(2), failed)
    night.sweep()
    night.at(EIGHT)
    for _ in range(2):
        night.sweep()
    current = read_round(night.store, batch)
    assert (current.number, current.closed, current.paused is None) == (1, None, False)
    assert night.claim() == []
    resume(night.store, batch, clock=night.now)
    for _ in range(2):
        night.sweep()
    assert read_round(night.store, batch).number == 2
    night.finish(night.claim())
    night.sweep()
    assert night.completed_rows(batch.batch_id) == list(range(8))


def test_a_batch_between_two_rounds_is_shown_as_open(
    night: TimedNight, dying: Callable[[Store, int], Store], killed: type[BaseException]
) -> None:
    batch = night.accept(3, publish_at=EIGHT)
    night.finish(night.claim(1))
    night.at(EIGHT)
    whole = night.store
    night.store = dying(whole, 4)
    with pytest.raises(killed):
        night.sweep()
    night.store = whole
    assert read_round(whole, batch).has_next_round, "round 1 is published, and round 2 not open yet"
    assert StatusReader(whole, night.queue).batch(batch.batch_id).state == "publishing"
    assert listing(whole, Choice(published=0)).ids == [batch.batch_id]
    assert is_open(whole, batch.batch_id)


@pytest.mark.parametrize("running", [pytest.param(0, id="nothing runs"), pytest.param(2, id="some run")])
def test_a_cancel_during_the_soft_deadline_ends_the_batch(night: TimedNight, running: int) -> None:
    batch = night.accept(4, publish_at=EIGHT)
    jobs = night.claim(running) if running else []
    night.at(EIGHT)
    close(night.store, batch.batch_id, "postponed", clock=night.now)
    for _ in range(2):  # a person may cancel twice
        assert close(night.store, batch.batch_id, "cancelled", clock=night.now).reason == "cancelled"
    assert StatusReader(night.store, night.queue).batch(batch.batch_id).state == "cancelling"
    for _ in range(3):
        night.sweep()
    done = night.done(batch.batch_id)
    assert (done.round, done.counts["cancelled"]) == (2, 4)
    assert night.queue.beat(LANE, [job.lease for job in jobs], LEASE_MS, ME).lost == {job.lease for job in jobs}
    reopen(night.store, batch.batch_id, clock=night.now)
    night.finish(night.claim())
    night.sweep()
    assert night.completed_rows(batch.batch_id) == [0, 1, 2, 3], "a further round is not cancelled with it"


def test_several_sweepers_at_a_soft_deadline_open_one_round(night: TimedNight) -> None:
    batch = night.accept(6, publish_at=EIGHT)
    night.finish(night.claim(2))
    night.at(EIGHT)
    with ThreadPoolExecutor(4) as sweepers:
        for swept in [sweepers.submit(night.sweep) for _ in range(4)]:
            swept.result()
    night.sweep()
    assert read_round(night.store, batch).number == 2
    night.finish(night.claim())
    night.sweep()
    assert night.completed_rows(batch.batch_id) == list(range(6))
    assert sum(tally.rows for tally in tallies(night.store, "day")["USD"].values()) == 6


def test_a_batch_that_is_complete_by_then_has_one_round(night: TimedNight) -> None:
    batch = night.accept(2, publish_at=EIGHT)
    night.finish(night.claim())
    night.at(EIGHT)
    night.sweep()
    assert (night.done(batch.batch_id).round, read_round(night.store, batch).closed) == (1, None)


def test_the_hard_deadline_ends_the_next_round_too(night: TimedNight) -> None:
    batch = night.accept(2, publish_at=EIGHT, deadline=EIGHT + timedelta(hours=1))
    night.finish(night.claim(1))
    night.at(EIGHT)
    night.sweep()
    assert read_round(night.store, batch).deadline == batch.deadline
    night.at(EIGHT + timedelta(hours=1))
    for _ in range(2):
        night.sweep()
    done = night.done(batch.batch_id)
    assert (done.round, done.counts["completed"], done.counts["expired"]) == (2, 1, 1)
    assert night.store.list("open") == []


@pytest.mark.parametrize("step", range(9))
def test_a_sweeper_that_dies_at_any_step_of_a_soft_deadline_loses_nothing(
    night: TimedNight, step: int, dying: Callable[[Store, int], Store], killed: type[BaseException]
) -> None:
    batch = night.accept(3, publish_at=EIGHT)
    night.finish(night.claim(1))
    night.at(EIGHT)
    whole = night.store
    night.store = dying(whole, step)
    try:
        night.sweep()
    except killed:
        assert step < 8
    night.store = whole
    for _ in range(3):
        night.sweep()
    assert read_round(night.store, batch).number == 2
    night.finish(night.claim())
    night.sweep()
    assert (night.done(batch.batch_id).round, night.completed_rows(batch.batch_id)) == (2, [0, 1, 2])

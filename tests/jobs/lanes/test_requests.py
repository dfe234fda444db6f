"""Shows jobs/lanes/requests.py: a renewed row is told what not to repeat, by the marker of its job's own round.

`test_feed.py` shows which request a job has.
"""

from typing import Any

import pytest

from jobs.batches.batch import Batch, Renewal
from jobs.batches.request_row import RowRequest
from jobs.batches.rounds import read_round, reopen
from jobs.errors import NoBatch
from jobs.lanes.job import Job, JobKey, Lease
from jobs.lanes.requests import renewed
from jobs.publishing.retention import delete_batch

ROW = RowRequest(row=1, line=2, kind="chat", model="stub", request={"prompt": "Row 1"}, seed=7)


@pytest.fixture
def batch(shelf: Any) -> Batch:
    """A batch in round 2, which renews row 1."""
    made: Batch = shelf.accept(rows=2)
    shelf.write("night-1", [shelf.completed(0), shelf.completed(1)])
    shelf.publish()
    reopen(shelf.store, "night-1", renews=[Renewal(rows=(1,), avoid=("Once upon",))])
    return made


def job(round_: int = 2, row: int = 1) -> Job:
    return Job(Lease(JobKey("night-1", row), round_, 1, "w-1-i-7"), b"")


def test_a_renewed_row_knows_what_not_to_repeat_and_has_another_seed(shelf: Any, batch: Batch) -> None:
    current = read_round(shelf.store, batch)
    row = renewed(shelf.store, job(), ROW, current)
    assert (row.avoid, row.request) == (("Once upon",), ROW.request)
    assert row.seed not in (7, None)
    assert renewed(shelf.store, job(), ROW, current) == row, "each attempt of the round has the same seed"
    assert renewed(shelf.store, job(), ROW._replace(seed=None), current).seed != row.seed


def test_other_rows_and_other_rounds_are_as_they_were(shelf: Any, batch: Batch) -> None:
    current = read_round(shelf.store, batch)
    other = ROW._replace(row=0)
    assert renewed(shelf.store, job(row=0), other, current) is other
    assert renewed(shelf.store, job(round_=1), ROW, current) is ROW


def test_a_worker_that_has_not_read_the_round_yet_reads_it(shelf: Any, batch: Batch) -> None:
    """Another worker may have fed the job."""
    shelf.write("night-1", [shelf.completed(1, round_=2)])
    shelf.publish()
    stale = read_round(shelf.store, batch)
    reopen(shelf.store, "night-1", renews=[Renewal(rows=(1,), avoid=("Have you",))])
    for known in (stale, None):
        assert renewed(shelf.store, job(round_=3), ROW, known).avoid == ("Have you",)


def test_a_job_of_a_deleted_batch_is_none(shelf: Any, batch: Batch) -> None:
    shelf.write("night-1", [shelf.completed(1, round_=2)])
    shelf.publish()
    delete_batch(shelf.store, "night-1", clock=shelf.clock)
    with pytest.raises(NoBatch):
        renewed(shelf.store, job(), ROW, None)

"""Requests of claimed jobs: taken from the job itself, or read from the input in storage."""

from jobs.batches.batch import BatchPaths
from jobs.batches.input import read_rows
from jobs.batches.request_row import RowRequest
from jobs.errors import RowError
from jobs.lanes.job import InputSlice, Job
from jobs.store.store import Store


def load_request(store: Store, batch_id: str, lane: str, job: Job) -> RowRequest:
    """The request of a claimed job. Raises RowError `bad_record` when storage has none that can be read back.

    What the queue says of it may be damaged, and decides nothing: the row is then looked for in the whole input.
    """
    try:
        return _named(store, batch_id, lane, job)
    except RowError:
        for request in read_rows(store, batch_id, lane):
            if request.row == job.key.row:
                return request
        raise


def _named(store: Store, batch_id: str, lane: str, job: Job) -> RowRequest:
    """What the job brings, or names a place of."""
    payload = job.payload
    try:
        if isinstance(payload, InputSlice):
            payload = store.read_range(BatchPaths(batch_id).input(lane), payload.offset, payload.length)
        request = RowRequest.from_bytes(payload)
    except (ValueError, TypeError, KeyError) as error:
        raise RowError("bad_record", f"the stored request cannot be read back: {error}") from error
    if request.row != job.key.row:
        raise RowError("bad_record", f"the stored request is that of row {request.row}")
    return request

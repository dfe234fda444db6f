"""This module reads the request of a claimed job: from the job's payload, or from the input in storage."""

from jobs.batches.batch import BatchPaths
from jobs.batches.input import read_rows
from jobs.batches.request_row import RowRequest
from jobs.errors import RowError
from jobs.lanes.job import InputSlice, Job
from jobs.store.store import Store


def load_request(store: Store, batch_id: str, lane: str, job: Job) -> RowRequest:
    """Return the request of a claimed job. Raises RowError `bad_record` if no line of the input holds the request.

    If the payload on the queue is damaged, the request is searched for in the whole input (rule 25 of jobs/PROTOCOL.md).
    """
    try:
        return _from_payload(store, batch_id, lane, job)
    except RowError:
        for request in read_rows(store, batch_id, lane):
            if request.row == job.key.row:
                return request
        raise


def _from_payload(store: Store, batch_id: str, lane: str, job: Job) -> RowRequest:
    payload = job.payload
    try:
        if isinstance(payload, InputSlice):
            payload = store.read_range(BatchPaths(batch_id).input(lane), payload.offset, payload.length)
        request = RowRequest.from_bytes(payload)
    except (ValueError, TypeError, KeyError) as error:
        raise RowError("bad_record", f"the stored request cannot be read back: {error}") from error
    if request.row != job.key.row:
        raise RowError("bad_record", f"the stored request belongs to row {request.row}")
    return request

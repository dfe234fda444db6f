"""This module reads the request of a claimed job: from the job's payload, or from the input in storage.

What a renewed row must not repeat comes from the marker of its round, in storage (rule 44 of jobs/PROTOCOL.md).
"""

import hashlib

from jobs.batches.batch import BatchPaths
from jobs.batches.input import read_rows
from jobs.batches.request_row import RowRequest
from jobs.batches.round import Round
from jobs.batches.rounds import read_round, require_batch
from jobs.errors import RowError
from jobs.lanes.job import InputSlice, Job
from jobs.memory.row_memory import of_editors
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


def renewed(store: Store, job: Job, row: RowRequest, current: Round | None) -> RowRequest:
    """Return the request with what it must not repeat, and with another seed, if the round of its job renews the row.

    A row that this round renews, or that was sent back for it by name, is to be done anew, so it takes nothing from the
    translation memory but what editors wrote.
    `current` is the round of the batch as it was read last; None if it is not known. Storage is read again if the job is of a
    later round. Raises NoBatch, StoreDamaged, StoreUnavailable.
    """
    if job.lease.round > 1 and (current is None or current.number < job.lease.round):
        current = read_round(store, require_batch(store, job.key.batch_id))
    if current is None or current.number != job.lease.round:
        return row
    if row.known and current.sent_back.get(row.row) == current.number:
        row = row._replace(known=of_editors(row.known))
    avoid = current.renewed.get(row.row)
    if avoid is None:
        return row
    digest = hashlib.sha256(f"{job.key} {job.lease.round} {row.seed}".encode()).digest()
    return row._replace(avoid=tuple(avoid), seed=int.from_bytes(digest[:4], "big") >> 1)


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

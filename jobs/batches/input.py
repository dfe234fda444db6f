"""This module reads the input of a lane from storage. It skips damaged lines.

If no line of any lane holds a row, the row fails once the batch has no other row to run (rule 27 of jobs/PROTOCOL.md).
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from jobs.batches.batch import Batch, BatchPaths
from jobs.batches.records import missing
from jobs.batches.request_row import RowRequest
from jobs.store.store import Store


def read_row(line: bytes) -> RowRequest | None:
    """Read the request on a line. Returns None if the line is damaged."""
    try:
        request = RowRequest.from_bytes(line)
    except (ValueError, TypeError):
        return None
    row: object = request.row  # `from_bytes` does not check its type
    return request if type(row) is int and row >= 0 else None


@contextmanager
def lane_input(store: Store, batch_id: str, lane: str) -> Iterator[BinaryIO]:
    """Open the input of a lane for streaming. Raises StoreDamaged if the file is missing."""
    path = BatchPaths(batch_id).input(lane)
    try:
        with store.reader(path) as file:
            yield file
    except KeyError as error:
        raise missing(store, path) from error


def read_rows(store: Store, batch_id: str, lane: str) -> Iterator[RowRequest]:
    """Yield the readable requests of a lane in input order. Raises StoreDamaged if the input is missing."""
    with lane_input(store, batch_id, lane) as file:
        for line in file:
            if (request := read_row(line)) is not None:
                yield request


def rows_without_request(store: Store, batch: Batch, rows: Iterable[int]) -> list[int]:
    """Return those of `rows` that no line of any lane holds. Reads the whole input, with one byte of memory for each row."""
    there = bytearray(batch.rows)
    for lane in batch.lanes:
        for request in read_rows(store, batch.batch_id, lane):
            if request.row < batch.rows:
                there[request.row] = 1
    return [row for row in rows if not there[row]]

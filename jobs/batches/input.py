"""The rows of a lane's input as storage holds them, also where its bytes are damaged.

A line that cannot be read back is no row: the others go on, and whoever misses a row looks here whether any line holds it.
Nothing here writes.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from jobs.batches.batch import Batch, BatchPaths
from jobs.batches.request_row import RowRequest
from jobs.store.damage import missing_file
from jobs.store.store import Store


def read_row(line: bytes) -> RowRequest | None:
    """The request on a line; None when it cannot be read back."""
    try:
        request = RowRequest.from_bytes(line)
    except (ValueError, TypeError):
        return None
    row: object = request.row  # as it was read: nothing has looked at its type
    return request if type(row) is int and row >= 0 else None


@contextmanager
def lane_input(store: Store, batch_id: str, lane: str) -> Iterator[BinaryIO]:
    """The input of a lane, to be streamed. Raises StoreDamaged when it is missing, as no input of a batch may be."""
    path = BatchPaths(batch_id).input(lane)
    try:
        with store.reader(path) as file:
            yield file
    except KeyError as error:
        raise missing_file(store, path) from error


def read_rows(store: Store, batch_id: str, lane: str) -> Iterator[RowRequest]:
    """The requests of a lane that can be read back, in input order. Raises StoreDamaged when there is no input."""
    with lane_input(store, batch_id, lane) as file:
        for line in file:
            if (request := read_row(line)) is not None:
                yield request


def rows_without_request(store: Store, batch: Batch, rows: Iterable[int]) -> list[int]:
    """Those of `rows` that no line of any lane holds. Reads the whole input; a byte a row is all that it keeps."""
    there = bytearray(batch.rows)
    for lane in batch.lanes:
        for request in read_rows(store, batch.batch_id, lane):
            if request.row < batch.rows:
                there[request.row] = 1
    return [row for row in rows if not there[row]]

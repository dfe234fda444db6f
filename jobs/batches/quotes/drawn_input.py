"""The drawn input of a lane: the rows that were drawn to quote the batch, in input order (rule 49 of jobs/PROTOCOL.md)."""

from collections.abc import Iterator, Sequence
from typing import Self

from jobs.batches.batch import Batch, BatchPaths
from jobs.batches.quotes.sample import Quoting, SampleRow, cursor_of, drawn_counts, fed_by, read_sample
from jobs.batches.records import missing
from jobs.store.fan_out import each
from jobs.store.store import Store


class DrawnInput:
    """The drawn rows of one lane. Its cursor counts them (jobs/batches/quotes/sample.py).

    `lane_bytes` is the size of the lane's input.
    """

    def __init__(self, store: Store, path: str, rows: Sequence[SampleRow], lane_bytes: int) -> None:
        self._store = store
        self._path = path
        self._rows = rows
        self._lane_bytes = lane_bytes

    @classmethod
    def read(cls, store: Store, batch: Batch, quoting: Quoting, lane: str) -> Self:
        """Read which rows are drawn by now. Raises StoreDamaged, NoBatch."""
        sample = read_sample(store, batch)
        rows = sample.rows_of(drawn_counts(store, batch, sample, quoting), lane)
        return cls(store, BatchPaths(batch.batch_id).input(lane), rows, batch.lanes[lane].bytes)

    def lines(self, cursor: int) -> Iterator[tuple[int, bytes, int]]:
        """Yield the lines from a cursor on, each with its byte offset in the input, and the cursor after it.

        Raises StoreDamaged if the input is missing.
        """
        fed = fed_by(self._lane_bytes, cursor, len(self._rows))
        left = self._rows[fed:]
        for n, line in enumerate(each(self._line, left, self._store.reads_at_once), fed + 1):
            yield self._rows[n - 1].offset, line, cursor_of(self._lane_bytes, n)

    def _line(self, row: SampleRow) -> bytes:
        try:
            return self._store.read_range(self._path, row.offset, row.length)
        except KeyError as error:
            raise missing(self._store, self._path) from error

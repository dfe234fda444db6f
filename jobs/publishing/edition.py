"""An edition is the folder that one publisher writes: the rows of a round in input order, and their sums.

It is written under a name of its own, and nobody reads it until `done-<round>.json` names it (rules 19 and 20 of
jobs/PROTOCOL.md). Memory stays bounded whatever the size of the batch.
"""

import hashlib
import heapq
import sys
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from operator import itemgetter
from typing import Any, BinaryIO, Final, Generic, TypeVar, get_args

import orjson

from jobs.batches.batch import Done, PublishedFile, Status
from jobs.batches.budgets.state import state_of
from jobs.batches.input import read_rows
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.output_rows import closed_row
from jobs.batches.published import ERRORS, OUTPUT, USAGE, published_rows, read_usage
from jobs.batches.request_row import RowRequest
from jobs.batches.rounds import Clock
from jobs.prices import Prices
from jobs.publishing.candidates import add_candidates
from jobs.publishing.ledger import Ledger
from jobs.publishing.winners import Winner, Winners
from jobs.store.store import CHUNK_BYTES, Store

Value = TypeVar("Value")

PIECE_BYTES: Final = CHUNK_BYTES
"""A published file is hashed and written in pieces of about this many bytes."""


class Edition:
    """One publisher's folder. After `write`, `usage` is the content of the folder's `usage.json`.

    `usage_before` is the content of the `usage.json` of the round before; None if there was no such round.
    """

    def __init__(self, store: Store, index: OutcomeIndex, prices: Prices, winners: Winners) -> None:
        self._store = store
        self._index = index
        self._prices = prices
        self._winners = winners
        self._ledger = Ledger()
        self._batch_id = index.batch.batch_id
        self._nonce = uuid.uuid4().hex[:16]
        self._folder = index.paths.published(index.round, self._nonce)
        before = index.current.before
        self.usage_before = read_usage(store, before, self._batch_id) if before else None
        self.usage: Mapping[str, Any] = {}

    def write(self, clock: Clock) -> Done:
        """Write the files, and return the marker that would publish them.

        Raises Compacted if a segment's file was compacted meanwhile, StoreDamaged, StoreUnavailable.
        """
        names = add_candidates(self._store, self._index, self._winners, self._ledger)
        with self._file(OUTPUT) as output, self._file(ERRORS) as errors:
            self._write_rows(output, errors)
        self.usage = self._ledger.usage(self._index.batch, self._index.round, self._prices, self.usage_before)
        if (budget := state_of(self._index.book, self._prices.currency)) is not None:
            self.usage = {**self.usage, "budget": replace(budget, used=self.usage["charge"]).as_dict()}
        with self._file(USAGE) as usage:
            usage.write(orjson.dumps(self.usage))
        statuses: tuple[Status, ...] = get_args(Status)
        return Done(
            round=self._index.round,
            folder=f"published/{self._index.round}-{self._nonce}",
            counts={status: self._ledger.rows(status) for status in statuses},
            codes=self._ledger.codes(),
            verdicts=self._ledger.verdicts(),
            files={OUTPUT: output.record, ERRORS: errors.record, USAGE: usage.record},
            segments_sha256=hashlib.sha256("\n".join(names).encode()).hexdigest(),
            at=clock(),
        )

    def _write_rows(self, output: "_File", errors: "_File") -> None:
        carried = _Ascending(self._carried())
        requests = _Ascending(self._requests())
        for rows, winners in self._winners.ranges():
            for row in rows:
                before = carried.at(row)
                winner = self._winner(row, winners, before)
                if winner is not None:
                    raw: bytes | memoryview = winner.text
                    status = self._ledger.post(winner.entry)
                else:
                    values = orjson.loads(before) if before is not None else self._closed(row, requests)
                    status = self._ledger.post(self._ledger.entry(values))
                    raw = before.rstrip(b"\n") if before is not None else orjson.dumps(values)
                (output if status == "completed" else errors).write(raw)
        carried.at(self._index.batch.rows)  # this reads to the end of the file, where the file's sha256 is checked

    def _winner(self, row: int, winners: Mapping[int, Winner], before: bytes | None) -> Winner | None:
        """Return the line of this round that is published. None: the outcome of the round before stands, or the round was closed.

        `before` is the row's line of the round before if the row completed there. Then only a renewed row may take another line:
        a completed one, and a fit one if the text of the round before is fit (rule 44 of jobs/PROTOCOL.md).
        """
        if before is None:
            return winners.get(row)
        if row not in self._index.current.renewed:
            return None
        winner = winners.get(row)
        if winner is None or self._ledger.status(winner.entry) != "completed":
            return None
        is_worse = self._ledger.verdict(winner.entry) != "fit" and orjson.loads(before).get("verdict") == "fit"
        return None if is_worse else winner

    def _closed(self, row: int, requests: "_Ascending[RowRequest]") -> dict[str, Any]:
        if self._index.closed is None:
            raise RuntimeError(f"row {row} of {self._batch_id} has no outcome, and the round is not closed")
        return closed_row(self._batch_id, row, requests.at(row), self._index.closed)

    def _carried(self) -> Iterator[tuple[int, bytes]]:
        """Yield the number and the line of each row that completed in the round before and may keep this outcome."""
        current = self._index.current
        if current.before is not None:
            for values, raw in published_rows(self._store, current.before, self._batch_id, OUTPUT):
                if current.may_keep(values["row"]):
                    yield values["row"], raw

    def _requests(self) -> Iterator[tuple[int, RowRequest]]:
        """Yield the row number and the request of each row of all lanes whose request can be read, in input order."""
        lanes = (self._lane(lane) for lane in self._index.batch.lanes)
        return heapq.merge(*lanes, key=itemgetter(0))

    def _lane(self, lane: str) -> Iterator[tuple[int, RowRequest]]:
        for request in read_rows(self._store, self._batch_id, lane):
            yield request.row, request

    @contextmanager
    def _file(self, name: str) -> Iterator["_File"]:
        with self._store.writer(f"{self._folder}/{name}") as stream, ThreadPoolExecutor(1, "published") as thread:
            file = _File(stream, thread)
            yield file
            file.flush()


class _File:
    """A published file while it is written. A thread hashes and writes the lines that the caller adds."""

    def __init__(self, stream: BinaryIO, thread: Executor) -> None:
        self._stream = stream
        self._thread = thread
        self._digest = hashlib.sha256()
        self._waiting: list[bytes | memoryview] = []
        self._waiting_bytes = 0
        self._under_way: Future[None] | None = None
        self._rows = 0
        self._bytes = 0

    def write(self, line: bytes | memoryview) -> None:
        """Add one line, given without its newline."""
        self._waiting.append(line)
        self._waiting_bytes += len(line) + 1
        if self._waiting_bytes >= PIECE_BYTES:
            self._hand_over()

    def flush(self) -> None:
        """Hand over all lines that were added, and wait until the thread has written them."""
        self._hand_over()
        self._wait()

    def _hand_over(self) -> None:
        self._rows += len(self._waiting)
        self._bytes += self._waiting_bytes
        piece = b"\n".join([*self._waiting, b""])
        self._waiting, self._waiting_bytes = [], 0
        self._wait()
        self._under_way = self._thread.submit(self._put, piece)

    def _wait(self) -> None:
        if self._under_way is not None:
            self._under_way.result()

    def _put(self, piece: bytes) -> None:
        self._stream.write(piece)
        self._digest.update(piece)

    @property
    def record(self) -> PublishedFile:
        """The description of the file for `done-<round>.json`. The description is complete after the last `flush`."""
        return PublishedFile(rows=self._rows, bytes=self._bytes, sha256=self._digest.hexdigest())


class _Ascending(Generic[Value]):
    """Looks up rows in a stream that is sorted by row number. The caller must ask for rows in ascending order.

    Nothing is read before the first look-up.
    """

    def __init__(self, stream: Iterator[tuple[int, Value]]) -> None:
        self._stream = stream
        self._row = -1
        self._value: Value | None = None

    def at(self, row: int) -> Value | None:
        """Return the value of a row; None if the row is not in the stream."""
        while self._row < row:
            self._row, self._value = next(self._stream, (sys.maxsize, None))
        return self._value if self._row == row else None

"""Publishing: the outcomes of a round are fixed, once and for all.

Anyone may publish, at any time, several at once. Each reads the markers, then the segments, stops unless every row has an
outcome, and writes to a folder of its own; whoever creates `done-<round>.json` has decided, and the others clear their
folders away. Memory stays bounded whatever the size of the batch. This module reads storage alone, never the queue.
"""

import hashlib
import heapq
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, Final, Generic, TypeVar, get_args

import orjson

from jobs.accounts.summaries import add_summary, note_round
from jobs.batches.batch import Done, PublishedFile, Status
from jobs.batches.input import read_rows
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.output_rows import closed_row
from jobs.batches.published import ERRORS, OUTPUT, USAGE, published_rows, read_usage
from jobs.batches.request_row import RowRequest
from jobs.batches.rounds import Clock, finish_round, load_batch, now, read_marker, require_batch, to_bytes
from jobs.batches.segments.files import until_read
from jobs.errors import NoBatch
from jobs.prices import Prices
from jobs.publishing.candidates import add_candidates
from jobs.publishing.ledger import Ledger
from jobs.publishing.winners import BUCKET_BYTES, Winners
from jobs.store.store import CHUNK_BYTES, Store

Value = TypeVar("Value")

PIECE_BYTES: Final = CHUNK_BYTES
"""How much of a published file is hashed and written at a time."""


@dataclass(frozen=True, slots=True)
class Incomplete:
    """The round cannot be published yet: `missing` rows have no outcome, of which `rows` are the first few."""

    missing: int
    rows: tuple[int, ...]


def publish(
    store: Store,
    batch_id: str,
    *,
    prices: Prices,
    clock: Clock = now,
    scratch: Path | None = None,
    bucket_bytes: int = BUCKET_BYTES,
) -> Done | Incomplete:
    """Publish the current round of a batch, or say what it lacks. A published round is returned as it stands.

    Raises NoBatch where there is none, also where it was deleted meanwhile.

    `scratch` is where lines are sorted that do not fit into `bucket_bytes` of memory.
    """
    return until_read(store, lambda: _publish(store, batch_id, prices, clock, scratch, bucket_bytes))


def _publish(
    store: Store, batch_id: str, prices: Prices, clock: Clock, scratch: Path | None, bucket_bytes: int
) -> Done | Incomplete:
    index = OutcomeIndex(store, require_batch(store, batch_id))
    index.refresh()
    if index.done is not None:
        finish_round(store, index.batch, clock)
        return index.done
    if not index.complete:
        return Incomplete(index.missing, tuple(islice(index.missing_rows(), 10)))
    with tempfile.TemporaryDirectory(prefix="nightpress-", dir=scratch) as folder:
        winners = Winners(index.batch.rows, sum(index.files.values()), Path(folder), bucket_bytes)
        edition = _Edition(store, index, prices, winners)
        mine = edition.write(clock)
    if load_batch(store, batch_id) != index.batch:  # others published and deleted it, and may have accepted it anew
        store.discard(f"{index.paths.root}/{mine.folder}")
        raise NoBatch(f"{batch_id} was deleted while it was published")
    note_round(store, batch_id, index.round)
    if store.create(index.paths.done(index.round), to_bytes(mine)):
        add_summary(store, batch_id, mine, edition.usage, edition.usage_before)
        finish_round(store, index.batch, clock)
        return mine
    store.discard(f"{index.paths.root}/{mine.folder}")
    return read_marker(store, index.paths.done(index.round), Done)


class _Edition:
    """One publisher's folder, and what it takes to fill it."""

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
        """Write the files; nobody knows of them until `done-<round>.json` names them."""
        names = add_candidates(self._store, self._index, self._winners, self._ledger)
        with self._file(OUTPUT) as output, self._file(ERRORS) as errors:
            self._write_rows(output, errors)
        self.usage = self._ledger.usage(self._index.batch, self._index.round, self._prices, self.usage_before)
        with self._file(USAGE) as usage:
            usage.write(orjson.dumps(self.usage))
        statuses: tuple[Status, ...] = get_args(Status)
        return Done(
            round=self._index.round,
            folder=f"published/{self._index.round}-{self._nonce}",
            counts={status: self._ledger.rows(status) for status in statuses},
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
                winner = winners.get(row) if before is None else None
                if winner is not None:
                    raw: bytes | memoryview = winner.text
                    status = self._ledger.post(winner.entry)
                else:
                    values = orjson.loads(before) if before is not None else self._closed(row, requests)
                    status = self._ledger.post(self._ledger.entry(values))
                    raw = before.rstrip(b"\n") if before is not None else orjson.dumps(values)
                (output if status == "completed" else errors).write(raw)
        carried.at(self._index.batch.rows)  # to the end of the file, where its sha256 is compared

    def _closed(self, row: int, requests: "_Ascending[RowRequest]") -> dict[str, Any]:
        if self._index.closed is None:
            raise RuntimeError(f"row {row} of {self._batch_id} has no outcome, and the round is not closed")
        return closed_row(self._batch_id, row, requests.at(row), self._index.closed)

    def _carried(self) -> Iterator[tuple[int, bytes]]:
        """The completed rows of the round before, as they stand, but for those that were sent back."""
        current = self._index.current
        if current.before is not None:
            for values, raw in published_rows(self._store, current.before, self._batch_id, OUTPUT):
                if current.carries(values["row"]):
                    yield values["row"], raw

    def _requests(self) -> Iterator[tuple[int, RowRequest]]:
        """The requests of all lanes in input order. A row that cannot be read back still gets its outcome, without them."""
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
    """A published file while it is written: counts and hashes what goes through it, on a thread beside its writer."""

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
        """Take one line, without its end."""
        self._waiting.append(line)
        self._waiting_bytes += len(line) + 1
        if self._waiting_bytes >= PIECE_BYTES:
            self._hand_over()

    def flush(self) -> None:
        """Write out what waits."""
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
        """What `done-<round>.json` says of it, after the last flush."""
        return PublishedFile(rows=self._rows, bytes=self._bytes, sha256=self._digest.hexdigest())


class _Ascending(Generic[Value]):
    """A stream of rows in ascending order, asked for single rows in ascending order. Reads nothing until it is asked."""

    def __init__(self, stream: Iterator[tuple[int, Value]]) -> None:
        self._stream = stream
        self._row = -1
        self._value: Value | None = None

    def at(self, row: int) -> Value | None:
        """What the stream has for this row, if anything."""
        while self._row < row:
            self._row, self._value = next(self._stream, (sys.maxsize, None))
        return self._value if self._row == row else None

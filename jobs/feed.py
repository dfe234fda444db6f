"""The feeder: keeps a bounded window of rows on a lane, read from the input of the open batches.

A claimer that finds its lane low calls `top_up`, so no process of its own is needed. The cursor of a batch in a lane lives
on the queue and is moved by compare-and-set, so any number may feed at once. After feeding, the markers are read again, and
what was closed or published meanwhile is dropped.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from jobs.errors import RowError
from jobs.job import InputSlice, Job, RowRequest
from jobs.job_queue import BatchSchedule, FeedReply, FeedRow, Lanes, LaneSnapshot, Schedule
from jobs.logs import logger
from jobs.open_batches import OpenBatches
from jobs.outcomes import OutcomeIndex
from jobs.settings import Settings
from jobs.storage import Store

SHARE_ROWS: Final = 64
"""A batch with nothing on the lane gets so many rows even when the window is full: the urgent wait behind nobody."""

CHUNK_ROWS: Final = 512
"""The most rows of one feed: a longer step of the queue would keep others waiting."""

MISMATCHES: Final = 8
"""How often in a row others may have moved the cursor before this feeder leaves the batch to them."""


class FeedQueue(Schedule, Lanes, Protocol):
    """What a feeder asks of the queue."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows read from the input: those that lack an outcome, and where the next chunk begins."""

    rows: list[FeedRow]
    next_cursor: int
    at_end: bool


class Feeder:
    """Feeds any lane of one store. One thread at a time."""

    def __init__(self, store: Store, queue: FeedQueue, batches: OpenBatches, settings: Settings) -> None:
        self._store = store
        self._queue = queue
        self._batches = batches
        self._settings = settings
        self._seen: set[tuple[str, int]] = set()

    def top_up(self, lane: str, ready: int | None = None) -> int:
        """Fill the lane's window. Returns how many rows were added. Raises UnavailableError.

        `ready` is how many rows the caller saw waiting; a lane that is more than half full is left alone.
        """
        if ready is not None and 2 * ready > self._settings.window_rows:
            return 0
        snapshot = self._queue.snapshot(lane)
        added = 0
        for index in self._batches:
            if lane in index.batch.lanes and index.closed is None:
                room = self._room(snapshot, index, added)
                added += self._feed(lane, index, snapshot.batches.get(index.batch.batch_id), room) if room > 0 else 0
        return added

    def _room(self, snapshot: LaneSnapshot, index: OutcomeIndex, added: int) -> int:
        waiting = snapshot.ready + snapshot.delayed + added
        fits = waiting < self._settings.window_rows and snapshot.bytes < self._settings.window_bytes
        schedule = snapshot.batches.get(index.batch.batch_id)
        least = SHARE_ROWS if schedule is None or schedule.live == 0 else 0
        return max(self._settings.window_rows - waiting if fits else 0, least)

    def _feed(self, lane: str, index: OutcomeIndex, schedule: BatchSchedule | None, room: int) -> int:
        cursor = self._cursor(index, schedule)
        added, mismatches = 0, 0
        while cursor is not None and added < room and mismatches < MISMATCHES:
            chunk = self._chunk(lane, index, cursor, min(room - added, CHUNK_ROWS))
            reply = self._queue.feed(
                lane, index.batch.batch_id, index.round, cursor, chunk.next_cursor, chunk.at_end, chunk.rows
            )
            if reply.accepted:
                added += len(chunk.rows)
                cursor = None if chunk.at_end else reply.cursor
            else:
                mismatches += 1
                cursor = self._after_mismatch(index, reply)
        if added:
            logger().debug("batch.fed", batch=index.batch.batch_id, lane=lane, rows=added)
        self._drop_what_ended(lane, index)
        return added

    def _cursor(self, index: OutcomeIndex, schedule: BatchSchedule | None) -> int | None:
        """Where to go on; None at the end. A queue that does not know the round makes the index read storage again."""
        known = schedule is not None and schedule.round == index.round
        if not known or (index.batch.batch_id, index.round) not in self._seen:
            index.refresh()
            self._seen.add((index.batch.batch_id, index.round))
        if schedule is None or schedule.round != index.round:
            return 0
        return None if schedule.at_end or schedule.closed else schedule.cursor

    def _after_mismatch(self, index: OutcomeIndex, reply: FeedReply) -> int | None:
        index.refresh()
        return None if reply.refused or reply.round != index.round else reply.cursor

    def _drop_what_ended(self, lane: str, index: OutcomeIndex) -> None:
        round_ = index.round
        index.refresh()
        if index.round == round_ and (index.done is not None or index.closed is not None):
            self._queue.drop(lane, index.batch.batch_id, round_, forget=index.done is not None)

    def _chunk(self, lane: str, index: OutcomeIndex, cursor: int, most: int) -> Chunk:
        """The next rows without an outcome, at most `most` of them and a few MiB."""
        rows: list[FeedRow] = []
        size, next_cursor, at_end = 0, cursor, True
        end = index.batch.lanes[lane].bytes
        for offset, line in self._lines(lane, index, cursor):
            if len(rows) >= most or size > self._settings.window_bytes // 8:
                at_end = False
                break
            next_cursor = offset + len(line)
            row = self._row(index, offset, line.rstrip(b"\n"))
            if row is not None:
                rows.append(row)
                size += len(row.payload) if isinstance(row.payload, bytes) else 32
        return Chunk(rows, next_cursor, at_end or next_cursor >= end)

    def _lines(self, lane: str, index: OutcomeIndex, cursor: int) -> Iterator[tuple[int, bytes]]:
        if cursor >= index.batch.lanes[lane].bytes:
            return
        with self._store.reader(index.paths.input(lane)) as file:
            file.seek(cursor)
            offset = cursor
            for line in file:
                yield offset, line
                offset += len(line)

    def _row(self, index: OutcomeIndex, offset: int, line: bytes) -> FeedRow | None:
        request = RowRequest.from_bytes(line)
        if index.has_outcome(request.row):
            return None
        attempts, crashes = index.attempts(request.row)
        inline = len(line) <= self._settings.inline_bytes
        return FeedRow(
            row=request.row,
            payload=line if inline else InputSlice(offset, len(line)),
            cost=request.cost,
            priority=request.priority,
            tenant=request.tenant,
            attempts=attempts,
            crashes=crashes,
        )


def load_request(store: Store, batch_id: str, lane: str, job: Job) -> RowRequest:
    """The request of a claimed job. Raises RowError `bad_record` when it cannot be read back, or is another row's."""
    payload = job.payload
    try:
        if isinstance(payload, InputSlice):
            payload = store.read_range(f"batches/{batch_id}/input/{lane}.jsonl", payload.offset, payload.length)
        request = RowRequest.from_bytes(payload)
    except (ValueError, TypeError, KeyError) as error:
        raise RowError("bad_record", f"the stored request cannot be read back: {error}") from error
    if request.row != job.key.row:
        raise RowError("bad_record", f"the stored request is that of row {request.row}")
    return request

"""The feeder keeps a bounded window of rows on a lane. It reads them from the input of the open batches.

A claimer that finds its lane low calls `top_up`, so feeding needs no process of its own. The cursor of a batch in a lane is on
the queue and is moved by comparison (rule 6 of jobs/PROTOCOL.md), so any number may feed at once. After feeding, the markers are
read again, and a batch that was closed or published in between is dropped (rule 10).
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol

from jobs.batches.input import lane_input, read_row
from jobs.batches.open_batches import OpenBatches
from jobs.batches.outcome_index import OutcomeIndex
from jobs.errors import StoreDamaged
from jobs.lanes.job import InputSlice
from jobs.lanes.protocol import BatchSchedule, FeedReply, FeedRow, Lanes, Schedule
from jobs.lanes.window import REFERENCE_BYTES, Room, Window, waiting
from jobs.logs import logger
from jobs.settings import Settings
from jobs.store.damage import Damage
from jobs.store.store import Store

CHUNK_ROWS: Final = 512
"""The most rows of one feed. While the queue takes them, every other call waits."""

CHUNK_BYTES: Final = 128 << 10
"""The most request bytes of one feed, but for its last row. Memory for larger messages is fetched from the system each time."""

MISMATCHES: Final = 8
"""How many times in a row others may have moved the cursor before this feeder leaves the batch to them."""


class FeedQueue(Schedule, Lanes, Protocol):
    """The queue, as a feeder needs it."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows that were read from the input and lack an outcome, their bytes, and where the next chunk begins."""

    rows: list[FeedRow]
    size: int
    next_cursor: int
    at_end: bool


class Feeder:
    """A feeder feeds any lane of one store. One thread at a time may use it.

    `_faults` has the damage that was found, by lane. `_last_looks` has the time of the last look at each thing that is looked at
    once in `batch_scan_s`. `_seen` has the version of each batch in a lane for which storage was read, and `_ended` the rounds of
    batches whose input was fed to its end.
    """

    def __init__(
        self,
        store: Store,
        queue: FeedQueue,
        batches: OpenBatches,
        settings: Settings,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._queue = queue
        self._batches = batches
        self._settings = settings
        self._monotonic = monotonic
        self._damage = Damage(monotonic)
        self._faults: dict[str, StoreDamaged] = {}
        self._last_looks: dict[str, float] = {}
        self._seen: dict[tuple[str, str], int] = {}
        self._ended: set[tuple[str, str, int]] = set()

    def top_up(self, lane: str, ready: int | None = None, *, hungry: bool = False) -> int:
        """Fill the lane's window. Returns how many rows were added. Raises UnavailableError.

        A damaged batch keeps no other waiting. The damage is raised at the end of this call and of each further one, until a
        look shows that the batch was restored; these looks become ever rarer.

        This may be called after every claim: `ready` is how many rows the caller saw waiting, and spares most looks. A lane that
        is more than half full is looked at once in `batch_scan_s`, for batches of which no row waits there; and at once if the
        caller is `hungry`: it got fewer jobs than it asked for, since the waiting ones may not be claimed. A lane with nothing
        left to feed is checked once in `batch_scan_s`, and so are the markers of a batch that needs no feeding.
        """
        full = ready is not None and 2 * ready > self._settings.window_rows
        enough = ready is not None and ((full and not hungry) or self._is_at_end(lane))
        added = 0 if enough and not self._due(lane) else self._feed_all(lane, full=full)
        if lane in self._faults:
            raise self._faults[lane]
        return added

    def _feed_all(self, lane: str, *, full: bool) -> int:
        """Feed each batch that needs it. Returns how many rows were added, and keeps the damage that it finds."""
        snapshot = self._queue.snapshot(lane)
        here = [index for index in self._batches if lane in index.batch.lanes]
        window = Window(self._settings, snapshot, (index.batch for index in here))
        added = 0
        self._faults.pop(lane, None)
        for index in here:
            schedule = snapshot.batches.get(index.batch.batch_id)
            if full and _needs_no_more(index, schedule):
                continue
            try:
                with self._damage.look(index.batch.batch_id):
                    if not self._is_held(index):
                        fed = self._feed(lane, index, schedule, window.room(index.batch))
                        window.take(index.batch, fed)
                        added += fed.rows
            except StoreDamaged as error:
                self._faults[lane] = error
        return added

    def _is_at_end(self, lane: str) -> bool:
        """Whether nothing was left to feed at the last look. If the queue forgot since, the next look notices."""
        return all(
            lane not in index.batch.lanes or (lane, index.batch.batch_id, index.round) in self._ended
            for index in self._batches
        )

    def _is_held(self, index: OutcomeIndex) -> bool:
        """Whether no row of the batch may start. The markers of a held batch are read once in `batch_scan_s`: it may go on."""
        if (index.closed or index.current.paused) and self._due(f"{index.batch.batch_id} held"):
            index.refresh()
        return index.closed is not None or index.current.paused is not None or index.done is not None

    def _due(self, what: str) -> bool:
        """Whether `batch_scan_s` has passed since this last returned True for the same thing."""
        now = self._monotonic()
        if now - self._last_looks.get(what, float("-inf")) < self._settings.batch_scan_s:
            return False
        self._last_looks[what] = now
        return True

    def _feed(self, lane: str, index: OutcomeIndex, schedule: BatchSchedule | None, room: Room) -> Room:
        """Feed one batch until there is no more room. Returns what was put on the lane."""
        batch_id = index.batch.batch_id
        self._ended.discard((lane, batch_id, index.round))
        cursor = self._cursor(lane, index, schedule) if room.is_left else None
        fed = Room(0, 0)
        if cursor is not None:
            with lane_input(self._store, batch_id, lane) as file:
                fed = self._feed_from(file, lane, index, cursor, room)
        if fed.rows:
            logger().debug("batch.fed", batch=batch_id, lane=lane, rows=fed.rows)
        if cursor is not None or self._due(f"{lane}/{batch_id}"):
            self.drop_what_ended(lane, index)
        return fed

    def _feed_from(self, file: BinaryIO, lane: str, index: OutcomeIndex, start: int, room: Room) -> Room:
        """Feed the input from `start` on. Returns what was put on the lane."""
        left, mismatches = room, 0
        cursor: int | None = start
        while cursor is not None and left.is_left and mismatches < MISMATCHES:
            chunk = self._chunk(file, index, cursor, Room(min(left.rows, CHUNK_ROWS), min(left.size, CHUNK_BYTES)))
            place = (index.round, cursor, chunk.next_cursor, chunk.at_end)
            reply = self._queue.feed(lane, index.batch.batch_id, *place, chunk.rows, finish=index.current.continues)
            if reply.accepted:
                left = left.minus(Room(len(chunk.rows), chunk.size))
                cursor = None if chunk.at_end else reply.cursor
                if chunk.at_end:
                    self._ended.add((lane, index.batch.batch_id, index.round))
            else:
                mismatches += 1
                cursor = self._after_mismatch(index, reply)
        return room.minus(left)

    def _cursor(self, lane: str, index: OutcomeIndex, schedule: BatchSchedule | None) -> int | None:
        """The cursor to go on from, or None at the end.

        Storage is read first if the batch was opened or reset since it was last read. It is also read once in `batch_scan_s`,
        since a queue that forgot counts versions from 1 again.
        """
        version = schedule.version if schedule is not None and schedule.round == index.round else None
        feeds = schedule is None or not schedule.at_end
        due = feeds and self._due(f"{lane}/{index.batch.batch_id} read")
        if due or version is None or self._seen.get((lane, index.batch.batch_id)) != version:
            index.refresh()
            if version is not None:
                self._seen[lane, index.batch.batch_id] = version
        if schedule is None or schedule.round != index.round:
            return 0
        if schedule.at_end:
            self._ended.add((lane, index.batch.batch_id, index.round))
        return None if schedule.at_end or schedule.closed else schedule.cursor

    def _after_mismatch(self, index: OutcomeIndex, reply: FeedReply) -> int | None:
        index.refresh()
        return None if reply.refused or reply.round != index.round else reply.cursor

    def drop_what_ended(self, lane: str, index: OutcomeIndex) -> None:
        """Take a batch off the lane if its markers say that no further row of it may start."""
        round_ = index.round
        index.refresh()
        current = index.current
        if index.round == round_ and (current.done or current.closed or current.paused):
            forget, finish = current.may_be_forgotten, current.may_finish
            self._queue.drop(lane, index.batch.batch_id, round_, forget=forget, finish=finish)

    def set_aside(self, lane: str, batch_id: str, round_: int) -> None:
        """Take the waiting rows of a batch off the lane because its requests cannot be read. They are fed again once they can.

        Leased rows may run to their end. The queue forgets the others, so no attempt is charged to them (rule 37).
        """
        self._queue.drop(lane, batch_id, round_, forget=True, finish=True)
        self._ended.discard((lane, batch_id, round_))

    def _chunk(self, file: BinaryIO, index: OutcomeIndex, cursor: int, room: Room) -> Chunk:
        """The next rows without an outcome, as many as there is room for. The last one may exceed the bytes."""
        rows: list[FeedRow] = []
        size, next_cursor, at_end = 0, cursor, True
        for offset, line in self._lines(file, cursor):
            if len(rows) >= room.rows or size >= room.size:
                at_end = False
                break
            next_cursor = offset + len(line)
            row = self._row(index, offset, line.rstrip(b"\n"))
            if row is not None:
                rows.append(row)
                size += len(row.payload) if isinstance(row.payload, bytes) else REFERENCE_BYTES
        return Chunk(rows, size, next_cursor, at_end)

    def _lines(self, file: BinaryIO, cursor: int) -> Iterator[tuple[int, bytes]]:
        file.seek(cursor)  # a file that is at the cursor already keeps what it has read ahead
        offset = cursor
        for line in file:
            yield offset, line
            offset += len(line)

    def _row(self, index: OutcomeIndex, offset: int, line: bytes) -> FeedRow | None:
        request = read_row(line)
        if (
            request is None or request.row >= index.batch.rows
        ):  # damaged: the audit fails a row that no line holds (rule 27)
            return None
        if index.has_outcome(request.row):
            return None
        tries = index.past_attempts(request.row)
        inline = len(line) <= self._settings.inline_bytes
        return FeedRow(
            row=request.row,
            payload=line if inline else InputSlice(offset, len(line)),
            cost=request.cost,
            priority=request.priority,
            tenant=request.tenant,
            attempts=tries.attempts,
            crashes=tries.crashes,
            solo_crashes=tries.solo_crashes,
        )


def _needs_no_more(index: OutcomeIndex, schedule: BatchSchedule | None) -> bool:
    """Whether a lane that is more than half full needs no more rows of this batch, by what the queue shows."""
    if schedule is None or schedule.round != index.round:
        return False
    return schedule.at_end or schedule.closed or waiting(schedule) > 0

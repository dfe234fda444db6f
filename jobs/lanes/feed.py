"""The feeder: keeps a bounded window of rows on a lane, read from the input of the open batches.

A claimer that finds its lane low calls `top_up`, so no process of its own is needed. The cursor of a batch in a lane lives
on the queue and is moved by compare-and-set, so any number may feed at once. After feeding, the markers are read again, and
what was closed or published meanwhile is dropped.
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
"""The most rows of one feed: a longer step of the queue would keep others waiting."""

MISMATCHES: Final = 8
"""How often in a row others may have moved the cursor before this feeder leaves the batch to them."""


class FeedQueue(Schedule, Lanes, Protocol):
    """What a feeder asks of the queue."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows read from the input: those that lack an outcome, and where the next chunk begins."""

    rows: list[FeedRow]
    size: int
    next_cursor: int
    at_end: bool


class Feeder:
    """Feeds any lane of one store. One thread at a time."""

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
        self._looked_at: dict[str, float] = {}
        self._seen: dict[tuple[str, str], int] = {}
        self._ended: set[tuple[str, str, int]] = set()

    def top_up(self, lane: str, ready: int | None = None, *, hungry: bool = False) -> int:
        """Fill the lane's window. Returns how many rows were added. Raises UnavailableError.

        A batch that is damaged keeps no other waiting: what is wrong with it is raised at the end, until a look shows that
        it was restored. It is looked at again less and less often.

        `ready` is how many rows the caller saw waiting. A lane that is more than half full is looked at once in `batch_scan_s`,
        for the share of a batch of which nothing waits there, and at once when the caller is `hungry`: it got less than it
        asked for, since what waits may not be claimed. One on which all batches were seen to be at their end is looked at
        once in `batch_scan_s` too; the markers of a batch that is not fed, no oftener. So this may be called after every claim.
        """
        full = ready is not None and 2 * ready > self._settings.window_rows
        enough = ready is not None and ((full and not hungry) or self._is_at_end(lane))
        added = 0 if enough and not self._due(lane) else self._feed_all(lane, full=full)
        if lane in self._faults:
            raise self._faults[lane]
        return added

    def _feed_all(self, lane: str, *, full: bool) -> int:
        """Feed each batch that needs it. Returns how many rows were added, and keeps what was found damaged."""
        snapshot = self._queue.snapshot(lane)
        here = [index for index in self._batches if lane in index.batch.lanes]
        window = Window(self._settings, snapshot, (index.batch for index in here))
        added = 0
        self._faults.pop(lane, None)
        for index in here:
            schedule = snapshot.batches.get(index.batch.batch_id)
            if full and _has_its_share(index, schedule):
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
        """Whether nothing is left to feed, as far as was seen. A queue that forgot is noticed at the next look."""
        return all(
            lane not in index.batch.lanes or (lane, index.batch.batch_id, index.round) in self._ended
            for index in self._batches
        )

    def _is_held(self, index: OutcomeIndex) -> bool:
        """Whether no row of the batch may start. A held one is looked at now and then: it may go on, or be open again."""
        if (index.closed or index.current.paused) and self._due(f"{index.batch.batch_id} held"):
            index.refresh()
        return index.closed is not None or index.current.paused is not None or index.done is not None

    def _due(self, what: str) -> bool:
        """Whether `batch_scan_s` has passed since this was last asked of the same thing and answered by yes."""
        now = self._monotonic()
        if now - self._looked_at.get(what, float("-inf")) < self._settings.batch_scan_s:
            return False
        self._looked_at[what] = now
        return True

    def _feed(self, lane: str, index: OutcomeIndex, schedule: BatchSchedule | None, room: Room) -> Room:
        """Feed one batch as far as there is room. Returns what was put on the lane."""
        batch_id = index.batch.batch_id
        self._ended.discard((lane, batch_id, index.round))
        cursor = self._cursor(lane, index, schedule) if room.left else None
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
        """Feed what follows `start` in the input. Returns what was put on the lane."""
        left, mismatches = room, 0
        cursor: int | None = start
        while cursor is not None and left.left and mismatches < MISMATCHES:
            chunk = self._chunk(file, index, cursor, Room(min(left.rows, CHUNK_ROWS), left.size))
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
        """Where to go on; None at the end. A batch that was opened or reset makes the index read storage again.

        So does one that was not read before feeding for `batch_scan_s`: a queue that forgot counts its versions from 1 again.
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
        """Take a batch off the lane if by its markers no further row of it may start."""
        round_ = index.round
        index.refresh()
        current = index.current
        if index.round == round_ and (current.done or current.closed or current.paused):
            forget, finish = current.may_be_forgotten, current.may_finish
            self._queue.drop(lane, index.batch.batch_id, round_, forget=forget, finish=finish)

    def set_aside(self, lane: str, batch_id: str, round_: int) -> None:
        """Take what waits of a batch off the lane, whose requests cannot be read: it is fed again once they can be.

        What runs may run to its end. To the queue this is as if it had forgotten the rest, so that nothing is charged to it.
        """
        self._queue.drop(lane, batch_id, round_, forget=True, finish=True)
        self._ended.discard((lane, batch_id, round_))

    def _chunk(self, file: BinaryIO, index: OutcomeIndex, cursor: int, room: Room) -> Chunk:
        """The next rows without an outcome, as many as there is room for; the last may go over its bytes."""
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
        file.seek(cursor)  # of what was read ahead nothing is asked for again
        offset = cursor
        for line in file:
            yield offset, line
            offset += len(line)

    def _row(self, index: OutcomeIndex, offset: int, line: bytes) -> FeedRow | None:
        request = read_row(line)
        if request is None or request.row >= index.batch.rows:  # damaged: a row that no line holds fails at an audit
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


def _has_its_share(index: OutcomeIndex, schedule: BatchSchedule | None) -> bool:
    """Whether a lane that is more than half full needs no more of this batch, as far as the queue shows."""
    if schedule is None or schedule.round != index.round:
        return False
    return schedule.at_end or schedule.closed or waiting(schedule) > 0

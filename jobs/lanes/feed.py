"""The feeder keeps a bounded window of rows on a lane. It reads the rows from the inputs of the open batches.

The claimer of the worker that keeps the lane calls `top_up`, so feeding needs no process of its own (rule 47 of
jobs/PROTOCOL.md). The cursor of a batch in a lane is on the queue and is moved by comparison (rule 6), so any number of feeders
may work at once all the same. After feeding, a feeder reads the batch's markers again. If the batch was closed, published or
paused meanwhile, the feeder takes the batch off the lane (rule 10). A budget allows only rows that were granted (rule 48): a
feeder that has fed them grants the next rows, and if no money is left for these, says to the queue that the input ends there for
now.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO, Final, Protocol

from jobs.batches.allowance import Allowance, allowance
from jobs.batches.budgets.granting import Granter
from jobs.batches.budgets.tenant_accounts import TenantAccounts
from jobs.batches.input import lane_input, read_row
from jobs.batches.open_batches import OpenBatches
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.quotes.drawn_input import DrawnInput
from jobs.batches.quotes.sample import fed_a_part
from jobs.batches.rounds import Clock, now
from jobs.errors import NoBatch, StoreDamaged
from jobs.lanes.job import InputSlice
from jobs.lanes.places import LAST_ROWS_PER_SLOT, place_of
from jobs.lanes.protocol import BatchSchedule, FeedReply, FeedRow, Lanes, LaneSnapshot, Schedule
from jobs.lanes.window import REFERENCE_BYTES, Room, Window
from jobs.logs import logger
from jobs.settings import Settings
from jobs.store.damage import Damage
from jobs.store.store import Store

CHUNK_ROWS: Final = 512
"""One call feeds at most this many rows, since all other calls wait while Redis takes the rows."""

CHUNK_BYTES: Final = 128 << 10
"""A call of `feed` gets no further row as soon as its requests have this many bytes.

Larger messages would be slower: for each of them, Python would fetch memory from the operating system.
"""

MISMATCHES: Final = 8
"""If other feeders move a batch's cursor first this many times, this feeder leaves the batch to them until its next call of
`top_up`.
"""


class FeedQueue(Schedule, Lanes, Protocol):
    """The calls of the queue that a feeder needs."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of the input: its rows without an outcome, and the bytes that their requests take on the queue (`size`).

    The next chunk begins at the cursor `next_cursor`. If the input ends with this chunk, `at_end` is True.
    """

    rows: list[FeedRow]
    size: int
    next_cursor: int
    at_end: bool


class LaneLines(Protocol):
    """The part of a lane's input that may be fed."""

    def lines(self, cursor: int) -> Iterator[tuple[int, bytes, int]]:
        """Yield the lines from a cursor on, each with its byte offset in the input before it, and the cursor after it."""
        ...


class WholeInput:
    """The whole input of a lane. Its cursor is a byte offset."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def lines(self, cursor: int) -> Iterator[tuple[int, bytes, int]]:
        """Yield the lines from a byte offset on. Beyond the end there are none, as with a cursor that counts drawn rows."""
        self._file.seek(cursor)  # if the file is at this position already, it keeps its read-ahead buffer
        offset = cursor
        for line in self._file:
            yield offset, line, offset + len(line)
            offset += len(line)


class Feeder:
    """A feeder feeds any lane with the batches of one store. One thread at a time may use a feeder.

    `_faults` maps a lane to the damage that the last look at its batches found. `_last_looks` maps the name of each check that
    is made at most once in `batch_scan_s` seconds to the time when it was last made. `_seen` maps a lane and a batch to the
    version that the batch had on the queue when storage was last read. `_ended` has the lane, batch and round of each input
    that was fed to its end. `_slots` maps a lane to the number of slots of its workers. `_poor` has the lane, batch and round
    of each input whose next rows no budget pays for at the moment.
    """

    def __init__(
        self,
        store: Store,
        queue: FeedQueue,
        batches: OpenBatches,
        settings: Settings,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Clock = now,
    ) -> None:
        self._store = store
        self._granter = Granter(store, settings.prices, TenantAccounts(store, settings, clock), clock)
        self._queue = queue
        self._batches = batches
        self._settings = settings
        self._monotonic = monotonic
        self._damage = Damage(monotonic)
        self._faults: dict[str, StoreDamaged] = {}
        self._last_looks: dict[str, float] = {}
        self._seen: dict[tuple[str, str], int] = {}
        self._ended: set[tuple[str, str, int]] = set()
        self._slots: dict[str, int] = {}
        self._poor: set[tuple[str, str, int]] = set()

    def top_up(
        self,
        lane: str,
        ready: int | None = None,
        *,
        hungry: bool = False,
        at_each: Callable[[], object] = lambda: None,
    ) -> int:
        """Fill the lane's window. Returns how many rows were added. Raises UnavailableError.

        `at_each` is called before each batch, since a look at many batches may take long.

        A damaged batch does not hold up the others: they are fed, and the damage is raised as StoreDamaged at the end of this
        call. Each further call raises the damage too, until a look at the batch finds it restored (rule 37 says when it looks).

        A claimer may call this after every claim, and give `ready`, the number of rows that were ready after the claim. Then
        the queue is asked only once in `batch_scan_s` seconds if nothing is left to feed, or if more than half of the window is
        ready. In the second case a batch is fed only if less than half of its part of the window waits. A caller is `hungry` if
        its claim took the last ready row of a batch. It is also hungry if its claim got too few jobs because ready rows may not
        be claimed. For a hungry caller the queue is asked at once, even if more than half of the window is ready. If a batch
        needs no feeding, its markers too are read only once in `batch_scan_s` seconds.
        """
        full = ready is not None and 2 * ready > self._settings.window_rows
        enough = ready is not None and ((full and not hungry) or self._is_at_end(lane))
        added = 0 if enough and not self._due(lane) else self._feed_all(lane, at_each, full=full)
        if lane in self._faults:
            raise self._faults[lane]
        return added

    def look_again(self, lane: str, batch_id: str) -> None:
        """Have the next call of `top_up` look at the lane, and read whether this batch is still paused or closed."""
        self._last_looks.pop(lane, None)
        self._last_looks.pop(f"{batch_id} held", None)

    def _feed_all(self, lane: str, at_each: Callable[[], object], *, full: bool) -> int:
        """Feed the batches of a lane, and keep any damage in `_faults`. Returns how many rows were added.

        If the lane is `full` (more than half), only batches that have less than half of their part are fed.
        """
        snapshot = self._queue.snapshot(lane, workers=self._due(f"{lane} slots"))
        here = [index for index in self._batches if lane in index.batch.lanes]
        window = Window(self._settings, _without_other_rounds(snapshot, here), (index.batch for index in here))
        if snapshot.workers:
            self._slots[lane] = max(sum(worker.slots for worker in snapshot.workers), 1)
            self._forget_old({index.batch.batch_id for index in here}, lane)
        added = 0
        self._faults.pop(lane, None)
        for index in here:
            at_each()
            schedule = snapshot.batches.get(index.batch.batch_id)
            if full and _needs_no_more(index, schedule, window):
                continue
            try:
                with self._damage.look(index.batch.batch_id):
                    if not self._is_held(index):
                        fed = self._feed(lane, index, schedule, window.room(index.batch))
                        window.take(fed)
                        added += fed.rows
            except NoBatch:  # it was deleted; a sweeper takes it off the lane
                self._batches.forget(index.batch.batch_id)
            except StoreDamaged as error:
                self._faults[lane] = error
        return added

    def _forget_old(self, open_ids: set[str], lane: str) -> None:
        """Forget the notes on batches of the lane that are no longer open, and looks so old that they are due again."""
        now = self._monotonic()
        self._last_looks = {what: at for what, at in self._last_looks.items() if now - at < self._settings.batch_scan_s}
        self._seen = {key: version for key, version in self._seen.items() if key[0] != lane or key[1] in open_ids}
        self._ended = {key for key in self._ended if key[0] != lane or key[1] in open_ids}

    def _is_at_end(self, lane: str) -> bool:
        """Whether nothing was left to feed at the last look. Rows that the queue forgets later are noticed at the next look."""
        return all(
            lane not in index.batch.lanes or (lane, index.batch.batch_id, index.round) in self._ended
            for index in self._batches
        )

    def _is_held(self, index: OutcomeIndex) -> bool:
        """Whether no row of the batch may start: it is closed, paused or published, or waits for the answer to its quote.

        A held batch may be resumed, and a closed one reopened, so their markers are read again once in `batch_scan_s` seconds.
        """
        if (index.closed or index.current.is_held) and self._due(f"{index.batch.batch_id} held"):
            index.refresh()
        return index.closed is not None or index.current.is_held or index.done is not None

    def _due(self, what: str) -> bool:
        """Whether `batch_scan_s` seconds have passed since this function last returned True for `what`."""
        now = self._monotonic()
        if now - self._last_looks.get(what, float("-inf")) < self._settings.batch_scan_s:
            return False
        self._last_looks[what] = now
        return True

    def _feed(self, lane: str, index: OutcomeIndex, schedule: BatchSchedule | None, room: Room) -> Room:
        """Feed one batch until there is no more room or no more input. Returns how many rows and bytes were put on the lane."""
        self._granter.limits(index)
        batch_id = index.batch.batch_id
        self._ended.discard((lane, batch_id, index.round))
        cursor = self._cursor(lane, index, schedule) if room.is_left else None
        fed = Room(0, 0)
        if cursor is not None:
            with self._input(lane, index) as source:
                fed = self._feed_from(source, lane, index, cursor, room)
        if fed.rows:
            logger().debug("batch.fed", batch=batch_id, lane=lane, rows=fed.rows)
        if cursor is not None or self._due(f"{lane}/{batch_id}"):
            self.drop_what_ended(lane, index)
        return fed

    @contextmanager
    def _input(self, lane: str, index: OutcomeIndex) -> Iterator["LaneLines"]:
        """Open what may be fed of a lane: all of its input, or only the rows that were drawn to quote the batch (rule 49)."""
        if (quoting := index.current.quoting) is not None:
            while index.current.quoting == quoting and self._granted(lane, index, CHUNK_ROWS):
                pass  # a budget grants drawn rows before they are fed
            yield DrawnInput.read(self._store, index.batch, quoting, lane)
            return
        with lane_input(self._store, index.batch.batch_id, lane) as file:
            yield WholeInput(file)

    def _feed_from(self, source: "LaneLines", lane: str, index: OutcomeIndex, start: int, room: Room) -> Room:
        """Feed the input from the cursor `start` on. Returns how many rows and bytes were put on the lane."""
        left, mismatches = room, 0
        last_from = index.first_of_last_missing(LAST_ROWS_PER_SLOT * self._slots.get(lane, 1))
        cursor: int | None = start
        while cursor is not None and left.is_left and mismatches < MISMATCHES:
            most = Room(min(left.rows, CHUNK_ROWS), min(left.size, CHUNK_BYTES))
            if self._grants_on(lane, index, cursor) and allowance(index, lane).ends_at(cursor):
                self._granted(lane, index, left.rows)
            chunk = self._chunk(source, index, cursor, most, last_from, allowance(index, lane))
            place = (index.round, cursor, chunk.next_cursor, chunk.at_end)
            reply = self._queue.feed(
                lane, index.batch.batch_id, *place, chunk.rows, finish=index.current.continues, due_ms=_due_ms(index)
            )
            if reply.accepted:
                left = left.minus(Room(len(chunk.rows), chunk.size))
                cursor = reply.cursor
                may_grant = left.is_left and self._grants_on(lane, index, reply.cursor)
                if chunk.at_end and not (may_grant and self._granted(lane, index, left.rows)):
                    cursor = None
                    self._ended.add((lane, index.batch.batch_id, index.round))
            else:
                mismatches += 1
                before = index.current.quoting
                cursor = self._after_mismatch(index, reply)
                if index.current.quoting != before:  # other rows may be fed now: the next call opens them
                    break
        return room.minus(left)

    def _cursor(self, lane: str, index: OutcomeIndex, schedule: BatchSchedule | None) -> int | None:
        """Return the cursor from which to feed. Returns None if the queue has the batch at its end or closed.

        Storage is read first if the queue opened or reset the batch since storage was last read, as the batch's version shows.
        While rows are left to feed, storage is also read once in `batch_scan_s` seconds: a queue that forgot everything counts
        versions from 1 again, so a new version may look like the old one.
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
        if schedule.closed:
            return None
        if schedule.at_end and not self._may_go_on(lane, index, schedule.cursor):
            self._ended.add((lane, index.batch.batch_id, index.round))
            return None
        return schedule.cursor

    def _may_go_on(self, lane: str, index: OutcomeIndex, cursor: int) -> bool:
        """Whether rows behind the cursor may be fed, although the queue takes the cursor for the end of the input."""
        if index.book is None or not self._grants_on(lane, index, cursor):
            return False
        return not allowance(index, lane).ends_at(cursor) or self._granted(lane, index, CHUNK_ROWS)

    def _grants_on(self, lane: str, index: OutcomeIndex, cursor: int) -> bool:
        """Whether rows behind the cursor may be granted. A lane that was fed a sample goes on from the beginning, once a sweeper
        has reset it.
        """
        return index.current.quoting is None and not fed_a_part(index.batch.lanes[lane].bytes, cursor, None)

    def _granted(self, lane: str, index: OutcomeIndex, rows: int) -> bool:
        """Grant the next rows of a batch that a budget limits. Returns whether there is anything to feed.

        If a budget had nothing left for them, storage is asked again once in `batch_scan_s` seconds.
        """
        if index.book is None:
            return False
        key = (lane, index.batch.batch_id, index.round)
        if key in self._poor:
            if not self._due(f"{key} grant"):
                return False
            index.refresh()
        if index.book is not None and self._granter.grant(index, lane, rows):
            self._poor.discard(key)
            return True
        if not self._granter.may_price(index.limit()) and self._due(f"{key} currency"):
            logger().error("batch.unpriced", batch=index.batch.batch_id, reason=self._granter.fault(index.limit()))
        self._poor.add(key)
        self._due(f"{key} grant")
        return False

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
        """Take a batch's waiting rows off the lane, since its requests cannot be read.

        The rows are fed again once the requests can be read. Leased rows may run to their end. The queue forgets the waiting
        rows, so no attempt is charged to them (rule 37).
        """
        self._queue.drop(lane, batch_id, round_, forget=True, finish=True)
        self._ended.discard((lane, batch_id, round_))

    def _chunk(
        self, source: "LaneLines", index: OutcomeIndex, cursor: int, room: Room, last_from: int, allowed: Allowance
    ) -> Chunk:
        """Return the next chunk: rows without an outcome that are `allowed`, until `room` is full. The last row may exceed the
        bytes of `room`.

        `last_from` is the first of the last rows, which are claimed by their length.
        """
        rows: list[FeedRow] = []
        size, next_cursor, at_end = 0, cursor, True
        for offset, line, after in source.lines(cursor):
            if allowed.ends_at(offset):  # the end for now
                break
            if len(rows) >= room.rows or size >= room.size:
                at_end = False
                break
            next_cursor = after
            row = self._row(index, offset, line.rstrip(b"\n"), last_from)
            if row is not None and allowed.allows(row.row):
                rows.append(row)
                size += len(row.payload) if isinstance(row.payload, bytes) else REFERENCE_BYTES
        return Chunk(rows, size, next_cursor, at_end)

    def _row(self, index: OutcomeIndex, offset: int, line: bytes, last_from: int) -> FeedRow | None:
        request = read_row(line)
        if (
            request is None or request.row >= index.batch.rows
        ):  # the line is damaged. If no other line holds its row, the audit fails that row (rule 27)
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
            place=place_of(request.row, request.cost, last_from=last_from),
        )


def _needs_no_more(index: OutcomeIndex, schedule: BatchSchedule | None, window: Window) -> bool:
    """Whether this batch may be skipped while its lane is more than half full.

    It may be skipped if half of the batch's part waits on the lane, if no row of the batch is left to feed, or if the queue has
    closed the batch. It may not be skipped if the queue does not know this round of the batch.
    """
    if schedule is None or schedule.round != index.round:
        return False
    return (schedule.at_end and index.book is None) or schedule.closed or window.has_enough(index.batch)


def _without_other_rounds(snapshot: LaneSnapshot, indexes: Sequence[OutcomeIndex]) -> LaneSnapshot:
    """Return the snapshot without batches that the lane has in another round, so that a reopened batch is fed again."""
    rounds = {index.batch.batch_id: index.round for index in indexes}
    known = {name: one for name, one in snapshot.batches.items() if one.round == rounds.get(name)}
    return replace(snapshot, batches=known)


def _due_ms(index: OutcomeIndex) -> int:
    """Return when the round of a batch is due: its soft or its hard deadline, in Unix milliseconds; 0 if it has none."""
    soft = index.batch.publish_at if index.round == 1 else None
    due = min((at for at in (soft, index.deadline) if at is not None), default=None)
    return 0 if due is None else int(due.timestamp() * 1000)

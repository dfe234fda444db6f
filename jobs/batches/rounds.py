"""This module reads and creates the markers of a batch, which make its rounds, and says which lines of segments count.

Round 1 begins with `batch.json`, each further round with `reopen-<n>.json`, and round n ends with `done-<n>.json`. Once
`closed-<n>.json` exists, no further row of round n starts. Once `paused-<n>.json` exists, none starts until `resumed-<n>.json`
exists. If round n was closed at a soft deadline, the next round continues it. If the batch is cancelled before that next round
begins, `given-up-<n>.json` closes the next round as soon as it begins. A marker is created once, and the process that creates it
has decided (rules 14, 22, 35 and 36 of jobs/PROTOCOL.md).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

import orjson
from pydantic import BaseModel

from jobs.batches.batch import FORMAT, Batch, BatchPaths, Closed, CloseReason, Done, Paused, Reopen, Resumed
from jobs.batches.segments.head import HeadRow
from jobs.batches.segments.line import EVERY_ROUND
from jobs.errors import ConflictError, NoBatch, RequestError
from jobs.store.damage import check_format, damaged_file, missing_file
from jobs.store.store import Store

Clock = Callable[[], datetime]
Marker = TypeVar("Marker", bound=BaseModel)
_MARKER: Final = re.compile(r"(closed|done|reopen|paused|resumed|given-up|delivered)-([1-9][0-9]*)\.json")


def now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Round:
    """The current round of a batch, as its markers were when they were read.

    `before` is the marker `done` of the round before this one; None in round 1. `sent_back` maps each row that a marker
    `reopen` names to the last round that was opened for the row. `paused` is None if the round was not paused or was resumed.
    `may_pause` is False once the round was paused, since a round is paused at most once. `continues` is True if the round
    follows a soft deadline: jobs that ran when the round before was closed may finish. `given_up` is True if the batch was
    cancelled after the soft deadline had closed this round, or the round that this one continues.
    """

    number: int
    deadline: datetime | None
    closed: Closed | None
    done: Done | None
    before: Done | None
    sent_back: Mapping[int, int]
    paused: Paused | None = None
    may_pause: bool = True
    continues: bool = False
    given_up: bool = False

    @property
    def postponed(self) -> bool:
        """Whether the round was closed at the batch's soft deadline. Jobs that ran at that moment may finish."""
        return self.closed is not None and self.closed.reason == "postponed"

    @property
    def has_next_round(self) -> bool:
        """Whether the round was published at the soft deadline and left rows for a next round, which is not open yet."""
        return self.postponed and self.done is not None and self.done.counts.get("expired", 0) > 0

    @property
    def may_finish(self) -> bool:
        """Whether running jobs may finish although no further row starts: after a soft deadline, or while the round is paused."""
        return self.done is None and (self.postponed if self.closed else self.paused is not None)

    @property
    def may_be_forgotten(self) -> bool:
        """Whether the queue may forget this round: the round is published, or it is paused and not closed.

        If running jobs may still finish, the queue forgets the round only after they have ended.
        """
        return self.done is not None or (self.closed is None and self.paused is not None)

    @property
    def published(self) -> Done | None:
        """The marker `done` of the batch's last round; None while the batch is open."""
        return None if self.has_next_round else self.done

    @property
    def latest(self) -> Done | None:
        """The marker `done` of the highest published round; None if no round is published (rule 21 of jobs/PROTOCOL.md).

        If this round is published, the marker is that of this round; otherwise it is that of the round before.
        """
        return self.done or self.before

    def counts(self, line: HeadRow) -> bool:
        """Whether a line gives its row an outcome in this round (rule 8 of jobs/PROTOCOL.md).

        A completed line counts in any round, unless a later round was opened for its row by name. Any other line counts only if
        it is final, and is of this round or of a row that intake refused (`EVERY_ROUND`).
        """
        if line.status == "c":
            return line.round >= self.sent_back.get(line.row, 0)
        return line.final and line.round in (self.number, EVERY_ROUND)

    def carries(self, row: int) -> bool:
        """Whether a row that completed in the round before keeps its outcome in this round."""
        return self.sent_back.get(row) != self.number


def load_batch(store: Store, batch_id: str) -> Batch | None:
    """Read the acceptance of a batch. Returns None if there is no such batch. Raises StoreDamaged."""
    return _read(store, BatchPaths(batch_id).acceptance, Batch)


def list_batches(store: Store) -> list[str]:
    """Return the ids of all batches, and the names of folders that have no acceptance."""
    return store.list("batches")


def is_marker(name: str) -> bool:
    """Whether a file of this name in a batch's folder is a marker."""
    return _MARKER.fullmatch(name) is not None


def is_left_over(store: Store, batch_id: str) -> bool:
    """Whether a folder is the rest of an unfinished deletion: it has markers, which are deleted last, and no acceptance."""
    return any(map(is_marker, store.list(BatchPaths(batch_id).root))) and load_batch(store, batch_id) is None


def require_batch(store: Store, batch_id: str) -> Batch:
    """Read the acceptance of a batch. Raises NoBatch if there is none, and StoreDamaged."""
    batch = load_batch(store, batch_id)
    if batch is None:
        raise NoBatch(f"no batch {batch_id}: `nightpress status` lists all batches.")
    return batch


def read_round(store: Store, batch: Batch) -> Round:
    """Read the markers of a batch. Raises StoreDamaged.

    Callers list segments after this call, so the listing has all outcomes that counted when the markers were read (rule 16 of
    jobs/PROTOCOL.md).
    """
    paths = BatchPaths(batch.batch_id)
    matches = [match for name in store.list(paths.root) if (match := _MARKER.fullmatch(name))]
    found = {(match[1], int(match[2])) for match in matches}
    number = max((n for kind, n in found if kind == "reopen"), default=1)
    reopened = [read_marker(store, paths.reopen(n), Reopen) for n in range(2, number + 1)]
    continues = bool(reopened) and reopened[-1].continues
    return Round(
        number=number,
        deadline=reopened[-1].deadline if reopened else batch.deadline,
        closed=read_marker(store, paths.closed(number), Closed) if ("closed", number) in found else None,
        done=read_marker(store, paths.done(number), Done) if ("done", number) in found else None,
        before=read_marker(store, paths.done(number - 1), Done) if number > 1 else None,
        sent_back={row: marker.round for marker in reopened for row in marker.rows or ()},
        paused=(
            read_marker(store, paths.paused(number), Paused)
            if ("paused", number) in found and ("resumed", number) not in found
            else None
        ),
        may_pause=("paused", number) not in found,
        continues=continues,
        given_up=("given-up", number - 1 if continues else number) in found,
    )


def is_open(store: Store, batch_id: str) -> bool:
    """Whether a batch is open: its round is not published, or a next one opens by itself. Raises NoBatch, StoreDamaged."""
    return read_round(store, require_batch(store, batch_id)).published is None


def latest_done(store: Store, batch_id: str) -> Done | None:
    """Return the marker `done` of the highest published round; None if there is none. Raises NoBatch, StoreDamaged."""
    return read_round(store, require_batch(store, batch_id)).latest


def close(store: Store, batch_id: str, reason: CloseReason, clock: Clock = now) -> Closed:
    """Close the current round, so that no further row of it starts. Returns the marker that decides.

    If the round was closed before, that earlier marker stays and is returned (rule 14 of jobs/PROTOCOL.md). If it was closed at
    its soft deadline, a cancel also creates `given-up-<n>.json` and returns that marker (rule 35).

    Raises NoBatch, StoreUnavailable.
    """
    batch = require_batch(store, batch_id)
    paths = BatchPaths(batch_id)
    while True:
        number = read_round(store, batch).number
        mine = Closed(round=number, reason=reason, at=clock())
        path = paths.closed(number)
        store.create(path, to_bytes(mine))
        if reason == "cancelled" and read_marker(store, path, Closed).reason == "postponed":
            path = paths.given_up(number)
            store.create(path, to_bytes(mine))
        if read_round(store, batch).number == number:  # else it was reopened meanwhile: close the new round
            return read_marker(store, path, Closed)


def reopen(
    store: Store,
    batch_id: str,
    rows: Sequence[int] | None = None,
    deadline: datetime | None = None,
    clock: Clock = now,
) -> Reopen:
    """Open a further round for the rows that did not complete and for `rows`, which are run again even if they completed.

    Raises RequestError if the batch is open, if it lacks one of `rows`, or if there is nothing to do. Raises ConflictError if
    another process reopens the batch at the same moment. Raises NoBatch, StoreUnavailable.
    """
    batch = require_batch(store, batch_id)
    open_next_round(store, batch, clock)  # if a soft deadline left rows, the round for them comes first
    current = read_round(store, batch)
    if current.done is None:
        raise RequestError(
            f"batch {batch_id} is still open in round {current.number}: wait for it, or cancel it first."
        )
    if wrong := [row for row in rows or () if not 0 <= row < batch.rows]:
        raise RequestError(f"batch {batch_id} has no row {wrong[0]}: its rows are 0 to {batch.rows - 1}.")
    if not rows and current.done.counts.get("completed", 0) == batch.rows:
        raise RequestError(f"every row of batch {batch_id} has completed: name the rows to do again.")
    paths = BatchPaths(batch_id)
    named = tuple(sorted(set(rows))) if rows else None
    marker = Reopen(round=current.number + 1, rows=named, deadline=deadline, at=clock())
    if not store.create(paths.reopen(marker.round), to_bytes(marker)):
        raise ConflictError(f"batch {batch_id} was reopened by another process at this moment: look at its status.")
    store.create(paths.open_hint, b"")
    return marker


def open_next_round(store: Store, batch: Batch, clock: Clock = now) -> bool:
    """Open the next round if a soft deadline left rows for it. Returns whether the batch is open.

    The next round also runs the rows that failed.
    """
    current = read_round(store, batch)
    if not current.has_next_round:
        return current.done is None
    paths = BatchPaths(batch.batch_id)
    marker = Reopen(round=current.number + 1, deadline=batch.deadline, continues=True, at=clock())
    store.create(paths.reopen(marker.round), to_bytes(marker))
    store.create(paths.open_hint, b"")
    return True


def finish_round(store: Store, batch: Batch, clock: Clock = now) -> None:
    """Do what follows the publishing of a round. Several processes may do this for the same round.

    If the batch has an output URL, it owes its outputs there from now on. If a soft deadline left rows, the next round is
    opened; otherwise the hint that the batch is open is removed.
    """
    paths = BatchPaths(batch.batch_id)
    if batch.output_url is not None:
        store.create(paths.undelivered, b"")
    if not open_next_round(store, batch, clock):
        store.discard(paths.open_hint)


def pause(store: Store, batch: Batch, reason: str, clock: Clock = now) -> Paused:
    """Pause the current round. Returns the marker; if the round was paused before, the earlier one. Raises StoreUnavailable."""
    number = read_round(store, batch).number
    path = BatchPaths(batch.batch_id).paused(number)
    store.create(path, to_bytes(Paused(round=number, reason=reason, at=clock())))
    return read_marker(store, path, Paused)


def resume(store: Store, batch: Batch, clock: Clock = now) -> None:
    """Resume a paused round. Raises RequestError if the batch is not paused, and StoreUnavailable."""
    current = read_round(store, batch)
    if current.paused is None or current.done is not None:
        raise RequestError(f"batch {batch.batch_id} is not paused: look at its status.")
    path = BatchPaths(batch.batch_id).resumed(current.number)
    store.create(path, to_bytes(Resumed(round=current.number, at=clock())))


def to_bytes(record: BaseModel) -> bytes:
    """Return a record as it is stored: one line of JSON."""
    return record.model_dump_json().encode() + b"\n"


def read_marker(store: Store, path: str, record: type[Marker]) -> Marker:
    """Read a marker that must be there. Raises StoreDamaged if it is missing, damaged or of a newer release."""
    marker = _read(store, path, record)
    if marker is None:
        raise missing_file(store, path)
    return marker


def _read(store: Store, path: str, record: type[Marker]) -> Marker | None:
    try:
        data = store.read(path)
    except KeyError:
        return None
    try:
        values = orjson.loads(data)
        check_format(values, FORMAT, f"storage {store.redacted_url}: {path}")
        return record.model_validate(values)
    except ValueError as error:  # the errors of orjson and pydantic are ValueErrors too
        raise damaged_file(store, path) from error

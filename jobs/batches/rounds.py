"""Rounds: the markers of a batch, what they say together, and the rule by which a line of a segment counts.

Round 1 begins with `batch.json`, each further one with `reopen-<n>.json`; `done-<n>.json` ends it. `closed-<n>.json` says
that no further row of it is started, `paused-<n>.json` that none is until `resumed-<n>.json`. A round that was closed at a soft
deadline is continued by the next, unless `given-up-<n>.json` says that the batch was cancelled meanwhile: then the next is
closed as soon as it begins. Markers are created once, and whoever creates one has decided: nothing else here decides
anything, and no clock turns into an outcome but through `close`.
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
    """The time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Round:
    """The current round of a batch, as its markers stood when they were read.

    `before` is the published round that this one goes on from. `sent_back` holds, for each row that was ever sent back by
    name, the round in which that was last done. A round is paused at most once: `may_pause` says that it never was.
    `continues`: it follows a soft deadline, and what ran then may finish in it. `given_up`: the batch was cancelled in this
    round after its soft deadline, or in the one that this continues.
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
        """Whether this round ends at the soft deadline of the batch: what runs then may finish, for the next round."""
        return self.closed is not None and self.closed.reason == "postponed"

    @property
    def has_next_round(self) -> bool:
        """Whether this round was published at the soft deadline and left rows for a next one, which is not open yet."""
        return self.postponed and self.done is not None and self.done.counts.get("expired", 0) > 0

    @property
    def may_finish(self) -> bool:
        """Whether what runs may run to its end although no further row starts: over a soft deadline, and while paused."""
        return self.done is None and (self.postponed if self.closed else self.paused is not None)

    @property
    def may_be_forgotten(self) -> bool:
        """Whether the queue needs to know nothing of this round, once nothing runs that may finish."""
        return self.done is not None or (self.closed is None and self.paused is not None)

    @property
    def published(self) -> Done | None:
        """How the batch ended; None while it is open."""
        return None if self.has_next_round else self.done

    @property
    def latest(self) -> Done | None:
        """The highest published round: this one, or the one that it goes on from."""
        return self.done or self.before

    def counts(self, line: HeadRow) -> bool:
        """Whether a line gives its row an outcome: a completed one in any round, another only if it is final and of this.

        A row that was sent back by name asks for a new text: what was completed in the rounds before no longer counts.
        """
        if line.status == "c":
            return line.round >= self.sent_back.get(line.row, 0)
        return line.final and line.round in (self.number, EVERY_ROUND)

    def carries(self, row: int) -> bool:
        """Whether this row, completed in the round before, keeps its outcome."""
        return self.sent_back.get(row) != self.number


def load_batch(store: Store, batch_id: str) -> Batch | None:
    """The acceptance of a batch; None when there is none."""
    return _read(store, BatchPaths(batch_id).acceptance, Batch)


def list_batches(store: Store) -> list[str]:
    """The ids of all batches, and of folders that are no batch yet."""
    return store.list("batches")


def is_marker(name: str) -> bool:
    """Whether a file in a batch's folder is one of its markers."""
    return _MARKER.fullmatch(name) is not None


def is_left_over(store: Store, batch_id: str) -> bool:
    """Whether a folder without its acceptance is what a deletion left: intake makes no markers, and they are deleted last."""
    return any(map(is_marker, store.list(BatchPaths(batch_id).root))) and load_batch(store, batch_id) is None


def require_batch(store: Store, batch_id: str) -> Batch:
    """The acceptance of a batch that a person named. Raises NoBatch when there is none."""
    batch = load_batch(store, batch_id)
    if batch is None:
        raise NoBatch(f"no batch {batch_id}: `nightpress status` lists those that there are.")
    return batch


def read_round(store: Store, batch: Batch) -> Round:
    """Read the markers. What is listed after this belongs to this round or to a later one."""
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
    """Whether the current round of a batch is not published yet."""
    return read_round(store, require_batch(store, batch_id)).published is None


def latest_done(store: Store, batch_id: str) -> Done | None:
    """The highest published round: the truth about the batch so far."""
    return read_round(store, require_batch(store, batch_id)).latest


def close(store: Store, batch_id: str, reason: CloseReason, clock: Clock = now) -> Closed:
    """Let no further row of the current round start. Returns the marker that stands: the first reason wins.

    But for one: a batch that is cancelled while its soft deadline is carried out is cancelled in the round that follows.
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
        if read_round(store, batch).number == number:  # else it was reopened meanwhile, and the new round is meant
            return read_marker(store, path, Closed)


def reopen(
    store: Store,
    batch_id: str,
    rows: Sequence[int] | None = None,
    deadline: datetime | None = None,
    clock: Clock = now,
) -> Reopen:
    """Begin a further round for the rows that did not complete, and for `rows`, whose texts are sent back.

    Raises RequestError when the batch is still open, when a row is not in it, or when there is nothing to do.
    """
    batch = require_batch(store, batch_id)
    open_next_round(store, batch, clock)  # what a soft deadline left comes first
    current = read_round(store, batch)
    if current.done is None:
        raise RequestError(
            f"batch {batch_id} is still open in round {current.number}: wait for it, or cancel it first."
        )
    if wrong := [row for row in rows or () if not 0 <= row < batch.rows]:
        raise RequestError(f"batch {batch_id} has rows 0 to {batch.rows - 1}, and not {wrong[0]}.")
    if not rows and current.done.counts.get("completed", 0) == batch.rows:
        raise RequestError(f"every row of batch {batch_id} completed: name the rows to do again.")
    paths = BatchPaths(batch_id)
    named = tuple(sorted(set(rows))) if rows else None
    marker = Reopen(round=current.number + 1, rows=named, deadline=deadline, at=clock())
    if not store.create(paths.reopen(marker.round), to_bytes(marker)):
        raise ConflictError(f"batch {batch_id} was reopened by someone else at this moment: look at its status.")
    store.create(paths.open_hint, b"")
    return marker


def open_next_round(store: Store, batch: Batch, clock: Clock = now) -> bool:
    """Open the round that follows a soft deadline, if nobody has. Returns whether the batch is open.

    Rows that failed are tried again with those that were postponed.
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
    """What follows a published round: the next one, where a soft deadline left rows for it; else the batch is not open.

    Its outputs are owed to its output URL from here on. Whoever is not the first to say all this changes nothing.
    """
    paths = BatchPaths(batch.batch_id)
    if batch.output_url is not None:
        store.create(paths.undelivered, b"")
    if not open_next_round(store, batch, clock):
        store.discard(paths.open_hint)


def pause(store: Store, batch: Batch, reason: str, clock: Clock = now) -> Paused:
    """Hold the current round. Returns the marker that stands: the first reason wins."""
    number = read_round(store, batch).number
    path = BatchPaths(batch.batch_id).paused(number)
    store.create(path, to_bytes(Paused(round=number, reason=reason, at=clock())))
    return read_marker(store, path, Paused)


def resume(store: Store, batch: Batch, clock: Clock = now) -> None:
    """Let a paused round go on. Raises RequestError when it is not paused."""
    current = read_round(store, batch)
    if current.paused is None or current.done is not None:
        raise RequestError(f"batch {batch.batch_id} is not paused: look at its status.")
    path = BatchPaths(batch.batch_id).resumed(current.number)
    store.create(path, to_bytes(Resumed(round=current.number, at=clock())))


def to_bytes(record: BaseModel) -> bytes:
    """A record as it is stored: one JSON line."""
    return record.model_dump_json().encode() + b"\n"


def read_marker(store: Store, path: str, record: type[Marker]) -> Marker:
    """A record that is known to be there."""
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
    except ValueError as error:  # of orjson and pydantic too
        raise damaged_file(store, path) from error

"""Outcomes: what storage knows of one open batch, kept up to date by reading only what is new.

A byte for each row, and a small table of the attempts that did not end their row. It reads the index at the head of each
segment, never the outputs, and decides nothing: `publish.py` reads all lines again.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from jobs.batches.batch import Batch, BatchPaths, Closed, Done
from jobs.batches.published import ERRORS, read_published
from jobs.batches.rounds import Round, read_round
from jobs.batches.segments.files import Compacted, each_heads, list_files
from jobs.batches.segments.head import SOLO, HeadRow, SegmentHead
from jobs.errors import StoreUnavailable
from jobs.store.store import Store
from jobs.usage import Usage

_NONE: Final = 0
_FAILED: Final = 1
_COMPLETED: Final = 2


class PastAttempts(NamedTuple):
    """Attempts of a row that failed, and leases of it that ran out, of those the ones with no other job in hand."""

    attempts: int
    crashes: int
    solo_crashes: int


NO_ATTEMPTS: Final = PastAttempts(0, 0, 0)

LISTINGS: Final = 100
"""So often files are listed anew because others compacted them meanwhile."""


class OutcomeIndex:
    """The rows of a batch that have an outcome in the current round. Empty until the first `refresh`.

    `usage` and `wasted` add up the heads of all segments: an estimate, until the published numbers take its place. `currency` is
    what their amounts are in, once one says it.
    `current` are the markers as last read, `segments` the names read so far, each with the file where it was found first, `files`
    those files with the bytes of their lines, `compacted` the segments that lie in a compacted file, each with that, `alone` how
    many files there were at the last look with one segment, `carried` how many rows had completed before this round.
    `is_stale`: what it knows is of a batch that was deleted, also where the same rows are accepted again. One thread at a time.
    """

    def __init__(self, store: Store, batch: Batch) -> None:
        self._store = store
        self.batch = batch
        self.paths = BatchPaths(batch.batch_id)
        self._begin(Round(0, batch.deadline, None, None, None, {}))

    def _begin(self, current: Round) -> None:
        self.current = current
        self.usage = Usage()
        self.wasted = Usage()
        self.currency: str | None = None
        self.segments: dict[str, str] = {}
        self.files: dict[str, int] = {}
        self.compacted: dict[str, str] = {}
        self.single_files = 0
        self.carried = 0
        self.is_stale = False
        self._moved: set[str] = set()
        self._states = bytearray(self.batch.rows)
        self._unfinished: dict[int, PastAttempts] = {}

    def refresh(self) -> int:
        """Read the markers, then the heads of new segments. Returns how many were new.

        With a new round everything is read again, since other lines count in it.
        """
        current = read_round(self._store, self.batch)
        if current.number != self.round:
            carried = self._carried(current)
            self._begin(current)
            self._states = carried
            self.carried = carried.count(_COMPLETED)
        self.current = current
        return self._read_new()

    def _read_new(self) -> int:
        before = len(self.segments)
        for _ in range(LISTINGS):
            alone, compacted = list_files(self._store, self.paths)
            new = [path for path in (*alone, *compacted) if path not in self.files]
            self.single_files = len(alone)
            try:
                for path, heads in each_heads(self._store, new):
                    self.files[path] = sum(head.bytes for head in heads)
                    for head in heads:
                        self._take(head, path)
            except Compacted:
                continue
            self._look_for_gone({*alone, *compacted})
            return len(self.segments) - before
        raise StoreUnavailable(
            f"storage: files in {self.paths.segments} are listed, and are not there. Try again later."
        )

    def _look_for_gone(self, listed: set[str]) -> None:
        """A file goes alone only once a compacted one has its segments, and that one goes with its batch."""
        gone = self.files.keys() - listed - self._moved
        if gone:
            self._moved |= gone
            lost = any(path in gone and name not in self.compacted for name, path in self.segments.items())
            self.is_stale = self.is_stale or lost or not gone.isdisjoint(self.compacted.values())

    @property
    def round(self) -> int:
        """The current round; 0 before the first `refresh`."""
        return self.current.number

    @property
    def deadline(self) -> datetime | None:
        """When the current round is to be closed."""
        return self.current.deadline

    @property
    def closed(self) -> Closed | None:
        """The marker that lets no further row of this round start."""
        return self.current.closed

    @property
    def done(self) -> Done | None:
        """The marker that ended this round."""
        return self.current.done

    def has_outcome(self, row: int) -> bool:
        """Whether nothing more is to be done for a row in this round."""
        return self._states[row] != _NONE

    def past_attempts(self, row: int) -> PastAttempts:
        """What was tried in this round without ending the row."""
        return self._unfinished.get(row, NO_ATTEMPTS)

    @property
    def missing(self) -> int:
        """Rows without an outcome."""
        return self._states.count(_NONE)

    def missing_rows(self) -> Iterator[int]:
        """Those rows, in order."""
        row = self._states.find(_NONE)
        while row >= 0:
            yield row
            row = self._states.find(_NONE, row + 1)

    @property
    def complete(self) -> bool:
        """Whether the round can be published: every row has an outcome, or no further one will be started."""
        return self.closed is not None or self.missing == 0

    @property
    def counts(self) -> Mapping[str, int]:
        """Rows by status: the published ones once they are, until then what the segments say."""
        if self.done is not None:
            return {str(status): rows for status, rows in self.done.counts.items()}
        return {"completed": self._states.count(_COMPLETED), "failed": self._states.count(_FAILED)}

    def _carried(self, current: Round) -> bytearray:
        """What completed in the round before, but for the rows that were sent back by name."""
        if current.before is None:
            return bytearray(self.batch.rows)
        states = bytearray([_COMPLETED]) * self.batch.rows
        for error in read_published(self._store, current.before, self.batch.batch_id, ERRORS):
            states[error["row"]] = _NONE
        for row in current.sent_back:
            if not current.carries(row):
                states[row] = _NONE
        return states

    def _take(self, head: SegmentHead, path: str) -> None:
        """Count a segment, unless another file had it too."""
        if path.startswith(f"{self.paths.compacted}/"):
            self.compacted[head.name] = path
        if head.name in self.segments:
            return
        self.segments[head.name] = path
        self.usage, self.wasted = self.usage + head.usage, self.wasted + head.wasted
        self.currency = self.currency or head.currency
        counts, states, unfinished = self.current.counts, self._states, self._unfinished
        any_completed = not self.current.sent_back
        for line in head.rows:
            if (any_completed and line.status == "c") or counts(line):
                if states[line.row] != _COMPLETED:
                    states[line.row] = _COMPLETED if line.status == "c" else _FAILED
                if unfinished:
                    unfinished.pop(line.row, None)
            elif not line.final and line.round == self.round and not self.has_outcome(line.row):
                self._count_try(line)

    def _count_try(self, line: HeadRow) -> None:
        tries = self.past_attempts(line.row)
        crashed, solo = line.status in ("x", SOLO), line.status == SOLO
        self._unfinished[line.row] = PastAttempts(
            tries.attempts + (not crashed), tries.crashes + crashed, tries.solo_crashes + solo
        )

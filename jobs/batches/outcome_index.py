"""An outcome index knows which rows of one batch have an outcome, and is kept up to date by reading new segments only.

It reads the heads of segments and never the outputs. It holds one byte for each row, and a table of the attempts that gave their
row no outcome. It decides nothing: a publisher reads all lines again.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple, TypeVar

from jobs.batches.batch import Batch, BatchPaths, Closed, Done
from jobs.batches.budgets.book import BudgetBook
from jobs.batches.budgets.entry import BudgetEntry
from jobs.batches.published import ERRORS, published_path, read_published
from jobs.batches.round import Round
from jobs.batches.rounds import read_marker, read_round
from jobs.batches.segments.files import Compacted, each_heads, list_files
from jobs.batches.segments.head import SOLO, HeadRow, SegmentHead, damaged
from jobs.errors import StoreUnavailable
from jobs.logs import logger
from jobs.store.damage import damaged_file
from jobs.store.store import Store
from jobs.usage import NAMES, Usage

Value = TypeVar("Value")

_NONE: Final = 0
_COMPLETED: Final = 1
"""The state of a row that completed, and was not judged or completed before this round."""
_VERDICTS: Final[Mapping[str, int]] = {"fit": 2, "review": 3}
"""The state of a row that completed in this round, by its verdict."""
_FAILED: Final = 4
"""The state of a row that failed with the first code that was read. Each further code gets the next number, below `_OTHER`."""
_OTHER: Final = 255
"""The state of a row that failed with a code for which no number is left."""
_CHARGE: Final = 3 + NAMES.index("charge")
"""The place of the charge in an entry of `SegmentHead.lines`."""
OTHER_CODE: Final = "other"
"""The name of the codes for which no number is left."""


class PastAttempts(NamedTuple):
    """How often a row was tried in this round without an outcome.

    `attempts` counts the attempts that failed and may be retried. `crashes` counts the leases that ran out. `solo_crashes` counts
    the crashes in which the worker held no other job.
    """

    attempts: int
    crashes: int
    solo_crashes: int


NO_ATTEMPTS: Final = PastAttempts(0, 0, 0)

LISTINGS: Final = 100
"""If listed files are compacted before they are read, a refresh lists the segments again, up to this many times in all.

After that it raises StoreUnavailable.
"""


class OutcomeIndex:
    """The rows of a batch that have an outcome in the current round. It is empty until the first `refresh`.

    `current` is the round as the markers said at the last refresh. `carried` counts the rows that had completed before this
    round. `segments` maps the name of each segment to the path of the file in which it was read first. `files` maps the path of
    each file that was read to the number of bytes of its lines. `compacted` maps the name of each segment that is in a compacted
    file to the path of that file. `single_files` is the number of files with one segment at the last listing.

    `book` is the book of the batch's budgets; None if no budget limits the batch.

    `cost` is the expected work in tokens of the rows that have an outcome. In a further round, a second byte for each row notes
    whether the cost of a carried row is in it.

    `usage` and `wasted` are sums over the heads of all segments, in `currency` (None until a head names one). They are
    estimates until the round is published. `is_stale` is True once files are gone that only a deletion of the batch removes: a
    new batch with the same id may have been accepted since, and needs a new index. One thread at a time may use an index.
    """

    def __init__(self, store: Store, batch: Batch) -> None:
        self._store = store
        self.batch = batch
        self.paths = BatchPaths(batch.batch_id)
        self._foreign: set[str] = set()
        self._start_over(Round(0, batch.deadline, None, None, None, {}))

    def _start_over(self, current: Round) -> None:
        self.current = current
        self.usage = Usage()
        self.wasted = Usage()
        self.currency: str | None = None
        self.segments: dict[str, str] = {}
        self.files: dict[str, int] = {}
        self.compacted: dict[str, str] = {}
        self.single_files = 0
        self.carried = 0
        self.cost = 0
        self._carried_rows = bytearray()
        self.is_stale = False
        self._moved: set[str] = set()
        self._states = bytearray(self.batch.rows)
        self._codes: dict[str, int] = {}
        self._unfinished: dict[int, PastAttempts] = {}
        is_limited = self.batch.budget is not None or current.budget_entries > 0
        self.book = BudgetBook(self.batch.budget, current) if is_limited else None

    def refresh(self) -> int:
        """Read the markers, then new entries of the log of budgets, then the heads of new segments.

        Returns the number of new segments. Raises StoreUnavailable.

        In a new round everything is read again, since other lines count there.
        """
        current = read_round(self._store, self.batch)
        if current.number != self.round:
            carried = self._carried(current)
            self._start_over(current)
            self._states = carried
            self._carried_rows = bytearray(carried) if current.before is not None else bytearray()
            self.carried = carried.count(_COMPLETED)
        self.current = current
        self._read_log()
        return self._read_new()

    def _read_log(self) -> None:
        """Read the new entries of the log of budgets. The markers were listed before, so the log is read before the segments."""
        if self.current.budget_entries and self.book is None:  # a tenant of the batch got a budget meanwhile
            self.limit()
        while self.book is not None and self.book.number < self.current.budget_entries:
            path = self.paths.budget(self.book.number + 1)
            self.enter(read_marker(self._store, path, BudgetEntry))

    def limit(self) -> BudgetBook:
        """Return the book of budgets. If there is none, make one, since the budget of a tenant limits the batch from now on."""
        if self.book is None:
            self.book = BudgetBook(self.batch.budget, self.current)
        return self.book

    def enter(self, entry: BudgetEntry) -> None:
        """Write the next entry of the log into the book."""
        rows = (row for part in entry.granted for row in part.rows if row < self.batch.rows)
        states = self._states
        ended = {row: states[row] >= _FAILED for row in rows if states[row] != _NONE}
        self.limit().enter(entry, ended)

    def _read_new(self) -> int:
        before = len(self.segments)
        for _ in range(LISTINGS):
            alone, compacted, foreign = list_files(self._store, self.paths)
            self._name_foreign(foreign)
            new = [path for path in (*alone, *compacted) if path not in self.files]
            self.single_files = len(alone)
            try:
                for path, heads in each_heads(self._store, new):
                    self.files[path] = sum(head.bytes for head in heads)
                    for head in heads:
                        self._take(head, path)
            except Compacted:
                continue
            self._note_gone_files({*alone, *compacted})
            return len(self.segments) - before
        raise StoreUnavailable(
            f"storage: files in {self.paths.segments} were listed and then not there, again and again. Try again later."
        )

    def _name_foreign(self, paths: Sequence[str]) -> None:
        """Log the name of each foreign file once. Foreign files are passed over."""
        for path in paths:
            if path not in self._foreign:
                self._foreign.add(path)
                logger().warning("store.foreign_file", path=path)

    def _note_gone_files(self, listed: set[str]) -> None:
        """Set `is_stale` if files are gone that only a deletion of the batch removes.

        Without a deletion, a segment's own file goes only after a compacted file holds the segment, and compacted files stay.
        """
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
        """The time at which the current round is closed if nothing closes or publishes it before; None if it has no deadline."""
        return self.current.deadline

    @property
    def closed(self) -> Closed | None:
        """The marker that closed this round; None if the round is not closed."""
        return self.current.closed

    @property
    def done(self) -> Done | None:
        """The marker that published this round; None if the round is not published."""
        return self.current.done

    def has_outcome(self, row: int) -> bool:
        """Whether a row has an outcome in this round."""
        return self._states[row] != _NONE

    def past_attempts(self, row: int) -> PastAttempts:
        """Return how often a row was tried in this round without an outcome."""
        return self._unfinished.get(row, NO_ATTEMPTS)

    @property
    def missing(self) -> int:
        """The number of rows without an outcome."""
        return self._states.count(_NONE)

    def missing_rows(self) -> Iterator[int]:
        """Yield the rows without an outcome, in order."""
        row = self._states.find(_NONE)
        while row >= 0:
            yield row
            row = self._states.find(_NONE, row + 1)

    def first_of_last_missing(self, count: int) -> int:
        """Return the first of the last `count` rows without an outcome; 0 if there are not more of them."""
        states, rows, span = self._states, len(self._states), count
        while span < rows and states.count(_NONE, rows - span) < count:
            span *= 2  # so only the end of a long batch is looked at, unless few rows are missing
        low, high = max(rows - span, 0), rows - count
        if states.count(_NONE, low) < count:
            return 0
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if states.count(_NONE, middle) >= count else (low, middle - 1)
        return low

    @property
    def complete(self) -> bool:
        """Whether the round can be published: every row has an outcome, or the round is closed."""
        return self.closed is not None or self.missing == 0

    @property
    def counts(self) -> Mapping[str, int]:
        """The number of rows by status: from `done` if the round is published, otherwise from the segments."""
        if self.done is not None:
            return {str(status): rows for status, rows in self.done.counts.items()}
        completed = sum(map(self._states.count, range(_COMPLETED, _FAILED)))
        return {"completed": completed, "failed": self.batch.rows - completed - self.missing}

    @property
    def verdicts(self) -> Mapping[str, int]:
        """The number of completed rows by verdict: from `done`, otherwise from the segments. Rows that were not judged do not
        count, and before `done`, neither do rows that completed before this round.
        """
        if self.done is not None:
            return {str(verdict): rows for verdict, rows in self.done.verdicts.items()}
        return {verdict: rows for verdict, state in _VERDICTS.items() if (rows := self._states.count(state))}

    @property
    def codes(self) -> Mapping[str, int]:
        """The number of failed rows by the code of their failure, most first: from `done`, otherwise from the segments."""
        if self.done is not None:
            return self.done.codes
        counts = {code: self._states.count(state) for code, state in [*self._codes.items(), (OTHER_CODE, _OTHER)]}
        return dict(sorted(((code, n) for code, n in counts.items() if n), key=lambda item: (-item[1], item[0])))

    def _failed_with(self, head: SegmentHead, line: Sequence[int]) -> int:
        """Return the state of a row that failed, by the account that its line names."""
        code = _of_account(head.accounts, head, line).code
        if code not in self._codes and _FAILED + len(self._codes) == _OTHER:
            return _OTHER
        return self._codes.setdefault(code, _FAILED + len(self._codes))

    def _carried(self, current: Round) -> bytearray:
        """Return the state of each row at the beginning of a round: a carried row is completed, any other has no outcome."""
        if current.before is None:
            return bytearray(self.batch.rows)
        states = bytearray([_COMPLETED]) * self.batch.rows
        for error in read_published(self._store, current.before, self.batch.batch_id, ERRORS):
            row = error.get("row")
            if type(row) is not int or not 0 <= row < self.batch.rows:
                raise damaged_file(self._store, published_path(current.before, self.batch.batch_id, ERRORS), "row")
            states[row] = _NONE
        for row in current.sent_back:
            if not current.carries(row):
                states[row] = _NONE
        return states

    def _take(self, head: SegmentHead, path: str) -> None:
        """Count the rows of a segment, unless the segment was counted before from another file."""
        if path.startswith(f"{self.paths.compacted}/"):
            self.compacted[head.name] = path
        if head.name in self.segments:
            return
        if any(line.row >= self.batch.rows for line in head.rows):
            raise damaged(path, "rows: the batch has no such row")
        self.segments[head.name] = path
        self.usage, self.wasted = self.usage + head.usage, self.wasted + head.wasted
        self.currency = self.currency or head.currency
        counts, states, unfinished = self.current.counts, self._states, self._unfinished
        any_completed = not self.current.sent_back
        completed = [_VERDICTS.get(account.verdict, _COMPLETED) for account in head.accounts]
        for line, sizes in zip(head.rows, head.lines, strict=True):
            is_outcome = (any_completed and line.status == "c") or counts(line)
            if self.book is not None and (is_outcome or line.status == "c"):
                self._enter_line(self.book, line, sizes)
            if is_outcome:
                self._count_cost(line)
                if not _COMPLETED <= states[line.row] < _FAILED:
                    states[line.row] = (
                        _of_account(completed, head, sizes) if line.status == "c" else self._failed_with(head, sizes)
                    )
                if unfinished:
                    unfinished.pop(line.row, None)
            elif not line.final and line.round == self.round and not self.has_outcome(line.row):
                self._count_attempt(line)

    def _enter_line(self, book: BudgetBook, line: HeadRow, sizes: Sequence[int]) -> None:
        """Write a line into the book of budgets. The state of its row is not changed yet.

        A completed line of an earlier round is entered too, since the outcome of a renewed row may stand.
        """
        if line.status == "c":
            charge = sizes[_CHARGE] if len(sizes) > _CHARGE else 0
            is_first = not _COMPLETED <= self._states[line.row] < _FAILED
            book.complete(line.row, line.round, charge, is_first=is_first)
        elif self._states[line.row] == _NONE and line.round == self.round:
            book.fail(line.row)

    def _count_cost(self, line: HeadRow) -> None:
        """Add the expected work of a row, at the first line that shows its outcome. The state of the row is not changed yet."""
        if not self._states[line.row]:
            self.cost += line.cost
        elif self._carried_rows and self._carried_rows[line.row] and line.status == "c":
            self._carried_rows[line.row] = _NONE
            self.cost += line.cost

    def _count_attempt(self, line: HeadRow) -> None:
        past = self.past_attempts(line.row)
        crashed, solo = line.status in ("x", SOLO), line.status == SOLO
        self._unfinished[line.row] = PastAttempts(
            past.attempts + (not crashed), past.crashes + crashed, past.solo_crashes + solo
        )


def _of_account(values: Sequence[Value], head: SegmentHead, line: Sequence[int]) -> Value:
    """Return the value for the account that a line names. `values` has one for each account of the head. Raises StoreDamaged."""
    try:
        return values[line[2]]
    except IndexError:
        raise damaged(head.name, "accounts: a line names another") from None

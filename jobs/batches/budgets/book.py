"""The book of a batch's budgets says what the rows were charged, what is reserved for others, and so how much is left.

An index of outcomes keeps the book: it reads the log of grants, and then the heads of segments. For each row the book holds what
the row may be charged at most, given what storage says: the charge of its completed line, or the reservation of its grant. This
sum never grows but by a grant, because a line charges no more than the reservation of its row, and the cheapest completed line of
a row is published (rules 18 and 48 of jobs/PROTOCOL.md). So whoever reads an old state of segments sees too little money, and
never too much.

A row that failed for good is charged nothing, unless an attempt that was believed lost completes it after all. Its reservation is
*at risk*. The same holds for a row that an earlier round left without an outcome. The sum of these reservations is ignored up to
a chunk of the budget; what exceeds a chunk is held back like any other reservation.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from jobs.batches.budgets.entry import BudgetEntry
from jobs.batches.round import Round
from jobs.prices import Money, Prices

CHUNKS: Final = 50
"""A grant takes at most this part of the budget of a batch, unless a single row needs more."""


class Grant(NamedTuple):
    """What is reserved for a row, and the accounts of tenants' budgets that pay it."""

    amount: int
    accounts: tuple[str, ...] = ()


class BudgetBook:
    """The books of one batch in one round. `number` is that of the last entry that was read; the log goes on with the next.

    `budget` is the batch's own budget with what was added to it; None if it has none. `prices` are those by which its rows are
    charged; None before the first grant. `upto` maps a lane to the byte offset of its input up to which rows were granted or
    passed over in this round. `passed_over` counts the rows that were passed over; `passed_over_at` is the number of the first
    grant that passed one over. `used` is what is charged for completed rows,
    and `reserved` what is reserved for rows that were granted in this round and have no outcome. `holds` maps an account of a
    tenant's budget to the amount that it holds for this batch by the log, and `owed` to what its rows may cost by now.
    """

    def __init__(self, budget: Money | None, current: Round) -> None:
        self.number = 0
        self.budget = budget.amount if budget is not None else None
        self.currency = budget.currency if budget is not None else None
        self.prices: Prices | None = None
        self.upto: dict[str, int] = {}
        self.passed_over = 0
        self.passed_over_at: int | None = None
        self.used = 0
        self.reserved = 0
        self.holds: dict[str, int] = {}
        self.owed: dict[str, int] = {}
        self._round = current
        self._open: dict[int, Grant] = {}
        self._at_risk: dict[int, Grant] = {}
        self._kept: dict[int, Grant] = {}
        self._ungranted: dict[int, int] = {}

    @property
    def chunk(self) -> int:
        """The most that a grant of several rows takes from the batch's own budget; 0 if it has none."""
        return 0 if self.budget is None else max(self.budget // CHUNKS, 1)

    @property
    def at_risk(self) -> int:
        """The reservations of granted rows without a charge that an attempt believed lost could still complete."""
        return sum(grant.amount for grant in (*self._at_risk.values(), *self._kept.values()))

    @property
    def left(self) -> int | None:
        """What may still be granted of the batch's own budget; None if it has none."""
        return None if self.unspent is None else self.unspent - self.reserved

    @property
    def unspent(self) -> int | None:
        """What rows without an outcome may still be charged of the batch's own budget, granted or not; None if it has none."""
        return None if self.budget is None else self.budget - self.used - max(self.at_risk - self.chunk, 0)

    @property
    def is_idle(self) -> bool:
        """Whether every row that was granted in this round has its outcome."""
        return not self._open

    def is_granted(self, row: int) -> bool:
        """Whether a row was granted in this round and has no outcome yet."""
        return row in self._open

    def charged(self, account: str) -> int:
        """Return the most that the rows of an account of a tenant's budget may be charged, as storage says now."""
        return self.owed.get(account, 0)

    def settled(self, account: str) -> int:
        """Return what the rows of an account are charged once the round is published: rows without a charge cost nothing."""
        piles = (self._open, self._at_risk)
        without = sum(grant.amount for pile in piles for grant in pile.values() if account in grant.accounts)
        return self.owed.get(account, 0) - without

    def enter(self, entry: BudgetEntry, has_failed: Mapping[int, bool]) -> None:
        """Read the next entry of the log. `has_failed` has each row of the entry that has an outcome, with whether it failed."""
        self.number = entry.number
        self.prices = self.prices or entry.prices
        self.holds.update(entry.held)
        self.budget = self.budget if entry.budget is None else entry.budget
        is_current = entry.round == self._round.number
        if is_current and entry.lane is not None:
            self.upto[entry.lane] = max(entry.upto, self.upto.get(entry.lane, 0))
            self.passed_over += entry.passed_over
            if entry.passed_over and self.passed_over_at is None:
                self.passed_over_at = entry.number
        for part in entry.granted:
            for row, amount in zip(part.rows, part.amounts, strict=True):
                self._grant(row, Grant(amount, part.accounts), entry.round, has_failed.get(row))

    def _grant(self, row: int, grant: Grant, round_: int, failed: bool | None) -> None:
        if round_ < self._round.named.get(row, 0):
            return  # no line of that round counts any more
        if round_ < self._round.sent_back.get(row, 0):
            self._owe(self._kept.pop(row, None), -1)
            self._kept[row] = grant
        else:
            for pile in (self._open, self._at_risk):
                before = pile.pop(row, None)
                self._owe(before, -1)
                self.reserved -= before.amount if before is not None and pile is self._open else 0
            if row in self._ungranted:  # its completed line was read before this entry
                self._owe(grant._replace(amount=self._ungranted.pop(row)), 1)
                return
            if round_ == self._round.number and failed is False:  # a line of an earlier round has completed it
                return
            if round_ == self._round.number and not failed:
                self._open[row] = grant
                self.reserved += grant.amount
            else:
                self._at_risk[row] = grant
        self._owe(grant, 1)

    def complete(self, row: int, round_: int, charge: int, *, is_first: bool) -> None:
        """Count a completed line. `is_first` tells whether the row had no completed line in this round before."""
        if round_ < self._round.named.get(row, 0):
            return
        if round_ < self._round.sent_back.get(row, 0):
            grant = self._kept.pop(row, None)
        else:
            grant = self._open.pop(row, None)
            if grant is not None:
                self.reserved -= grant.amount
            else:
                grant = self._at_risk.pop(row, None)
            if grant is None and is_first:
                self._ungranted[row] = charge
                self.used += charge
        if grant is not None:
            self.used += charge
            self._owe(grant._replace(amount=grant.amount - charge), -1)

    def fail(self, row: int) -> None:
        """Count a final failure of this round: its reservation is at risk from now on."""
        grant = self._open.pop(row, None)
        if grant is not None:
            self.reserved -= grant.amount
            self._at_risk[row] = grant

    def _owe(self, grant: Grant | None, sign: int) -> None:
        if grant is not None:
            for account in grant.accounts:
                self.owed[account] = self.owed.get(account, 0) + sign * grant.amount

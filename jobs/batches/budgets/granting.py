"""Granting reserves money for the next rows of a lane, and then lets them be fed.

A grant is an entry of the batch's log (jobs/batches/budgets/entry.py). Any feeder of any fleet may grant. It reads the whole log,
works out what is left, and creates the next entry. If another process has created that entry first, nothing was decided, and it
reads again. So no two grants take the same money, whatever any process knows of the queue (rule 48 of jobs/PROTOCOL.md).

Rows are granted in the order of the lane's input. A row that costs more than is left stops its lane, while other lanes of the
batch go on. A row that alone could cost more than the whole budget would stop its lane for ever, so it is passed over.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, Final, Protocol

from jobs.batches.batch import Batch
from jobs.batches.budgets.book import BudgetBook
from jobs.batches.budgets.entry import BudgetEntry, GrantedRows
from jobs.batches.budgets.reservation import reservation
from jobs.batches.input import lane_input, read_row
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.quotes.drawn_input import DrawnInput
from jobs.batches.rounds import Clock, create_marker, now
from jobs.prices import Prices
from jobs.store.store import Store

GRANTS: Final = 256
"""A grant of a large batch has at least one row for each so many rows of the batch, so that the log stays short."""

TRIES: Final = 16
"""If other processes write the next entry first this many times, a feeder leaves the batch to them until its next look."""


class Accounts(Protocol):
    """The accounts of tenants' budgets, from which a grant takes money beside the batch's own budget."""

    def limit(self, batch: Batch) -> bool:
        """Whether a row of the batch may belong to a tenant with a budget."""
        ...

    def of(self, tenant: str) -> tuple[str, ...]:
        """Return the accounts that pay for a tenant's rows now; none if the tenant has no budget."""
        ...

    def left(self, account: str, index: OutcomeIndex) -> int:
        """Return what a batch may still take from an account, beside what its rows may cost by now."""
        ...

    def chunk(self, account: str) -> int:
        """Return the most that a grant of several rows takes from an account."""
        ...

    def until(self, account: str) -> datetime:
        """Return when the period of an account ends."""
        ...

    def may_return(self, account: str, index: OutcomeIndex) -> bool:
        """Whether the account may get money back from another batch, whose rows are at work."""
        ...

    def hold(self, index: OutcomeIndex, entry: BudgetEntry) -> bool:
        """Let accounts hold for a batch what an entry of its log is to say. Returns False if one of them has too little left."""
        ...

    def settle(self, index: OutcomeIndex, *, at_end: bool) -> None:
        """Give back what accounts hold for a batch beyond what its rows may be charged by now, or once they are published."""
        ...


class NoAccounts:
    """The accounts where no tenant has a budget."""

    def limit(self, batch: Batch) -> bool:
        """Return False: no batch is limited."""
        del batch
        return False

    def of(self, tenant: str) -> tuple[str, ...]:
        """Return no account."""
        del tenant
        return ()

    def left(self, account: str, index: OutcomeIndex) -> int:
        """Return 0: there are no accounts."""
        del account, index
        return 0

    def chunk(self, account: str) -> int:
        """Return 0: there are no accounts."""
        del account
        return 0

    def until(self, account: str) -> datetime:
        """Raise KeyError: there are no accounts."""
        raise KeyError(account)

    def may_return(self, account: str, index: OutcomeIndex) -> bool:
        """Return False: there are no accounts."""
        del account, index
        return False

    def hold(self, index: OutcomeIndex, entry: BudgetEntry) -> bool:
        """Hold nothing."""
        del index
        return not entry.held

    def settle(self, index: OutcomeIndex, *, at_end: bool) -> None:
        """Give nothing back."""
        del index, at_end


NO_ACCOUNTS: Final = NoAccounts()


@dataclass(slots=True)
class Choice:
    """The rows that a grant is to have, from the lane's input up to the byte offset `upto`.

    `stopped_by` tells why the row behind them is not among them: an account of a tenant's budget has too little left for it, or
    the batch's own budget has (an empty text). It is None if no row is behind them, or if what is left pays for it.
    """

    upto: int
    parts: dict[tuple[str, ...], tuple[list[int], list[int]]] = field(default_factory=dict)
    rows: int = 0
    amount: int = 0
    passed_over: int = 0
    stopped_by: str | None = None

    def add(self, row: int, amount: int, accounts: tuple[str, ...]) -> None:
        """Add a row that these accounts pay."""
        numbers, amounts = self.parts.setdefault(accounts, ([], []))
        numbers.append(row)
        amounts.append(amount)
        self.rows += 1
        self.amount += amount


@dataclass(frozen=True, slots=True)
class Granter:
    """Grants rows of any batch of one store by these prices."""

    store: Store
    prices: Prices
    accounts: Accounts = NO_ACCOUNTS
    clock: Clock = now

    def limits(self, index: OutcomeIndex) -> bool:
        """Whether a budget limits the batch. If so, its index has a book after this call."""
        if index.book is None and self.accounts.limit(index.batch):
            index.limit()
        return index.book is not None

    def grant(self, index: OutcomeIndex, lane: str, rows: int) -> bool:
        """Grant about `rows` further rows of a lane, or fewer. Returns whether a row was granted or passed over.

        The index knows the grant then. Raises StoreUnavailable, NoBatch.
        """
        round_ = index.round
        for _ in range(TRIES):
            entry = self._next(index, lane, rows)
            if entry is None or (entry.held and not self.accounts.hold(index, entry)):
                return False
            if create_marker(self.store, index.batch, index.paths.budget(entry.number), entry):
                index.enter(entry)
                return True
            index.refresh()
            if index.round != round_ or index.closed or index.done:
                return False
        return False

    def may_price(self, book: BudgetBook) -> bool:
        """Whether the batch's prices are in the currency of its budget."""
        return book.currency is None or (book.prices or self.prices).currency == book.currency

    def fault(self, book: BudgetBook) -> str:
        """Say in what the prices differ from the budget."""
        return (
            f"its budget is in {book.currency}, and the prices of the workers are in {self.prices.currency}: "
            f"give [prices] in {book.currency}"
        )

    def _next(self, index: OutcomeIndex, lane: str, rows: int) -> BudgetEntry | None:
        """Return the entry that would grant the next rows of a lane; None if there is nothing to grant at the moment.

        Near the end of a budget a grant waits until more rows have their outcomes, so that the end does not take many entries.
        """
        book = index.limit()
        if not self.may_price(book):
            return None
        choice = self.choose(index, lane, max(rows, index.batch.rows // GRANTS))
        if not choice.rows and not choice.passed_over:
            book.upto[lane] = choice.upto  # only rows with outcomes were read
            return None
        chunk = self.accounts.chunk(choice.stopped_by) if choice.stopped_by else book.chunk
        if choice.stopped_by is not None and not book.is_idle and 4 * choice.amount < chunk:
            return None
        return BudgetEntry(
            number=book.number + 1,
            round=index.round,
            lane=lane,
            upto=choice.upto,
            granted=tuple(
                GrantedRows(rows=tuple(numbers), amounts=tuple(amounts), accounts=accounts)
                for accounts, (numbers, amounts) in choice.parts.items()
            ),
            passed_over=choice.passed_over,
            prices=self.prices if book.prices is None else None,
            held=_held(book, choice),
            budget=book.budget,
            at=self.clock(),
        )

    def choose(self, index: OutcomeIndex, lane: str, rows: int) -> Choice:
        """Return the next rows of a lane that what is left pays for, at most `rows`. Rows with an outcome are left out."""
        book = index.limit()
        prices, purse = book.prices or self.prices, _Purse(self.accounts, index)
        choice = Choice(book.upto.get(lane, 0))
        if index.current.quoting is not None:
            return self._drawn(index, lane, rows, prices, purse)
        with lane_input(self.store, index.batch.batch_id, lane) as file:
            for line in _lines_from(file, choice.upto):
                row = read_row(line.rstrip(b"\n"))
                if row is not None and row.row < index.batch.rows and not index.has_outcome(row.row):
                    amount = reservation(row, prices)
                    if book.budget is not None and amount > book.budget:
                        choice.passed_over += 1
                    elif choice.rows == rows or not purse.pays(amount, self.accounts.of(row.tenant), choice):
                        break
                    else:
                        choice.add(row.row, amount, self.accounts.of(row.tenant))
                choice.upto += len(line)
        return choice

    def _drawn(self, index: OutcomeIndex, lane: str, rows: int, prices: Prices, purse: "_Purse") -> Choice:
        """Return the next rows of a lane's sample (rule 48). They lie anywhere in the input, so `upto` stays where it is, and a
        row that costs too much is left out without a count.
        """
        book, choice = index.limit(), Choice(index.limit().upto.get(lane, 0))
        if index.current.quoting is None or index.current.awaits_answer:
            return choice
        for _, line, _ in DrawnInput.read(self.store, index.batch, index.current.quoting, lane).lines(0):
            row = read_row(line.rstrip(b"\n"))
            if row is None or index.has_outcome(row.row) or book.is_granted(row.row):
                continue
            amount = reservation(row, prices)
            if book.budget is not None and amount > book.budget:
                continue
            if choice.rows == rows or not purse.pays(amount, self.accounts.of(row.tenant), choice):
                break
            choice.add(row.row, amount, self.accounts.of(row.tenant))
        return choice


class _Purse:
    """What is left for one grant: of the batch's own budget, and of each account of a tenant's budget."""

    def __init__(self, accounts: Accounts, index: OutcomeIndex) -> None:
        self._accounts = accounts
        self._index = index
        book = index.limit()
        self._left = book.left
        self._chunk = book.chunk
        self._of_accounts: dict[str, int] = {}
        self._taken: dict[str, int] = {}

    def pays(self, amount: int, accounts: tuple[str, ...], choice: Choice) -> bool:
        """Take an amount. Returns False if a budget has too little left, which the choice notes, or if the grant is full."""
        if amount and self._left is not None and choice.amount + amount > self._left:
            choice.stopped_by = ""
            return False
        for account in accounts if amount else ():
            if account not in self._of_accounts:
                self._of_accounts[account] = self._accounts.left(account, self._index)
            if self._taken.get(account, 0) + amount > self._of_accounts[account]:
                choice.stopped_by = account
                return False
        if choice.amount and self._is_full(amount, accounts, choice):
            return False
        for account in accounts:
            self._taken[account] = self._taken.get(account, 0) + amount
        return True

    def _is_full(self, amount: int, accounts: tuple[str, ...], choice: Choice) -> bool:
        if self._left is not None and choice.amount + amount > self._chunk:
            return True
        return any(self._taken.get(one, 0) + amount > self._accounts.chunk(one) for one in accounts)


def _held(book: BudgetBook, choice: Choice) -> dict[str, int]:
    """Return what each account holds for the batch with a grant: what its rows may cost by now, and the new reservations."""
    held: dict[str, int] = {}
    for accounts, (_, amounts) in choice.parts.items():
        for account in accounts:
            held[account] = held.get(account, book.charged(account)) + sum(amounts)
    return held


def _lines_from(file: BinaryIO, start: int) -> Iterator[bytes]:
    file.seek(start)
    yield from file

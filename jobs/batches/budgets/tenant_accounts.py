"""The accounts of tenants' budgets: what the rows of each tenant may be charged in a day or a month, over all batches.

An account is one period of one budget, such as `news/2026-12-01`. It has a log of its own, `budgets/<tenant>/<period>/<n>.json`,
numbered without a gap and created once. An entry says how much the account *holds* for a batch: what the rows of that batch that
were granted in this period may still be charged at most. Before a grant takes its place in the log of its batch, each account
notes what it will hold then, if it has that much left beside what it holds for other batches. So what the account holds in sum is
never more than the budget, whatever dies (rule 48 of jobs/PROTOCOL.md).

Several entries may concern one batch. The one that covers the most entries of the batch's log counts. Two processes may have
tried to make the same grant: then the larger amount counts, since either may have made it. An entry that only *settles* comes
after the grant that it covers, with what the rows may be charged by then, and of two of these the smaller amount counts.

A row counts in the period in which it was granted, also if it is published in a later one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from jobs.batches.batch import Batch, Count, Moment, StoredRecord
from jobs.batches.budgets.entry import AccountName, BudgetEntry, EntryNumber
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.records import parse_record
from jobs.batches.rounds import Clock, create_marker, load_batch, now, to_bytes
from jobs.errors import NoBatch
from jobs.prices import Money
from jobs.settings import Settings
from jobs.store.damage import damaged_file
from jobs.store.store import Store
from jobs.tenants import RowRight, TenantSettings

FOLDER: Final = "budgets"
"""This folder of a store holds a folder for each tenant with a budget, and in it one for each period."""

CHUNKS: Final = 50
"""A grant takes at most this part of a tenant's budget, unless a single row needs more."""

TRIES: Final = 64
"""If other processes write the next entry of an account first this many times, a grant is left to them."""


class AccountEntry(StoredRecord):
    """`budgets/<tenant>/<period>/<number>.json`: from now on the account holds `held` for a batch.

    The entry covers the log of the batch up to its entry `covers`. If `settles` is True, that entry was there before. The batch
    is named with the time when it was accepted, since a deleted one may be accepted again.
    """

    number: EntryNumber
    account: AccountName
    batch: str
    covers: Count
    settles: bool = False
    held: Count
    at: Moment


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account at one moment: `held` of its `budget` is charged or reserved, in billionths of the currency, until `until`."""

    tenant: str
    period: str
    currency: str
    budget: int
    held: int
    until: datetime


@dataclass(slots=True)
class _Log:
    """The entries of an account that were read: how many, and the one that counts for each batch."""

    number: int = 0
    of_batch: dict[str, AccountEntry] = field(default_factory=dict)

    def enter(self, entry: AccountEntry) -> None:
        """Read the next entry."""
        self.number = entry.number
        other = self.of_batch.get(entry.batch)
        if other is None or _place(entry) > _place(other):
            self.of_batch[entry.batch] = entry
        elif _place(entry) == _place(other):
            is_less = entry.held < other.held
            self.of_batch[entry.batch] = entry if is_less == entry.settles else other

    def held_for_others(self, batch: str) -> int:
        """Return what the account holds for all other batches."""
        return sum(entry.held for name, entry in self.of_batch.items() if name != batch)


def _place(entry: AccountEntry) -> tuple[int, bool]:
    return entry.covers, entry.settles


class TenantAccounts:
    """The accounts of all tenants of the settings. One thread at a time may use this object."""

    def __init__(self, store: Store, settings: Settings, clock: Clock = now) -> None:
        self.currency = settings.prices.currency
        self._store = store
        self._clock = clock
        self._tenants: Mapping[str, TenantSettings] = {
            name: tenant for name, tenant in settings.tenants.items() if tenant.has_budget
        }
        self._rows_may_set: tuple[RowRight, ...] = settings.rows_may_set
        self._logs: dict[str, _Log] = {}

    def limit(self, batch: Batch) -> bool:
        """Whether a row of the batch may belong to a tenant with a budget."""
        if not self._tenants:
            return False
        rights = batch.options.get("rows_may_set") or str(self._rows_may_set)
        return batch.tenant in self._tenants or "tenant" in rights

    def of(self, tenant: str) -> tuple[str, ...]:
        """Return the accounts that pay for a tenant's rows now; none if the tenant has no budget."""
        found = self._tenants.get(tenant)
        if found is None:
            return ()
        today = self._clock().astimezone(found.zone).date()
        days = [f"{tenant}/{today.isoformat()}"] * (found.budget_a_day is not None)
        months = [f"{tenant}/{today.isoformat()[:7]}"] * (found.budget_a_month is not None)
        return (*days, *months)

    def left(self, account: str, index: OutcomeIndex) -> int:
        """Return what a batch may still take from an account, beside what its rows may cost by now."""
        return self._budget(account) - self._log(account).held_for_others(_name(index)) - index.limit().charged(account)

    def chunk(self, account: str) -> int:
        """Return the most that a grant of several rows takes from an account."""
        return max(self._budget(account) // CHUNKS, 1)

    def until(self, account: str) -> datetime:
        """Return when the period of an account ends."""
        tenant, _, period = account.rpartition("/")
        zone = self._tenants[tenant].zone
        if period.count("-") > 1:
            end = date.fromisoformat(period) + timedelta(days=1)
        else:
            first = date.fromisoformat(f"{period}-01")
            end = (first + timedelta(days=31)).replace(day=1)
        return datetime(end.year, end.month, end.day, tzinfo=zone)

    def may_return(self, account: str, index: OutcomeIndex) -> bool:
        """Whether the account may get money back from another batch, whose rows are at work.

        What is held for a batch that was published by a process that died is given back now.
        """
        mine = _name(index)
        unsettled = [name for name, entry in self._log(account).of_batch.items() if not entry.settles and name != mine]
        return sum(map(self._is_at_work_or_settled_now, unsettled)) > 0

    def _is_at_work_or_settled_now(self, name: str) -> bool:
        """Whether a batch is open, or gave money back in this call. Its last entry is not settled."""
        batch_id, _, created_at = name.rpartition("@")
        batch = load_batch(self._store, batch_id)
        if batch is None or batch.created_at.isoformat() != created_at:
            return False
        index = OutcomeIndex(self._store, batch)
        try:
            index.refresh()
        except NoBatch:
            return False
        if index.done is not None and index.book is not None:
            self.settle(index, at_end=True)
        return True

    def hold(self, index: OutcomeIndex, entry: BudgetEntry) -> bool:
        """Let accounts hold for a batch what an entry of its log is to say. Returns False if one of them has too little left."""
        return all(self._write(account, index, entry.number, held) for account, held in sorted(entry.held.items()))

    def settle(self, index: OutcomeIndex, *, at_end: bool) -> None:
        """Give back what accounts hold for a batch beyond what its rows may be charged by now.

        `at_end` tells whether the round is published, so that rows without a charge cost nothing. Without it, an account that
        holds less than a chunk too much is left as it is, unless no row of the batch is at work.
        """
        book = index.limit()
        for account in list(book.owed):
            if account.rpartition("/")[0] not in self._tenants:
                continue
            owed = book.settled(account) if at_end else book.charged(account)
            entry = self._log(account).of_batch.get(_name(index))
            if entry is None or (entry.covers > book.number and not self._void(index, at_end=at_end)):
                continue
            surplus = entry.held - owed
            if surplus >= self.chunk(account) or ((at_end or book.is_idle) and (surplus or not entry.settles)):
                self._write(account, index, book.number, owed, settles=True)

    def _void(self, index: OutcomeIndex, *, at_end: bool) -> bool:
        """Take the place of a grant that an account holds money for, and that its process has not made. Returns whether it did.

        That process may have died. If it lives, it finds its place taken and begins anew. A batch whose rows are at work is left
        to it.
        """
        book = index.limit()
        if not (at_end or book.is_idle):
            return False
        entry = BudgetEntry(number=book.number + 1, round=index.round, budget=book.budget, at=self._clock())
        if not create_marker(self._store, index.batch, index.paths.budget(entry.number), entry):
            return False
        index.enter(entry)
        return True

    def states(self) -> list[AccountState]:
        """Return the accounts of all tenants in their present periods."""
        return [self._state(account) for tenant in self._tenants for account in self.of(tenant)]

    def _state(self, account: str) -> AccountState:
        tenant, _, period = account.rpartition("/")
        held = self._log(account).held_for_others("")
        return AccountState(tenant, period, self.currency, self._budget(account), held, self.until(account))

    def _write(self, account: str, index: OutcomeIndex, covers: int, held: int, *, settles: bool = False) -> bool:
        """Add an entry to the log of an account. Returns False if the account has too little left."""
        for _ in range(TRIES):
            log = self._log(account)
            if not settles and log.held_for_others(_name(index)) + held > self._budget(account):
                return False
            entry = AccountEntry(
                number=log.number + 1,
                account=account,
                batch=_name(index),
                covers=covers,
                settles=settles,
                held=held,
                at=self._clock(),
            )
            if self._store.create(_path(account, entry.number), to_bytes(entry)):
                log.enter(entry)
                return True
        return False

    def _budget(self, account: str) -> int:
        tenant, _, period = account.rpartition("/")
        found = self._tenants[tenant]
        money = found.budget_a_day if period.count("-") > 1 else found.budget_a_month
        return money.amount if isinstance(money, Money) else 0

    def _log(self, account: str) -> _Log:
        """Read the new entries of an account."""
        log = self._logs.setdefault(account, _Log())
        folder = f"{FOLDER}/{account}"
        numbers = (int(name.removesuffix(".json")) for name in self._store.list(folder) if name[:1].isdigit())
        for number in range(log.number + 1, max(numbers, default=0) + 1):
            path = _path(account, number)
            try:
                data = self._store.read(path)
            except KeyError:
                raise damaged_file(self._store, path, "it is missing") from None
            log.enter(parse_record(self._store, path, data, AccountEntry))
        return log


def _name(index: OutcomeIndex) -> str:
    return f"{index.batch.batch_id}@{index.batch.created_at.isoformat()}"


def _path(account: str, number: int) -> str:
    return f"{FOLDER}/{account}/{number}.json"

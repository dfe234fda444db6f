"""This module says whether a budget stops a batch: nothing more can be granted, and all granted rows have their outcomes.

It decides from storage alone. A row that was granted may be at work anywhere, so a batch with such a row is not stopped yet.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from jobs.batches.budgets.book import BudgetBook
from jobs.batches.budgets.granting import Choice, Granter
from jobs.batches.outcome_index import OutcomeIndex
from jobs.prices import exact


class Stop(NamedTuple):
    """Why a budget stops a batch. `number` is that of the last entry of its log, and `words` is a clause. `until` is when the
    budget of a tenant begins anew; None if the batch's own budget is used up.
    """

    number: int
    until: datetime | None
    words: str


class Outlook(NamedTuple):
    """How a batch with a budget goes on. `more` tells whether rows may be granted. `stop` is why a budget stops the batch;
    None if none does. Without either, granted rows lack their outcomes, or no row is left to be granted.
    """

    more: bool
    stop: Stop | None


NO_BUDGET: Final = Outlook(more=False, stop=None)


def outlook(granter: Granter, index: OutcomeIndex) -> Outlook:
    """Return how a batch goes on. The index must be up to date. Raises StoreUnavailable."""
    if not granter.limits(index) or not index.limit().is_idle:
        return NO_BUDGET
    if not granter.may_price(index.limit()):
        return Outlook(more=True, stop=None)
    choices = [granter.choose(index, lane, 1) for lane in sorted(index.batch.lanes)]
    if any(choice.rows for choice in choices):
        return Outlook(more=True, stop=None)
    granter.accounts.settle(index, at_end=False)
    stops = [choice.stopped_by for choice in choices if choice.stopped_by]
    if any(granter.accounts.may_return(account, index) for account in stops):
        return Outlook(more=True, stop=None)
    return Outlook(more=False, stop=_stop(granter, index.limit(), choices))


def _stop(granter: Granter, book: BudgetBook, choices: Sequence[Choice]) -> Stop | None:
    stops = [choice.stopped_by for choice in choices if choice.stopped_by is not None]
    passed_over = book.passed_over + sum(choice.passed_over for choice in choices)
    if "" in stops:
        return Stop(book.number, None, _in_words(book, 0))
    if stops:
        until = min(map(granter.accounts.until, stops))
        tenant, _, period = stops[0].rpartition("/")
        return Stop(book.number, until, f"the budget of tenant {tenant} for {period} is used up")
    if passed_over:  # if an operator has added to the budget since then, the next round tries the rows again at once
        return Stop(book.passed_over_at or book.number, None, _in_words(book, passed_over))
    return None


def _in_words(book: BudgetBook, passed_over: int) -> str:
    budget, used = exact(book.budget or 0, book.currency or ""), exact(book.used, book.currency or "")
    if passed_over:
        each = (
            "each of the rows that are left could cost more than"
            if passed_over > 1
            else "its last row could cost more than"
        )
        return f"{each} the whole budget of {budget}"
    return f"{used} of its budget of {budget} are used, and what is left does not pay for the next row"

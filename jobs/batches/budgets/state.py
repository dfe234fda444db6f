"""The state of a batch's own budget, as statuses, `usage.json` and the commands say it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from jobs.batches.budgets.book import BudgetBook
from jobs.prices import exact


@dataclass(frozen=True, slots=True)
class BudgetState:
    """How much of a batch's budget is used, as integers in billionths of its currency.

    Attributes:
        currency: The currency of the budget.
        budget: What all rows may be charged, with all that was added; None if only a tenant's budget limits the batch.
        used: What is charged for completed rows. While a round runs it may be more than is charged in the end: of two attempts
            that complete a row, the cheaper one is published.
        reserved: What is set aside for rows that are at work or may be fed.
        at_risk: What failed rows could still cost, if an attempt that was believed lost completes them after all.
        stopped_by: Which budget stopped the batch, as a clause; None if none did.
        until: When the batch goes on by itself, since the budget of its tenant begins anew; None if it does not.
    """

    currency: str
    budget: int | None
    used: int
    reserved: int = 0
    at_risk: int = 0
    stopped_by: str | None = None
    until: datetime | None = None

    @property
    def left(self) -> int:
        """What is neither used nor reserved."""
        return max((self.budget or 0) - self.used - self.reserved, 0)

    def in_words(self) -> str:
        """Return the state in words: `12.5 EUR of 20 EUR used, 0.4 EUR reserved, 7.1 EUR left`."""
        if self.budget is None:
            return f"{exact(self.used, self.currency)} used, {exact(self.reserved, self.currency)} reserved"
        amounts = (self.used, self.budget, self.reserved, self.left)
        used, budget, reserved, left = (exact(amount, self.currency) for amount in amounts)
        return f"{used} of {budget} used, {reserved} reserved, {left} left"

    def as_dict(self) -> Mapping[str, Any]:
        """Return the amounts, as `usage.json` has them."""
        return {name: value for name, value in asdict(self).items() if name not in ("stopped_by", "until")}


def state_of(book: BudgetBook | None, currency: str) -> BudgetState | None:
    """Return the state by the book of a batch; None if no budget limits the batch. `currency` is that of the prices."""
    if book is None:
        return None
    named = book.currency or (book.prices.currency if book.prices is not None else currency)
    return BudgetState(named, book.budget, book.used, book.reserved, book.at_risk)

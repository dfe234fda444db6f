"""The log of a batch's budgets is the files `budget-<n>.json`, numbered from 1 without a gap.

An entry is created once. Its writer has read all entries before it, so each entry is decided in the knowledge of all others
(rule 48 of jobs/PROTOCOL.md). A batch without any budget has no entry.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from jobs.batches.batch import Count, LaneName, Moment, RoundNumber, Rows, StoredRecord
from jobs.prices import Prices

EntryNumber = Annotated[int, Field(ge=1, le=1_000_000)]
AccountName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}/\d{4}-\d{2}(-\d{2})?$")]


class GrantedRows(BaseModel):
    """Rows of one tenant, each with the amount that is reserved for it, and the accounts of the tenant's budgets that pay it.

    An account is named `<tenant>/<period>`: `news/2026-12-01` is that day of the tenant news, and `news/2026-12` that month.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    rows: tuple[Rows, ...]
    amounts: tuple[Count, ...]
    accounts: tuple[AccountName, ...] = ()

    @model_validator(mode="after")
    def _is_paired(self) -> "GrantedRows":
        """Check that each row has an amount."""
        if len(self.rows) != len(self.amounts):
            raise ValueError("amounts: they are not as many as the rows")
        return self


class BudgetEntry(StoredRecord):
    """`budget-<number>.json`: an entry of the log. It is a grant, or says what was added to the budget of the batch.

    A grant lets the rows `granted` be fed to `lane` in `round`. It was made from the lane's input up to the byte offset `upto`,
    in which `passed_over` rows were left out, because each of them alone could cost more than the whole budget. The first grant
    names the `prices` by which all rows of the batch are charged. `held` has each account of a tenant's budget that the entry
    concerns, with the amount that it holds for this batch from now on. `budget` is the batch's own budget from this entry on,
    with all that operators added; None if it has none. An entry without a lane only adds to the budget.
    """

    number: EntryNumber
    round: RoundNumber
    lane: LaneName | None = None
    upto: Count = 0
    granted: tuple[GrantedRows, ...] = ()
    passed_over: Rows = 0
    prices: Prices | None = None
    held: Mapping[AccountName, Count] = {}
    budget: Count | None = None
    at: Moment

"""The ledger of a round: what was charged and what was wasted, by model. It becomes `usage.json`.

Everything that any attempt cost is either charged with the one published row that came of it, or wasted: failed rows, lost
attempts, regenerated text. So waste is all that was spent less all that is in `output.jsonl`, in integers.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from jobs.batch import FORMAT, Batch
from jobs.prices import Prices
from jobs.segment_head import Account
from jobs.usage import NAMES, Usage, counts_of, total

_NOTHING: Final = (0,) * len(NAMES)


class Ledger:
    """Adds up one round. Its memory grows with the number of models and price versions alone.

    An *entry* is what the ledger needs to know of a row: the number of its account, then its six counts.
    """

    def __init__(self) -> None:
        self._spent: defaultdict[str, list[int]] = defaultdict(lambda: [0] * len(NAMES))
        self._numbers: dict[Account, int] = {}
        self._accounts: list[Account] = []
        self._rows: list[int] = []
        self._sums_of: list[list[int]] = []

    def spend(self, spent: Mapping[str, Sequence[int]]) -> None:
        """Count what the attempts of a segment cost by model, whatever came of them."""
        for model, counts in spent.items():
            _add(self._spent[model], counts)

    def number(self, account: Account) -> int:
        """The number of an account, which is opened if need be."""
        number = self._numbers.setdefault(account, len(self._numbers))
        if number == len(self._rows):
            self._accounts.append(account)
            self._rows.append(0)
            self._sums_of.append([0] * len(NAMES))
        return number

    def entry(self, row: Mapping[str, Any]) -> Sequence[int]:
        """The entry of a row that may be published. Only `post` counts it."""
        usage = row["usage"] if row["status"] == "completed" else {}
        account = Account(row["status"], row["model"], usage.get("prices"))
        return (self.number(account), *(counts_of(usage) if usage else _NOTHING))

    def post(self, entry: Sequence[int]) -> str:
        """Count a row that is published. Returns its status."""
        number = entry[0]
        self._rows[number] += 1
        _add(self._sums_of[number], entry[1:])
        return self._accounts[number].status

    def rows(self, status: str) -> int:
        """How many rows were posted with this status."""
        return sum(n for account, n in zip(self._accounts, self._rows, strict=True) if account.status == status)

    def account(self, batch: Batch, round_: int, prices: Prices, before: Mapping[str, Any] | None) -> dict[str, Any]:
        """`usage.json`: cumulative over all rounds. `new` is the difference to the round before, to bill by.

        `prices` names the version of whoever publishes; `price_versions` are those that the rows were charged by.
        """
        posted = [account for account, rows in zip(self._accounts, self._rows, strict=True) if rows]
        models = {*self._spent, *(account.model for account in posted)}
        sums = self._sums(models)
        return {
            "format": FORMAT,
            "batch_id": batch.batch_id,
            "tenant": batch.tenant,
            "round": round_,
            **sums,
            "currency": prices.currency,
            "prices": prices.version,
            "price_versions": sorted({account.prices for account in posted if account.prices}),
            "models": {model: self._sums([model]) for model in sorted(models) if model},
            "new": _difference(sums, before),
        }

    def _sums(self, models: Iterable[str]) -> dict[str, Any]:
        names = set(models)
        completed = other = 0
        charged = Usage()
        for account, rows, sums in zip(self._accounts, self._rows, self._sums_of, strict=True):
            if account.model in names and account.status == "completed":
                completed += rows
                charged += Usage(*sums)
            elif account.model in names:
                other += rows
        spent = total(Usage(*self._spent[name]) for name in names)
        return {
            "rows": completed,
            **charged.as_dict(),
            "wasted": {"rows": other, **(spent - charged).as_dict()},
        }


def _add(sums: list[int], counts: Sequence[int]) -> None:
    for place, count in enumerate(counts):
        sums[place] += count


def _difference(sums: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    if before is None:
        return dict(sums)
    return {
        name: _difference(value, before[name]) if isinstance(value, Mapping) else value - before[name]
        for name, value in sums.items()
    }

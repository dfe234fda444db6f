"""The ledger of a round: what was charged and what was wasted, by model. It becomes `usage.json`.

Everything that any attempt cost is either charged with the one published row that came of it, or wasted: failed rows, lost
attempts, regenerated text. So waste is all that was spent less all that is in `output.jsonl`, in integers.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from jobs.batch import FORMAT, Batch
from jobs.prices import Prices
from jobs.segment import Outcome
from jobs.usage import Usage, total


class Ledger:
    """Adds up one round. Its memory grows with the number of models alone."""

    def __init__(self) -> None:
        self._spent: defaultdict[str, Usage] = defaultdict(Usage)
        self._charged: defaultdict[str, Usage] = defaultdict(Usage)
        self._completed: Counter[str] = Counter()
        self._not_completed: Counter[str] = Counter()
        self._price_versions: set[str] = set()

    def spend(self, outcome: Outcome) -> None:
        """Count what one attempt cost, whatever came of it."""
        self._spent[outcome.model] += outcome.usage + outcome.wasted

    def complete(self, row: Mapping[str, Any]) -> None:
        """Count an output row."""
        self._charged[row["model"]] += Usage.from_dict(row["usage"])
        self._completed[row["model"]] += 1
        if version := row["usage"].get("prices"):
            self._price_versions.add(version)

    def fail(self, row: Mapping[str, Any]) -> None:
        """Count an error row."""
        self._not_completed[row["model"]] += 1

    def account(self, batch: Batch, round_: int, prices: Prices, before: Mapping[str, Any] | None) -> dict[str, Any]:
        """`usage.json`: cumulative over all rounds. `new` is the difference to the round before, to bill by.

        `prices` names the version of whoever publishes; `price_versions` are those that the rows were charged by.
        """
        models = {*self._spent, *self._completed, *self._not_completed}
        sums = self._sums(models)
        return {
            "format": FORMAT,
            "batch_id": batch.batch_id,
            "tenant": batch.tenant,
            "round": round_,
            **sums,
            "currency": prices.currency,
            "prices": prices.version,
            "price_versions": sorted(self._price_versions),
            "models": {model: self._sums([model]) for model in sorted(models) if model},
            "new": _difference(sums, before),
        }

    def _sums(self, models: Iterable[str]) -> dict[str, Any]:
        names = list(models)
        charged = total(self._charged[name] for name in names)
        spent = total(self._spent[name] for name in names)
        return {
            "rows": sum(self._completed[name] for name in names),
            **charged.as_dict(),
            "wasted": {"rows": sum(self._not_completed[name] for name in names), **(spent - charged).as_dict()},
        }


def _difference(sums: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    if before is None:
        return dict(sums)
    return {
        name: _difference(value, before[name]) if isinstance(value, Mapping) else value - before[name]
        for name, value in sums.items()
    }

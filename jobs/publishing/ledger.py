"""The ledger of a round adds up what was charged and what was wasted. It becomes `usage.json`.

The cost of every attempt is either charged with the published row that the attempt completed, or wasted. Waste is the cost of
failed rows, of lost attempts, and of answers that were thrown away because the kind asked again. So the waste is all that was
spent minus all that is charged in `output.jsonl`, in integers.

Workers charge by their own prices, so the rows name the currency of their amounts. The publisher's own currency is used only if
no row names a currency. Amounts of two currencies are never added up (rule 30 of jobs/PROTOCOL.md).
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from jobs.batches.batch import FORMAT, Batch
from jobs.batches.output_rows import code_of, first_template
from jobs.batches.segments.head import Account
from jobs.findings import Verdict
from jobs.planning.sizes import Part, Sizes, SizesCounter, as_values
from jobs.prices import Prices
from jobs.usage import NAMES, REMEMBERED, Remembered, Usage, counts_of, total

AMOUNTS: Final = ("device_cost", "charge")
"""The counts of a usage that are amounts of money."""
VERDICTS: Final[tuple[Verdict, ...]] = ("fit", "review")
"""The verdicts that a completed row may have. A row that was not judged has none."""
MOST_LOST: Final = 1_000
"""At most this many lost workers of a model are named."""
_USED: Final = 1 + len(NAMES)
"""The place in an entry after the counts of the usage."""
_PROMPT, _COMPLETION, _DEVICE_NS = (
    1 + NAMES.index(name) for name in ("prompt_tokens", "completion_tokens", "device_ns")
)
"""The places in an entry of the counts of which sketches are kept."""
_NOTHING: Final = (0,) * (len(NAMES) + len(REMEMBERED))


class Ledger:
    """Adds up one round.

    An *account* adds up rows of one status, model, version of prices, currency, tenant, kind, template, code of failure, verdict
    and device. An *entry* is the ledger's record of a row: the number of its account, then the six counts of its usage, then
    the four counts of what the translation memory answered.
    Memory grows with the number of accounts only.
    """

    def __init__(self) -> None:
        self._spent: defaultdict[tuple[str, str | None], list[int]] = defaultdict(lambda: [0] * len(NAMES))
        self._numbers: dict[Account, int] = {}
        self._accounts: list[Account] = []
        self._rows: list[int] = []
        self._sums_of: list[list[int]] = []
        self._remembered: list[list[int]] = []
        self._sizes: list[SizesCounter] = []
        self._lost: defaultdict[str, set[str]] = defaultdict(set)

    def lose(self, model: str, worker: str) -> None:
        """Note that a worker of a model died, or was cut off, with a row in hand. `worker` names one life of it."""
        if model and worker and len(self._lost[model]) < MOST_LOST:
            self._lost[model].add(worker)

    def spend(self, spent: Mapping[str, Sequence[int]], currency: str | None) -> None:
        """Add the cost of all attempts of a segment, by model."""
        for model, counts in spent.items():
            _add(self._spent[model, currency], counts)

    def account_number(self, account: Account) -> int:
        """Return the number of an account. A new account is added first."""
        number = self._numbers.setdefault(account, len(self._numbers))
        if number == len(self._rows):
            self._accounts.append(account)
            self._rows.append(0)
            self._sums_of.append([0] * len(NAMES))
            self._remembered.append([0] * len(REMEMBERED))
            self._sizes.append(SizesCounter())
        return number

    def entry(self, row: Mapping[str, Any]) -> Sequence[int]:
        """Return the entry of a published row, without counting the row."""
        if row["status"] != "completed":
            account = Account(row["status"], row["model"], None, "", "", "", code_of(row.get("error")), None)
            return (self.account_number(account), *_NOTHING)
        usage = row["usage"]
        group = (row["tenant"], row["kind"], first_template(row))
        verdict = row.get("verdict") or ""
        judged = (usage.get("currency"), verdict, row.get("device") or "")
        account = Account("completed", row["model"], usage.get("prices"), *group, "", *judged)
        remembered = Remembered.from_dict(row.get("memory")).counts
        return (self.account_number(account), *counts_of(usage), *remembered)

    def post(self, entry: Sequence[int]) -> str:
        """Count a published row by its entry. Returns its status."""
        number = entry[0]
        self._rows[number] += 1
        _add(self._sums_of[number], entry[1:_USED])
        _add(self._remembered[number], entry[_USED:])
        status = self._accounts[number].status
        if status == "completed":
            self._sizes[number].add(entry[_PROMPT], entry[_COMPLETION], entry[_DEVICE_NS])
        return status

    def status(self, entry: Sequence[int]) -> str:
        """Return the status of the row of an entry."""
        return self._accounts[entry[0]].status

    def verdict(self, entry: Sequence[int]) -> str:
        """Return the verdict of the row of an entry; empty if the row was not judged."""
        return self._accounts[entry[0]].verdict

    def rows(self, status: str) -> int:
        """Return how many rows with this status were posted."""
        return sum(n for account, n in zip(self._accounts, self._rows, strict=True) if account.status == status)

    def verdicts(self) -> Mapping[Verdict, int]:
        """Return how many completed rows have each verdict, without rows that were not judged."""
        found = dict.fromkeys(VERDICTS, 0)
        for account, rows in zip(self._accounts, self._rows, strict=True):
            for verdict in VERDICTS:
                found[verdict] += rows * (account.verdict == verdict)
        return {verdict: rows for verdict, rows in found.items() if rows}

    def codes(self) -> Mapping[str, int]:
        """Return how many rows failed with each code. Rows that were cancelled or expired have not failed."""
        found: defaultdict[str, int] = defaultdict(int)
        for account, rows in zip(self._accounts, self._rows, strict=True):
            if account.status == "failed" and rows:
                found[account.code] += rows
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def usage(self, batch: Batch, round_: int, prices: Prices, before: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the `usage.json` of a batch after this round.

        `before` is the `usage.json` of the round before; None if there was no such round. In the result, `new` holds the
        difference between the sums and `before`; all other sums are over all rounds. `prices` is the version of the publisher's
        prices, and `price_versions` are the versions by which the rows were charged. If the rows have several currencies,
        `device_cost` and `charge` are the amounts in `currency`, and `other_currencies` holds the sums of each other currency.
        `groups` holds the sums of the completed rows for each currency, tenant, model, kind and template. `fit` and `review`
        beside `rows` count the rows with this verdict. `memory` is there if the translation memory was asked for any row. `sizes`
        of a group are sketches of its rows' tokens and device time, by device and length class (jobs/planning/sizes.py).
        `expected` has the accepted rows of each model, and the tokens that they were expected to take. `lost_workers` names, by
        model, the lives of workers that ended with rows of the batch in hand; it is there if there are any.
        """
        posted = [account for account, rows in zip(self._accounts, self._rows, strict=True) if rows]
        models = {*(model for model, _ in self._spent), *(account.model for account in posted)}
        main, *others = self._currencies(prices, before)
        sums = self._sums(models, main, others)
        return {
            "format": FORMAT,
            "batch_id": batch.batch_id,
            "tenant": batch.tenant,
            "round": round_,
            **sums,
            "currency": main,
            "prices": prices.version,
            "price_versions": sorted({account.prices for account in posted if account.prices}),
            "models": {model: self._sums([model], main, others) for model in sorted(models) if model},
            "groups": self._groups(),
            "expected": _expected(batch),
            **(
                {"lost_workers": {model: sorted(self._lost[model]) for model in sorted(self._lost)}}
                if self._lost
                else {}
            ),
            "new": _difference(sums, before),
        }

    def _currencies(self, prices: Prices, before: Mapping[str, Any] | None) -> Sequence[str]:
        """Return the currencies that rows and attempts name; only the publisher's own currency if they name none.

        The first is the currency of the round before, if rows or attempts name it; otherwise it is the currency of most rows.
        """
        rows: dict[str, int] = {
            currency: 0 for (_, currency), counts in self._spent.items() if currency and any(counts)
        }
        for account, posted in zip(self._accounts, self._rows, strict=True):
            if account.currency and posted:
                rows[account.currency] = rows.get(account.currency, 0) + posted
        main = before["currency"] if before else None
        return sorted(rows, key=lambda name: (name != main, -rows[name], name)) or [prices.currency]

    def _completed(self) -> Iterator[tuple[Account, int, Sequence[int], Sequence[int]]]:
        """Yield each account of completed rows: its rows, their usage, and what the translation memory answered."""
        for one in zip(self._accounts, self._rows, self._sums_of, self._remembered, strict=True):
            if one[0].status == "completed":
                yield one

    def _groups(self) -> Sequence[Mapping[str, Any]]:
        """Add up the completed rows by currency, tenant, model, kind and template."""
        names = ("rows", *VERDICTS, *NAMES)
        groups: defaultdict[tuple[str | None, str, str, str, str], list[int]] = defaultdict(lambda: [0] * (len(names)))
        remembered: dict[tuple[str | None, str, str, str, str], Remembered] = {}
        sizes = self._sizes_of_groups()
        for account, rows, sums, asked in self._completed():
            if rows:
                key = (account.currency, account.tenant, account.model, account.kind, account.template)
                _add(groups[key], (rows, *(rows * (account.verdict == verdict) for verdict in VERDICTS), *sums))
                remembered[key] = remembered.get(key, Remembered()) + Remembered(*asked)
        keys = ("currency", "tenant", "model", "kind", "template")
        ordered = sorted(groups.items(), key=lambda item: str(item[0]))
        return [
            {
                **dict(zip((*keys, *names), (*key, *sums), strict=True)),
                **_as_member(remembered[key]),
                "sizes": as_values(sizes[key]),
            }
            for key, sums in ordered
        ]

    def _sizes_of_groups(self) -> Mapping[tuple[str | None, str, str, str, str], Mapping[Part, Sizes]]:
        """Return the sizes of completed rows by group, then by device and length class."""
        found: defaultdict[tuple[str | None, str, str, str, str], dict[Part, Sizes]] = defaultdict(dict)
        for account, counter in zip(self._accounts, self._sizes, strict=True):
            group = found[account.currency, account.tenant, account.model, account.kind, account.template]
            for number, sizes in counter.sizes().items():
                part = Part(account.device, number)
                group[part] = group.get(part, Sizes()) + sizes
        return found

    def _sums(self, models: Iterable[str], main: str, others: Sequence[str]) -> dict[str, Any]:
        names = set(models)
        of_all = self._added(names, {None, main, *others})
        if not others:
            return of_all
        of_main, wasted = self._added(names, {None, main}), of_all["wasted"]
        return {
            **of_all,
            **{name: of_main[name] for name in AMOUNTS},
            "wasted": {**wasted, **{name: of_main["wasted"][name] for name in AMOUNTS}},
            "other_currencies": {name: self._added(names, {name}) for name in others},
        }

    def _added(self, models: Container[str], currencies: Container[str | None]) -> dict[str, Any]:
        completed = other = 0
        remembered = Remembered()
        verdicts: dict[str, int] = dict.fromkeys(VERDICTS, 0)
        charged = Usage()
        for account, rows, sums in zip(self._accounts, self._rows, self._sums_of, strict=True):
            if account.model not in models or account.currency not in currencies:
                continue
            if account.status == "completed":
                completed += rows
                charged += Usage(*sums)
                if account.verdict in verdicts:
                    verdicts[account.verdict] += rows
            else:
                other += rows
        spent = total(
            Usage(*counts) for (model, named), counts in self._spent.items() if model in models and named in currencies
        )
        for account, _, _, asked in self._completed():
            if account.model in models and account.currency in currencies:
                remembered += Remembered(*asked)
        return {
            "rows": completed,
            **verdicts,
            **charged.as_dict(),
            **_as_member(remembered),
            "wasted": {"rows": other, **(spent - charged).as_dict()},
        }


def _expected(batch: Batch) -> Mapping[str, Sequence[int]]:
    """Return for each model the rows that intake accepted, and the tokens that they were expected to take."""
    found: dict[str, list[int]] = {}
    for lane in batch.lanes.values():
        _add(found.setdefault(lane.model, [0, 0]), (lane.rows, lane.cost))
    return found


def _as_member(remembered: Remembered) -> dict[str, Any]:
    """Return the member `memory`; nothing if the translation memory was not asked."""
    return {"memory": remembered.as_dict()} if any(remembered.counts) else {}


def _add(sums: list[int], counts: Sequence[int]) -> None:
    for place, count in enumerate(counts):
        sums[place] += count


def _difference(sums: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    if before is None:
        return dict(sums)
    return {
        name: _difference(value, before.get(name, {})) if isinstance(value, Mapping) else value - before.get(name, 0)
        for name, value in sums.items()
    }

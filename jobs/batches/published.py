"""This module reads and checks the files of a published round.

`done-<round>.json` names their folder and the sha256 of each file. Reading a file to its end also checks the sha256 (rule 20 of
jobs/PROTOCOL.md).
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from jobs.batches.batch import Batch, BatchPaths, Done, UsageFile
from jobs.batches.output_rows import first_template
from jobs.batches.records import missing, parse_record
from jobs.batches.rounds import latest_done, require_batch
from jobs.errors import StoreUnavailable
from jobs.planning.sizes import Sizes, SizesCounter, from_values
from jobs.store.damage import damaged_file
from jobs.store.destinations import replace_file
from jobs.store.store import Store
from jobs.usage import Remembered, Usage, total

OUTPUT = "output.jsonl"
ERRORS = "errors.jsonl"
USAGE = "usage.json"


def published_path(done: Done, batch_id: str, name: str) -> str:
    """Return the path of a published file in the store."""
    return f"{BatchPaths(batch_id).root}/{done.folder}/{name}"


def published_lines(store: Store, done: Done, batch_id: str, name: str) -> Iterator[bytes]:
    """Yield the lines of a published file as they are stored.

    Raises StoreDamaged if the file is missing or, after the last line, if its sha256 differs.
    """
    path = published_path(done, batch_id, name)
    digest = hashlib.sha256()
    try:
        with store.reader(path) as file:
            for line in file:
                digest.update(line)
                yield line
    except KeyError as error:
        raise missing(store, path) from error
    if digest.hexdigest() != done.files[name].sha256:
        raise damaged_file(store, path)


def read_published(store: Store, done: Done, batch_id: str, name: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of `output.jsonl` or `errors.jsonl` in input order. Raises StoreDamaged."""
    return (values for values, _ in published_rows(store, done, batch_id, name))


def published_rows(store: Store, done: Done, batch_id: str, name: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yield each row of `output.jsonl` or `errors.jsonl` with its line as it is stored. Raises StoreDamaged."""
    for line in published_lines(store, done, batch_id, name):
        yield parsed_row(store, done, batch_id, name, line), line


def parsed_row(store: Store, done: Done, batch_id: str, name: str, line: bytes) -> dict[str, Any]:
    """Read a line of a published file. Raises StoreDamaged if it is not JSON."""
    try:
        row: dict[str, Any] = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise damaged_file(store, published_path(done, batch_id, name)) from error
    return row


def read_usage(store: Store, done: Done, batch_id: str) -> dict[str, Any]:
    """Read `usage.json`. Raises StoreDamaged."""
    path = published_path(done, batch_id, USAGE)
    lines = list(published_lines(store, done, batch_id, USAGE))  # reads to the end, where the sha256 is checked
    usage = parse_record(store, path, b"".join(lines), UsageFile)
    if usage.round != done.round:
        raise damaged_file(store, path, f"round: it is not {done.round}")
    values: dict[str, Any] = orjson.loads(lines[0])
    return values


def copy_published(store: Store, batch_id: str, done: Done, folder: Path) -> None:
    """Copy the published files into a local folder. Each file appears there as a whole. Raises StoreDamaged."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in done.files:
        with replace_file(folder / name) as target:
            target.writelines(published_lines(store, done, batch_id, name))


def verify(store: Store, batch_id: str) -> list[str]:
    """Check the published outcomes of a batch. Returns a sentence for each fault.

    Every row must have exactly one outcome. The totals, models and groups of `usage.json` must be the sums over the rows. Each
    file must have the sha256 that `done-<round>.json` names.
    """
    done = latest_done(store, batch_id)
    if done is None:
        return ["no round is published"]
    check = _Check(require_batch(store, batch_id))
    try:
        for name in (OUTPUT, ERRORS):
            rows = 0
            for values in read_published(store, done, batch_id, name):
                check.take(values, completed=name == OUTPUT)
                rows += 1
            if rows != done.files[name].rows:
                check.faults.append(f"{name} has {rows} rows, and done says {done.files[name].rows}")
        check.compare(done, read_usage(store, done, batch_id))
    except (StoreUnavailable, ValueError, KeyError) as error:
        check.faults.append(f"{type(error).__name__}: {error}")
    return check.faults


_ByCurrency = defaultdict[str | None, Usage]
"""The usage of rows by the currency of their amounts; None: by rows that name no currency."""


def _is_sum(sums: Mapping[str, Any], used: Mapping[str | None, Usage], main: str) -> bool:
    """Whether sums of `usage.json` are those of the rows: tokens over all currencies, amounts in `main`, and each other currency
    apart. Rows that name no currency count in `main`.
    """
    in_main = total(one for currency, one in used.items() if currency in {None, main})
    of_all = replace(total(used.values()), device_cost=in_main.device_cost, charge=in_main.charge)
    apart = {name: Usage.from_dict(values) for name, values in sums.get("other_currencies", {}).items()}
    named = {currency for currency in used if currency is not None and currency != main}
    return (
        Usage.from_dict(sums) == of_all
        and named <= apart.keys()
        and all(one == used.get(name, Usage()) for name, one in apart.items())
    )


class _Check:
    """A check adds up published rows and compares the sums. It keeps the sums, and one byte for each row of the batch."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.faults: list[str] = []
        self._outcomes = bytearray(batch.rows)
        self._statuses: Counter[str] = Counter()
        self._verdicts: Counter[str] = Counter()
        self._usage: defaultdict[str, _ByCurrency] = defaultdict(lambda: defaultdict(Usage))
        self._groups: dict[tuple[str | None, ...], tuple[int, Usage]] = {}
        self._sizes: defaultdict[tuple[str | None, ...], defaultdict[str, SizesCounter]] = defaultdict(
            lambda: defaultdict(SizesCounter)
        )
        self._memory = Remembered()

    def take(self, values: dict[str, Any], *, completed: bool) -> None:
        row, status = values["row"], values["status"]
        if not 0 <= row < self.batch.rows:
            self.faults.append(f"row {row} is not in the batch")
            return
        if self._outcomes[row]:
            self.faults.append(f"row {row} has more than one outcome")
        if (
            (status == "completed") != completed
            or ("output" in values) != completed
            or ("error" in values) == completed
        ):
            self.faults.append(f"row {row} is {status}, and in the wrong file or without its output or error")
        self._outcomes[row] = 1
        self._statuses[status] += 1
        if completed:
            if verdict := values.get("verdict"):
                self._verdicts[verdict] += 1
            self._memory += Remembered.from_dict(values.get("memory"))
            used = Usage.from_dict(values["usage"])
            currency, template = values["usage"].get("currency"), first_template(values)
            self._usage[values["model"]][currency] += used
            group = (currency, values["tenant"], values["model"], values["kind"], template)
            rows, sums = self._groups.get(group, (0, Usage()))
            self._groups[group] = (rows + 1, sums + used)
            counter = self._sizes[group][values.get("device") or ""]
            counter.add(used.prompt_tokens, used.completion_tokens, used.device_ns)

    def compare(self, done: Done, usage: dict[str, Any]) -> None:
        if missing := self._outcomes.count(0):
            self.faults.append(f"{missing} rows have no outcome, the first is {self._outcomes.find(0)}")
        if dict(self._statuses) != {status: n for status, n in done.counts.items() if n}:
            self.faults.append(f"done counts {dict(done.counts)}, and the files hold {dict(self._statuses)}")
        if dict(self._verdicts) != dict(done.verdicts):
            self.faults.append(f"done counts {dict(done.verdicts)}, and the files hold {dict(self._verdicts)}")
        summed = {verdict: rows for verdict in ("fit", "review") if (rows := usage.get(verdict, 0))}
        if summed != dict(self._verdicts):
            self.faults.append(f"usage.json counts {summed}, and the files hold {dict(self._verdicts)}")
        if usage["rows"] != self._statuses["completed"]:
            self.faults.append(f"usage.json counts {usage['rows']} rows, and {self._statuses['completed']} completed")
        if Remembered.from_dict(usage.get("memory")) != self._memory:
            self.faults.append("the memory of usage.json differs from the sum over output.jsonl")
        self._compare_amounts(usage)

    def _compare_amounts(self, usage: Mapping[str, Any]) -> None:
        main, of_all = usage["currency"], _ByCurrency(Usage)
        for of_model in self._usage.values():
            for currency, used in of_model.items():
                of_all[currency] += used
        if not _is_sum(usage, of_all, main):
            self.faults.append("the totals of usage.json differ from the sum over output.jsonl")
        by_model = {model: values for model, values in usage["models"].items() if values["rows"]}
        if by_model.keys() != self._usage.keys() or not all(
            _is_sum(values, self._usage[model], main) for model, values in by_model.items()
        ):
            self.faults.append("the models of usage.json differ from the sums over output.jsonl")
        names = ("currency", "tenant", "model", "kind", "template")
        groups = {tuple(one[name] for name in names): (one["rows"], Usage.from_dict(one)) for one in usage["groups"]}
        if groups != self._groups:
            self.faults.append("the groups of usage.json differ from the sums over output.jsonl")
        for one in usage["groups"]:
            if "sizes" in one and not self._has(tuple(one[name] for name in names), one["sizes"]):
                self.faults.append("the sizes of usage.json differ from those of output.jsonl")
                break

    def _has(self, group: tuple[str | None, ...], stored: Sequence[Any]) -> bool:
        """Whether these are the sizes of the group's rows. Segments of earlier releases name no device, so devices may differ."""
        found, wanted = defaultdict[int, Sizes](Sizes), defaultdict[int, Sizes](Sizes)
        for part, sizes in from_values(stored).items():
            found[part.length_class] += sizes
        for counter in self._sizes[group].values():
            for number, sizes in counter.sizes().items():
                wanted[number] += sizes
        return found == wanted

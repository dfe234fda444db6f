"""Accounts: what published batches used, cost and are charged, added up by one of five keys.

Reads published rounds alone. A later round of a batch enters with its difference from the round before, at its own
moment: what was carried is not counted again, and the sum of a past month never changes.
"""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import orjson

from jobs.batch import Batch, BatchPaths, Done
from jobs.published import OUTPUT, read_published, read_usage
from jobs.rounds import list_batches, load_batch, read_round
from jobs.storage import Store
from jobs.usage import Usage

Key = Literal["tenant", "model", "batch", "kind", "day"]


@dataclass(frozen=True, slots=True)
class Tally:
    """Completed rows, and what they used."""

    rows: int = 0
    usage: Usage = field(default_factory=Usage)

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.rows + other.rows, self.usage + other.usage)

    def __sub__(self, other: "Tally") -> "Tally":
        return Tally(self.rows - other.rows, self.usage - other.usage)

    def as_dict(self) -> dict[str, int]:
        """Seven integers by name."""
        return {"rows": self.rows, **self.usage.as_dict()}


def tallies(
    store: Store, by: Key, *, since: datetime | None = None, until: datetime | None = None
) -> Mapping[str, Mapping[str, Tally]]:
    """By currency, then by key: the rounds that were published from `since` up to `until`, which is excluded."""
    found: dict[str, dict[str, Tally]] = {}
    for batch_id in list_batches(store):
        batch = load_batch(store, batch_id)
        if batch is None:
            continue
        for at, currency, added in _rounds(store, batch, by):
            if (since is not None and at < since) or (until is not None and at >= until):
                continue
            sums = found.setdefault(currency, {})
            for key, tally in added.items():
                sums[key] = sums.get(key, Tally()) + tally
    return {
        currency: {key: tally for key, tally in sorted(sums.items()) if tally != Tally()}
        for currency, sums in sorted(found.items())
    }


def _rounds(store: Store, batch: Batch, by: Key) -> Iterator[tuple[datetime, str, Mapping[str, Tally]]]:
    """Each published round of the batch: when, in what currency, and what it adds under each key."""
    before: Mapping[str, Tally] = {}
    for done in _published(store, batch):
        usage = read_usage(store, done, batch.batch_id)
        total = _grouped(store, batch, done, usage, by)
        added = {key: total.get(key, Tally()) - before.get(key, Tally()) for key in sorted({*total, *before})}
        if by == "day":  # the whole difference belongs to the day on which it was published
            added = {done.at.date().isoformat(): sum(added.values(), Tally())}
        yield done.at, str(usage["currency"]), added
        before = total


def _published(store: Store, batch: Batch) -> Iterator[Done]:
    """Every round of the batch that was published, the first one first."""
    current = read_round(store, batch)
    for number in range(1, current.number + (current.done is not None)):
        yield Done.model_validate_json(store.read(BatchPaths(batch.batch_id).done(number)))


def _grouped(store: Store, batch: Batch, done: Done, usage: Mapping[str, Any], by: Key) -> Mapping[str, Tally]:
    """All that the batch used up to this round, under each key."""
    if by == "model":
        return {model: _tally(values) for model, values in usage["models"].items()}
    if by in ("batch", "day"):
        return {batch.batch_id: _tally(usage)}
    rows = read_published(store, done, batch.batch_id, OUTPUT)
    keyed = ((row["kind"], row) for row in rows) if by == "kind" else _with_tenant(store, batch, rows)
    sums: dict[str, Tally] = {}
    for key, row in keyed:
        sums[key] = sums.get(key, Tally()) + Tally(1, Usage.from_dict(row["usage"]))
    return sums


def _tally(values: Mapping[str, Any]) -> Tally:
    return Tally(int(values["rows"]), Usage.from_dict(values))


def _with_tenant(
    store: Store, batch: Batch, rows: Iterator[Mapping[str, Any]]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each published row with the tenant of its request. Both come in the order of rows, so one pass joins them."""
    tenants = heapq.merge(*(_requested(store, BatchPaths(batch.batch_id).input(lane)) for lane in batch.lanes))
    for row in rows:
        yield next((tenant for number, tenant in tenants if number == row["row"]), batch.tenant), row


def _requested(store: Store, path: str) -> Iterator[tuple[int, str]]:
    with store.reader(path) as lines:
        for line in lines:
            request = orjson.loads(line)
            yield request["row"], request["tenant"]

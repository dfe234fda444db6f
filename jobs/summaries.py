"""Summaries: what each published round added to the accounts, small enough that a year of nights is read at once.

A round is summed up once, by tenant, model and kind, as the difference to the round before: what was carried is not
counted again, and the sum of a past month never changes. A summary is create-only, made by whoever misses it, and outlives its
batch. Where there are many, they are copied into one archive; a reader takes each round once, from either place.

    usage/<batch_id>.<round>.json     one round
    usage/archive-<sha256>.jsonl      many rounds, a line each
"""

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from jobs.batch import FORMAT, Batch, BatchPaths, Done
from jobs.published import OUTPUT, read_published, read_usage
from jobs.rounds import list_batches, load_batch, read_round
from jobs.storage import Store
from jobs.usage import Usage

FOLDER: Final = "usage"
ARCHIVED: Final = 256
"""So many summaries may lie about before they are copied into an archive."""
AT_ONCE: Final = 32
"""Requests to an object store at a time."""

_ARCHIVE: Final = "archive-"

Group = tuple[str, str, str]
"""Tenant, model and kind."""


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

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Tally":
        """Read the seven integers back."""
        return cls(int(values["rows"]), Usage.from_dict(values))


@dataclass(frozen=True, slots=True)
class Summary:
    """What one round of one batch added: when, in what currency, and under which tenant, model and kind."""

    batch_id: str
    round: int
    at: datetime
    currency: str
    added: Mapping[Group, Tally]

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.batch_id}.{self.round}.json"

    def to_bytes(self) -> bytes:
        """One line of JSON."""
        groups = [[*group, tally.as_dict()] for group, tally in sorted(self.added.items())]
        said = {"batch_id": self.batch_id, "round": self.round, "at": self.at, "currency": self.currency}
        return orjson.dumps({"format": FORMAT, **said, "added": groups}, option=orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def from_bytes(cls, line: bytes) -> "Summary":
        """Read it back."""
        values = orjson.loads(line)
        added = {(tenant, model, kind): Tally.from_dict(tally) for tenant, model, kind, tally in values["added"]}
        at = datetime.fromisoformat(values["at"])
        return cls(values["batch_id"], values["round"], at, values["currency"], added)


def summaries(store: Store) -> Iterator[Summary]:
    """Every published round, each once; those that were never summed up are, first. Raises StoreUnavailable."""
    _sum_up_missing(store)
    names = store.list(FOLDER)
    seen: set[str] = set()
    for archive in (name for name in names if name.startswith(_ARCHIVE)):
        with store.reader(f"{FOLDER}/{archive}") as lines:
            for line in lines:
                summary = Summary.from_bytes(line)
                if summary.name not in seen:
                    seen.add(summary.name)
                    yield summary
    loose = [name for name in names if not name.startswith(_ARCHIVE) and name not in seen]
    made = []
    for line in _at_once(loose, lambda name: store.read(f"{FOLDER}/{name}")):
        made.append(line)
        yield Summary.from_bytes(line)
    if len(made) > ARCHIVED:
        digest = hashlib.sha256("\n".join(sorted(loose)).encode()).hexdigest()[:16]
        store.create(f"{FOLDER}/{_ARCHIVE}{digest}.jsonl", b"".join(sorted(made)))


def sum_up(store: Store, batch_id: str) -> None:
    """See that every published round of a batch has its summary. Raises StoreUnavailable."""
    batch = load_batch(store, batch_id)
    if batch is None:
        return
    before: Mapping[Group, Tally] = {}
    rounds = list(_published(store, batch))
    for n, done in enumerate(rounds):
        path = f"{FOLDER}/{batch_id}.{done.round}.json"
        if store.exists(path):
            before = {}
            continue
        if n and not before:
            before = _total(store, batch, rounds[n - 1])
        total = _total(store, batch, done)
        changed = {group: total.get(group, Tally()) - before.get(group, Tally()) for group in {*total, *before}}
        added = {group: tally for group, tally in changed.items() if tally != Tally()}
        currency = str(read_usage(store, done, batch_id)["currency"])
        store.create(path, Summary(batch_id, done.round, done.at, currency, added).to_bytes())
        before = total


def _sum_up_missing(store: Store) -> None:
    """The next round of each batch after the last one that has a summary may be there; a marker tells."""
    last: dict[str, int] = {}
    for name in _known(store):
        batch_id, number, _ = name.rsplit(".", 2)
        last[batch_id] = max(last.get(batch_id, 0), int(number))

    def lacking(batch_id: str) -> str | None:
        return batch_id if store.exists(BatchPaths(batch_id).done(last.get(batch_id, 0) + 1)) else None

    for batch_id in _at_once(list_batches(store), lacking):
        if batch_id is not None:
            sum_up(store, batch_id)


def _known(store: Store) -> Iterator[str]:
    return (name for name in store.list(FOLDER) if not name.startswith(_ARCHIVE))


def _at_once(items: Iterable[str], ask: Any) -> Iterator[Any]:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        yield from threads.map(ask, items)


def _published(store: Store, batch: Batch) -> Iterator[Done]:
    """Every round of the batch that was published, the first one first."""
    current = read_round(store, batch)
    for number in range(1, current.number + (current.done is not None)):
        yield Done.model_validate_json(store.read(BatchPaths(batch.batch_id).done(number)))


def _total(store: Store, batch: Batch, done: Done) -> Mapping[Group, Tally]:
    """All that the batch used up to this round."""
    sums: dict[Group, Tally] = {}
    for tenant, row in _with_tenant(store, batch, read_published(store, done, batch.batch_id, OUTPUT)):
        group = (tenant, row["model"], row["kind"])
        sums[group] = sums.get(group, Tally()) + Tally(1, Usage.from_dict(row["usage"]))
    return sums


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

"""Summaries: what each published round added to the accounts, small enough that a year of nights is read at once.

A round is summed up once, by tenant, model, kind and template, as the difference to the round before: what was carried is
not counted again, and the sum of a past month never changes. A summary is create-only and outlives its batch. Who publishes
a round leaves a note that it is to be summed up, so that nobody has to look at every batch; whoever comes by does it.

Where there are many, they are copied into an archive, and then deleted; many archives become one. So a round may stand in two
places for a while, or for ever where somebody dies in between: a reader takes each once, by its name.

    unsummed/<batch_id>.<round>       a round that may lack its summary
    usage/<batch_id>.<round>.json     one round
    usage/archive-<sha256>.jsonl      many rounds, a line each
    usage/noted                       every round that was published before there were notes has its summary
"""

import hashlib
import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

import orjson

from jobs.batch import FORMAT, Batch, BatchPaths, Done
from jobs.concurrency import each
from jobs.published import OUTPUT, read_published, read_usage
from jobs.rounds import list_batches, load_batch, read_round
from jobs.storage import Store
from jobs.usage import Usage

FOLDER: Final = "usage"
Value = TypeVar("Value")

NOTES: Final = "unsummed"
ARCHIVED: Final = 256
"""So many summaries may lie about before they are put into an archive."""
ARCHIVES: Final = 16
"""So many archives there may be before they are put into one."""
AT_ONCE: Final = 32
"""Requests to an object store at a time."""

_ARCHIVE: Final = "archive-"
_NOTED: Final = f"{FOLDER}/noted"

Group = tuple[str, str, str, str]
"""Tenant, model, kind, and the template that the conversation began with (empty: it had none)."""

TEMPLATE_DIGITS: Final = 12
"""So much of a template's sha256 tells templates apart."""


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
    """What one round of one batch added: when, in what currency, and under which tenant, model, kind and template."""

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
        added = {_group(*names): Tally.from_dict(tally) for *names, tally in values["added"]}
        at = datetime.fromisoformat(values["at"])
        return cls(values["batch_id"], values["round"], at, values["currency"], added)


def summaries(store: Store) -> Iterator[Summary]:
    """Every published round, each once; those that were never summed up are, first. Raises StoreUnavailable."""
    catch_up(store)
    seen: set[str] = set()
    while True:
        try:
            yield from _unseen(store, seen)
        except KeyError:  # put into an archive since it was listed
            continue
        return


def _unseen(store: Store, seen: set[str]) -> Iterator[Summary]:
    """What was not seen before. Raises KeyError when a file has gone since it was listed."""
    loose, archives = _listed(store)
    for archive in archives:
        with store.reader(f"{FOLDER}/{archive}") as lines:
            for line in lines:
                summary = Summary.from_bytes(line)
                if summary.name not in seen:
                    seen.add(summary.name)
                    yield summary
    unread = [f"{FOLDER}/{name}" for name in loose if name not in seen]
    for line in each(store.read, unread, AT_ONCE):
        summary = Summary.from_bytes(line)
        seen.add(summary.name)
        yield summary


def catch_up(store: Store) -> None:
    """Sum up what is noted, and put many summaries into one file. Raises StoreUnavailable."""
    noted: dict[str, list[str]] = {}
    for name in store.list(NOTES):
        noted.setdefault(name.rpartition(".")[0], []).append(name)
    for batch_id in each(lambda batch_id: None if sum_up(store, batch_id) else batch_id, sorted(noted), AT_ONCE):
        for name in noted[batch_id] if batch_id is not None else ():  # deleted, and so summed up before
            store.delete(f"{NOTES}/{name}")
    if not store.exists(_NOTED):
        batch_ids = list_batches(store)
        _sum_up_unnoted(store, batch_ids)
        if batch_ids:
            store.create(_NOTED, b"")
    _archive(store)


def _archive(store: Store) -> None:
    """An archive is durable before what it holds is deleted; of two that do this at once, both make theirs."""
    loose, archives = _listed(store)
    whole = len(archives) > ARCHIVES
    if len(loose) <= ARCHIVED and not whole:
        return
    try:
        lines = set(each(store.read, [f"{FOLDER}/{name}" for name in loose], AT_ONCE))
        for archive in archives if whole else ():
            with store.reader(f"{FOLDER}/{archive}") as old:
                lines.update(old)
    except KeyError:  # another is at it
        return
    made = b"".join(sorted(lines))
    name = f"{_ARCHIVE}{hashlib.sha256(made).hexdigest()[:16]}.jsonl"
    store.create(f"{FOLDER}/{name}", made)
    gone = [*loose, *(archive for archive in archives if whole and archive != name)]
    store.delete_files([f"{FOLDER}/{name}" for name in gone])


def sum_up(store: Store, batch_id: str) -> bool:
    """See that every published round of a batch has its summary. False: there is no such batch. Raises StoreUnavailable."""
    batch = load_batch(store, batch_id)
    if batch is None:
        return False
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
    for done in rounds:
        store.delete(BatchPaths(batch_id).unsummed(done.round))
    return True


def _sum_up_unnoted(store: Store, batch_ids: Sequence[str]) -> None:
    """The next round of each batch after the last one that has a summary may be there; a marker tells."""
    last: dict[str, int] = {}
    for name in _summed(store):
        batch_id, number, _ = name.rsplit(".", 2)
        last[batch_id] = max(last.get(batch_id, 0), int(number))

    def lacking(batch_id: str) -> str | None:
        return batch_id if store.exists(BatchPaths(batch_id).done(last.get(batch_id, 0) + 1)) else None

    for found in each(lacking, batch_ids, AT_ONCE):
        if found is not None:
            sum_up(store, found)


def _summed(store: Store) -> Iterator[str]:
    """The names of all summaries that there are."""
    loose, archives = _listed(store)
    yield from loose
    for archive in archives:
        with store.reader(f"{FOLDER}/{archive}") as lines:
            yield from (Summary.from_bytes(line).name for line in lines)


def _listed(store: Store) -> tuple[Sequence[str], Sequence[str]]:
    """The names of the single summaries, and of the archives."""
    names = store.list(FOLDER)
    archives = [name for name in names if name.startswith(_ARCHIVE)]
    return [name for name in names if name.endswith(".json") and not name.startswith(_ARCHIVE)], archives


def _published(store: Store, batch: Batch) -> Iterator[Done]:
    """Every round of the batch that was published, the first one first."""
    current = read_round(store, batch)
    for number in range(1, current.number + (current.done is not None)):
        yield Done.model_validate_json(store.read(BatchPaths(batch.batch_id).done(number)))


def _total(store: Store, batch: Batch, done: Done) -> Mapping[Group, Tally]:
    """All that the batch used up to this round."""
    sums: dict[Group, Tally] = {}
    for tenant, row in _with_tenant(store, batch, read_published(store, done, batch.batch_id, OUTPUT)):
        group = (tenant, row["model"], row["kind"], first_template(row))
        sums[group] = sums.get(group, Tally()) + Tally(1, Usage.from_dict(row["usage"]))
    return sums


def first_template(receipt: Mapping[str, Any]) -> str:
    """The template of the first prompt of a conversation, shortened; empty where it had none."""
    return short_template(next(iter((receipt.get("templates") or {}).values()), None))


def short_template(sha256: str | None) -> str:
    """A template as summaries name it."""
    return (sha256 or "")[:TEMPLATE_DIGITS]


def _group(tenant: str, model: str, kind: str, template: str = "") -> Group:
    """A group as it is stored; earlier ones knew no template."""
    return tenant, model, kind, template


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

"""Summaries: what each published round added to the accounts, small enough that a year of nights is read at once.

A round is summed up once, by tenant, model, kind and template, as the difference to the round before: what was carried is
not counted again, and the sum of a past month never changes. A summary is create-only and outlives its batch. Who publishes
a round leaves a note that it is to be summed up, so that nobody has to look at every batch; whoever comes by does it.

A batch whose published files are damaged has no summary until they are restored; it keeps no other waiting, and is named.

Where there are many, they are copied into an archive, and then deleted; many archives become one. So a round may stand in two
places for a while, or for ever where somebody dies in between: a reader takes each once, by its name.

    unsummed/<batch_id>.<round>       a round that may lack its summary
    usage/<batch_id>.<round>.<published at>.json    one round; a batch may have the id of one that was deleted
    usage/<batch_id>.<round>.json     the same, of a release that took the two for one
    usage/archive-<sha256>.jsonl      many rounds, a line each
    usage/noted                       every round that was published before there were notes has its summary
"""

import hashlib
import heapq
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import orjson

from jobs.batches.batch import FORMAT, Batch, BatchPaths, Done
from jobs.batches.input import read_rows
from jobs.batches.published import OUTPUT, damaged, path_of, read_published, read_usage
from jobs.batches.rounds import list_batches, load_batch, read_marker, read_round
from jobs.errors import StoreDamaged
from jobs.store.checksum import with_checksum, without_checksum
from jobs.store.damage import Damage, collect_damage
from jobs.store.fan_out import each
from jobs.store.store import Store
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
SHOWN: Final = 10
"""So many batches that lack their summary are named."""

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
    """What one round of one batch added: when, in what currency, and under which tenant, model, kind and template.

    `others` is the same of rows in other currencies, where a round has any.
    """

    batch_id: str
    round: int
    at: datetime
    currency: str
    added: Mapping[Group, Tally]
    others: Mapping[str, Mapping[Group, Tally]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of its file."""
        return _name(self.batch_id, self.round, self.at)

    @property
    def by_currency(self) -> Mapping[str, Mapping[Group, Tally]]:
        """All that was added."""
        return {self.currency: self.added, **self.others}

    def to_bytes(self) -> bytes:
        """One line of JSON, with its checksum."""
        said = {"batch_id": self.batch_id, "round": self.round, "at": self.at, "currency": self.currency}
        others = {"others": {name: _groups(added) for name, added in self.others.items()}} if self.others else {}
        return with_checksum(orjson.dumps({"format": FORMAT, **said, "added": _groups(self.added), **others})) + b"\n"

    @classmethod
    def from_bytes(cls, line: bytes) -> "Summary":
        """Read it back. Raises ValueError, KeyError or TypeError when it is not what was written."""
        values = orjson.loads(without_checksum(line))
        others = {name: _added(groups) for name, groups in values.get("others", {}).items()}
        at = datetime.fromisoformat(values["at"])
        return cls(values["batch_id"], values["round"], at, values["currency"], _added(values["added"]), others)


def summaries(store: Store, faults: list[StoreDamaged] | None = None) -> Iterator[Summary]:
    """Every published round, each once; those that were never summed up are, first. Raises StoreUnavailable.

    What is damaged goes into `faults`; without them it is raised, after all others.
    """
    found: list[StoreDamaged] = [] if faults is None else faults
    with collect_damage(found):
        catch_up(store)
    seen: set[str] = set()
    wrong: dict[str, StoreDamaged] = {}
    while True:
        try:
            yield from _unseen(store, seen, wrong)
        except KeyError:  # put into an archive since it was listed
            continue
        break
    found += wrong.values()
    if faults is None and found:
        raise found[0]


def _unseen(store: Store, seen: set[str], wrong: dict[str, StoreDamaged]) -> Iterator[Summary]:
    """What was not seen before; `wrong` gets what cannot be read. Raises KeyError when a file has gone since it was listed."""
    loose, archives = _listed(store)
    for archive in archives:
        with store.reader(f"{FOLDER}/{archive}") as lines:
            for line in lines:
                summary = _parsed(store, archive, line, wrong)
                if summary is not None and summary.name not in seen:
                    seen.add(summary.name)
                    yield summary
    names = [name for name in loose if name not in seen]
    for name, line in zip(names, each(store.read, [f"{FOLDER}/{name}" for name in names], AT_ONCE), strict=True):
        summary = _parsed(store, name, line, wrong)
        if summary is not None and summary.name not in seen:
            seen.add(summary.name)
            yield summary


def _name(batch_id: str, round_: int, at: datetime) -> str:
    """What tells a round from all others, also from that of a batch which had the same id and was deleted."""
    return f"{batch_id}.{round_}.{at.astimezone(UTC):%Y%m%dT%H%M%S%f}.json"


def _parsed(store: Store, file: str, line: bytes, wrong: dict[str, StoreDamaged]) -> Summary | None:
    """A line of a file; None, and a word in `wrong`, when it is not what was written."""
    try:
        return Summary.from_bytes(line)
    except (ValueError, KeyError, TypeError):
        wrong[file] = damaged(store, f"{FOLDER}/{file}")
        return None


def catch_up(store: Store, damage: Damage | None = None) -> None:
    """Sum up what is noted, and put many summaries into one file. Raises StoreUnavailable.

    A batch that is damaged keeps no other waiting, and its note stays: which ones are is raised at the end. Where it is asked for
    again and again, `damage` keeps those from being read each time.
    """
    damage = damage or Damage()
    noted: dict[str, list[str]] = {}
    for name in store.list(NOTES):
        noted.setdefault(name.rpartition(".")[0], []).append(name)
    faults: dict[str, StoreDamaged] = {}

    def summed(batch_id: str) -> bool:
        try:
            with damage.remembered(batch_id):
                return sum_up(store, batch_id)
        except StoreDamaged as error:
            faults[batch_id] = error
            return True

    batch_ids = sorted(noted)
    for batch_id, is_there in zip(batch_ids, each(summed, batch_ids, AT_ONCE), strict=True):
        for name in noted[batch_id] if not is_there else ():  # deleted, and so summed up before
            store.discard(f"{NOTES}/{name}")
    if not store.exists(_NOTED):
        batch_ids = list_batches(store)
        _sum_up_unnoted(store, batch_ids, summed)
        if batch_ids:
            store.create(_NOTED, b"")
    _archive(store)
    if faults:
        names = sorted(faults)
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        raise StoreDamaged(f"not in the accounts: {', '.join(names[:SHOWN])}{more}; {faults[names[0]]}")


def _archive(store: Store) -> None:
    """An archive is durable before what it holds is deleted; of two that do this at once, both make theirs.

    A file that is damaged stays as it is.
    """
    loose, archives = _listed(store)
    whole = len(archives) > ARCHIVES
    if len(loose) <= ARCHIVED and not whole:
        return
    wrong: dict[str, StoreDamaged] = {}
    lines: set[bytes] = set()
    try:
        for name, line in zip(loose, each(store.read, [f"{FOLDER}/{name}" for name in loose], AT_ONCE), strict=True):
            if _parsed(store, name, line, wrong) is not None:
                lines.add(line)
        for archive in archives if whole else ():
            with store.reader(f"{FOLDER}/{archive}") as old:
                lines.update([line for line in old if _parsed(store, archive, line, wrong) is not None])
    except KeyError:  # another is at it
        return
    made = b"".join(sorted(lines))
    name = f"{_ARCHIVE}{hashlib.sha256(made).hexdigest()[:16]}.jsonl"
    store.create(f"{FOLDER}/{name}", made)
    gone = [*loose, *(archive for archive in archives if whole and archive != name)]
    if right := [f"{FOLDER}/{name}" for name in gone if name not in wrong]:
        store.discard(*right)


def sum_up(store: Store, batch_id: str) -> bool:
    """See that every published round of a batch has its summary. False: there is no such batch. Raises StoreUnavailable."""
    batch = load_batch(store, batch_id)
    if batch is None:
        return False
    before: Mapping[tuple[str | None, Group], Tally] = {}
    rounds = list(_published(store, batch))
    for n, done in enumerate(rounds):
        path = f"{FOLDER}/{_name(batch_id, done.round, done.at)}"
        if store.exists(path) or _was_summed_up(store, batch_id, done):
            before = {}
            continue
        if n and not before:
            before = _total(store, batch, rounds[n - 1])
        total = _total(store, batch, done)
        currency = str(read_usage(store, done, batch_id)["currency"])
        added: dict[str, dict[Group, Tally]] = {currency: {}}
        for key in sorted({*total, *before}, key=str):
            changed = total.get(key, Tally()) - before.get(key, Tally())
            if changed != Tally():
                groups = added.setdefault(key[0] or currency, {})
                groups[key[1]] = groups.get(key[1], Tally()) + changed
        mine = added.pop(currency)
        store.create(path, Summary(batch_id, done.round, done.at, currency, mine, added).to_bytes())
        before = total
    for done in rounds:
        store.discard(BatchPaths(batch_id).unsummed(done.round))
    return True


def _was_summed_up(store: Store, batch_id: str, done: Done) -> bool:
    """Whether an earlier release summed up this very round: the batch that it knew may have been deleted since."""
    try:
        return Summary.from_bytes(store.read(f"{FOLDER}/{batch_id}.{done.round}.json")).at == done.at
    except (KeyError, ValueError, TypeError):  # there is none, or it is damaged: who reads both counts one
        return False


def _sum_up_unnoted(store: Store, batch_ids: Sequence[str], sum_up: Callable[[str], object]) -> None:
    """The next round of each batch after the last one that has a summary may be there; a marker tells.

    It is noted before it is summed up, for the case that this does not succeed.
    """
    last: dict[str, int] = {}
    for name in _summed(store):
        batch_id, number, *_ = name.split(".")
        last[batch_id] = max(last.get(batch_id, 0), int(number))

    def lacking(batch_id: str) -> str | None:
        return batch_id if store.exists(BatchPaths(batch_id).done(last.get(batch_id, 0) + 1)) else None

    for found in each(lacking, batch_ids, AT_ONCE):
        if found is not None:
            store.create(BatchPaths(found).unsummed(last.get(found, 0) + 1), b"")
            sum_up(found)


def _summed(store: Store) -> Iterator[str]:
    """The names of all summaries that there are."""
    loose, archives = _listed(store)
    yield from loose
    for archive in archives:
        with store.reader(f"{FOLDER}/{archive}") as lines:
            yield from (one.name for line in lines if (one := _parsed(store, archive, line, {})) is not None)


def _listed(store: Store) -> tuple[Sequence[str], Sequence[str]]:
    """The names of the single summaries, and of the archives."""
    names = store.list(FOLDER)
    archives = [name for name in names if name.startswith(_ARCHIVE)]
    return [name for name in names if name.endswith(".json") and not name.startswith(_ARCHIVE)], archives


def _published(store: Store, batch: Batch) -> Iterator[Done]:
    """Every round of the batch that was published, the first one first."""
    current = read_round(store, batch)
    for number in range(1, current.number + (current.done is not None)):
        yield read_marker(store, BatchPaths(batch.batch_id).done(number), Done)


def _total(store: Store, batch: Batch, done: Done) -> Mapping[tuple[str | None, Group], Tally]:
    """All that the batch used up to this round, by what its rows say that it is in. Raises StoreDamaged."""
    sums: dict[tuple[str | None, Group], Tally] = {}
    try:
        for tenant, row in _with_tenant(store, batch, read_published(store, done, batch.batch_id, OUTPUT)):
            key = (row["usage"].get("currency"), (tenant, row["model"], row["kind"], first_template(row)))
            sums[key] = sums.get(key, Tally()) + Tally(1, Usage.from_dict(row["usage"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # other JSON than was published
        raise damaged(store, path_of(done, batch.batch_id, OUTPUT)) from error
    return sums


def first_template(receipt: Mapping[str, Any]) -> str:
    """The template of the first prompt of a conversation, shortened; empty where it had none."""
    return short_template(next(iter((receipt.get("templates") or {}).values()), None))


def short_template(sha256: str | None) -> str:
    """A template as summaries name it."""
    return (sha256 or "")[:TEMPLATE_DIGITS]


def _groups(added: Mapping[Group, Tally]) -> Sequence[Sequence[Any]]:
    return [[*group, tally.as_dict()] for group, tally in sorted(added.items())]


def _added(groups: Sequence[Sequence[Any]]) -> Mapping[Group, Tally]:
    return {_group(*names): Tally.from_dict(tally) for *names, tally in groups}


def _group(tenant: str, model: str, kind: str, template: str = "") -> Group:
    """A group as it is stored; earlier ones knew no template."""
    return tenant, model, kind, template


def _with_tenant(
    store: Store, batch: Batch, rows: Iterator[Mapping[str, Any]]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each published row with the tenant of its request. Both come in the order of rows, so one pass joins them.

    Raises StoreDamaged when the request cannot be read back: nobody else knows who is to be billed.
    """
    tenants = heapq.merge(*(_requested(store, batch.batch_id, lane) for lane in batch.lanes))
    number, tenant = -1, ""
    for row in rows:
        while number < row["row"]:
            number, tenant = next(tenants, (sys.maxsize, ""))
        if number != row["row"]:
            raise damaged(store, f"{BatchPaths(batch.batch_id).root}/input, where row {row['row']} stands,")
        yield tenant, row


def _requested(store: Store, batch_id: str, lane: str) -> Iterator[tuple[int, str]]:
    for request in read_rows(store, batch_id, lane):
        yield request.row, request.tenant

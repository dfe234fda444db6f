"""Each published round gets a summary, which is created once, never changes, and stays when its batch is deleted (rule 39 of
jobs/PROTOCOL.md).

A publisher leaves a note that the round needs a summary, decides the round, writes the summary, and removes the note. If the
publisher dies in between, the note remains, and `catch_up` makes the summary from the published `usage.json`. The name and the
content of a summary follow from the round, so any number of processes may make the same summary at once.

If the published `usage.json` of a batch is damaged, its summary waits until the file is restored. Other batches do not wait.

    unsummed/<batch_id>.<round>       a note: this round needs a summary
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from jobs.accounts.archive import AT_ONCE, FOLDER, merge_files, read_unseen
from jobs.accounts.summary import Summary, summary_name
from jobs.batches.batch import Batch, BatchPaths, Done
from jobs.batches.published import USAGE, published_path, read_usage
from jobs.batches.rounds import load_batch, read_marker, read_round
from jobs.errors import NoBatch, StoreDamaged
from jobs.store.damage import Damage, collect_damage, damaged_file
from jobs.store.fan_out import each
from jobs.store.store import Store

NOTES: Final = "unsummed"
"""This folder holds a note for each round that needs a summary."""
SHOWN: Final = 10
"""An error names at most this many batches without a summary."""


def summaries(store: Store, faults: list[StoreDamaged] | None = None) -> Iterator[Summary]:
    """Yield the summary of every published round once, after making the missing summaries. Raises StoreUnavailable.

    `faults` gets one error that names all damaged batches, and one for each damaged file of summaries. Without `faults` the first
    error is raised after all summaries.
    """
    found: list[StoreDamaged] = [] if faults is None else faults
    with collect_damage(found):
        catch_up(store)
    seen: set[str] = set()
    wrong: dict[str, StoreDamaged] = {}
    while True:
        try:
            yield from read_unseen(store, seen, wrong)
        except KeyError:  # a file was archived since it was listed
            continue
        break
    found += wrong.values()
    if faults is None and found:
        raise found[0]


def note_round(store: Store, batch_id: str, round_: int) -> None:
    """Leave a note that a round needs a summary. Call this before the round is decided, so that no crash loses the summary."""
    store.create(BatchPaths(batch_id).unsummed(round_), b"")


def add_summary(
    store: Store, batch_id: str, done: Done, usage: Mapping[str, Any], before: Mapping[str, Any] | None
) -> None:
    """Write the summary of a published round, given its `usage.json` and the `usage.json` of the round before. Removes the
    note.
    """
    summary = Summary.of_round(batch_id, done, usage, before)
    store.create(f"{FOLDER}/{summary.name}", summary.to_bytes())
    store.discard(BatchPaths(batch_id).unsummed(done.round))


def sum_up(store: Store, batch_id: str) -> bool:
    """Make the missing summaries of a batch, and remove its notes. Returns whether there is such a batch.

    Raises StoreDamaged if a marker or a `usage.json` is damaged, and StoreUnavailable.
    """
    batch = load_batch(store, batch_id)
    if batch is None:
        return False
    rounds = _published_rounds(store, batch)
    for n, done in enumerate(rounds):
        if store.exists(f"{FOLDER}/{summary_name(batch_id, done.round, done.at)}"):
            store.discard(BatchPaths(batch_id).unsummed(done.round))
            continue
        usage = read_usage(store, done, batch_id)
        before = read_usage(store, rounds[n - 1], batch_id) if n else None
        try:
            add_summary(store, batch_id, done, usage, before)
        except (KeyError, TypeError, ValueError) as error:  # the file holds other JSON than was published
            raise damaged_file(store, published_path(done, batch_id, USAGE)) from error
    return True


def catch_up(store: Store, damage: Damage | None = None) -> None:
    """Make the summaries that notes ask for, and archive summaries if there are many. Raises StoreUnavailable.

    Damaged batches keep their notes. After all other batches are done, a StoreDamaged that names the damaged batches is raised.
    A caller that calls this again and again passes the same `damage`, so that damaged batches are read less and less often.
    """
    damage = damage or Damage()
    notes: dict[str, list[str]] = {}
    for name in store.list(NOTES):
        notes.setdefault(name.rpartition(".")[0], []).append(name)
    faults: dict[str, StoreDamaged] = {}

    def is_there(batch_id: str) -> bool:
        try:
            with damage.look(batch_id):
                return sum_up(store, batch_id)
        except NoBatch:
            return False
        except StoreDamaged as error:
            faults[batch_id] = error
            return True

    batch_ids = sorted(notes)
    for batch_id, found in zip(batch_ids, each(is_there, batch_ids, AT_ONCE), strict=True):
        # the batch was deleted, and its deletion has made the summaries before
        for name in notes[batch_id] if not found else ():
            store.discard(f"{NOTES}/{name}")
    merge_files(store)
    if faults:
        names = sorted(faults)
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        raise StoreDamaged(f"not in the accounts: {', '.join(names[:SHOWN])}{more}; {faults[names[0]]}")


def _published_rounds(store: Store, batch: Batch) -> Sequence[Done]:
    """Read the markers of all published rounds of a batch, first round first."""
    current = read_round(store, batch)
    numbers = range(1, current.number + (current.done is not None))
    return [read_marker(store, BatchPaths(batch.batch_id).done(number), Done) for number in numbers]

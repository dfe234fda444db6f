"""Retention deletes published batches, by name or by age. Their usage stays in the accounts.

An open batch is never deleted. A deletion and a reopening both try to create the marker of the next round, and only one of them
can (rule 40 of jobs/PROTOCOL.md). Once a deletion has created the marker, reading the batch's round raises NoBatch, in any
process. The deletion then deletes the acceptance, the other files after that, and the markers last. Intake accepts no batch in
a folder with markers, since the old markers would also hold for the new batch.

Any number of deletions of one batch may run at once, since each step may be repeated. If a deletion dies, the next one, by name
or by age, completes it.

Leftovers are deleted too. These are the folders of publishers that lost a decided round, segments that a slow worker wrote after
its batch was deleted, and old hidden files of writers on a local disk.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from jobs.accounts.summaries import note_round, sum_up
from jobs.batches.batch import Batch, BatchPaths, Done, Reopen
from jobs.batches.records import no_batch
from jobs.batches.rounds import (
    Clock,
    create_reopen,
    is_left_over,
    is_marker,
    list_batches,
    load_batch,
    now,
    read_marker,
    read_round_or_deletion,
)
from jobs.errors import NoBatch, RequestError, StoreDamaged
from jobs.logs import logger
from jobs.store.damage import collect_damage
from jobs.store.fan_out import each
from jobs.store.store import Store

INTAKE: Final = "intake-"
"""The names of segments with the rows that intake refused begin with this."""

LEAST_AGE: timedelta = timedelta(days=1)
"""A hidden file is kept for at least this time after the last write to it. A living writer writes to its file more often."""


_PUBLISHED: Final = re.compile(r"([1-9][0-9]{0,6})-[0-9A-Za-z]+")
"""The name of a published folder: its round, and a word of the publisher's own."""


def delete_batch(store: Store, batch_id: str, *, clock: Clock = now) -> bool:
    """Delete a published batch, or complete its deletion if another process has decided it.

    Returns False if another process has completed the deletion meanwhile. Raises RequestError if the batch is open, NoBatch if
    there is neither a batch nor a rest of one, StoreUnavailable. If the storage does not allow deletion, StoreDeleteFailed is
    raised before the batch has changed.
    """
    batch = load_batch(store, batch_id)
    if batch is None and not is_left_over(store, batch_id):  # an intake may be at work in this folder
        raise no_batch(batch_id)
    try:
        if batch is not None:
            _decide(store, batch, clock)
    except NoBatch:
        if not is_left_over(store, batch_id):
            return False
    except StoreDamaged:
        if load_batch(store, batch_id) != batch:  # it was deleted, and the same batch was accepted again
            return False
        raise
    _delete_files(store, batch_id, batch)
    logger().info("batch.deleted", batch=batch_id)
    return True


def _delete_files(store: Store, batch_id: str, batch: Batch | None) -> None:
    """Delete the files of a batch, the markers last. Ends early if another batch of the same id was accepted meanwhile."""
    paths = BatchPaths(batch_id)
    if load_batch(store, batch_id) not in (None, batch):
        return
    store.delete(paths.acceptance)
    store.delete(paths.open_hint)
    for name in store.list(paths.root):
        if not is_marker(name) and load_batch(store, batch_id) is None:
            store.delete(f"{paths.root}/{name}")
    if load_batch(store, batch_id) is None:
        store.delete(paths.root)


def find_old_batches(
    store: Store, age: timedelta, *, clock: Clock = now, faults: list[StoreDamaged] | None = None
) -> Iterator[tuple[str, datetime]]:
    """Yield the id of each batch whose last round was published at least `age` ago, and the time when it was published.

    Also yields the id of each batch whose deletion is unfinished, with the time that is `age` before now. `faults` gets an
    error for each damaged batch, and the batch is left out; without `faults` the error is raised. Raises StoreUnavailable.
    """
    until, batch_ids = clock() - age, list_batches(store)

    def ended(batch_id: str) -> datetime | None:
        with collect_damage(faults), suppress(NoBatch):
            return _ended(store, batch_id, until)
        return None

    for batch_id, at in zip(batch_ids, each(ended, batch_ids, store.reads_at_once), strict=True):
        if at is not None and at <= until:
            yield batch_id, at


def _ended(store: Store, batch_id: str, until: datetime) -> datetime | None:
    """Return when the last round of a batch was published; None while the batch is open, or if the folder is no batch.

    If the folder is left of an unfinished deletion, there is no such time. Then `until` is returned, so that the folder counts
    as old enough.
    """
    batch = load_batch(store, batch_id)
    if batch is None:
        return until if is_left_over(store, batch_id) else None
    current, is_decided = read_round_or_deletion(store, batch)
    if is_decided:
        return until
    return None if current.published is None else current.published.at


def _decide(store: Store, batch: Batch, clock: Clock) -> None:
    """Decide the deletion of a published batch, unless it was decided before. Raises RequestError, NoBatch, StoreUnavailable."""
    current, is_decided = read_round_or_deletion(store, batch)
    if is_decided:
        return
    if current.published is None:
        raise RequestError(
            f"{batch.batch_id} is open: wait for it, or end it with nightpress cancel and nightpress publish"
        )
    paths = BatchPaths(batch.batch_id)
    note_round(store, batch.batch_id, current.published.round)
    sum_up(store, batch.batch_id)
    store.delete(paths.unsummed(current.published.round))  # raises StoreDeleteFailed if nothing may be deleted
    at = clock()
    marker = Reopen(round=current.number + 1, rows=(), deadline=at, deletes=batch.created_at, at=at)
    if not create_reopen(store, batch, marker) and not read_round_or_deletion(store, batch)[1]:
        raise RequestError(f"{batch.batch_id} was reopened at this moment: it stays")


def delete_leftovers(store: Store, age: timedelta) -> int:
    """Delete leftovers of killed processes. Returns how many were deleted.

    A hidden file is deleted if nobody wrote to it for the longer of `age` and LEAST_AGE. Raises StoreUnavailable.
    """

    def look_at(batch_id: str) -> int:
        with suppress(NoBatch):
            paths = BatchPaths(batch_id)
            found = [*_losing_folders(store, paths), *_late_segments(store, paths)]
            for path in found:
                store.delete(path)
            return len(found)
        return 0

    count = sum(each(look_at, list_batches(store), store.reads_at_once))
    count += store.delete_unfinished(max(age, LEAST_AGE))
    if count:
        logger().info("leftovers.deleted", count=count)
    return count


def _late_segments(store: Store, paths: BatchPaths) -> Sequence[str]:
    """Return segments that were written after their batch was deleted. The folder must hold nothing else.

    If an intake is at work in the folder, it has written an input or a segment of its own first.
    """
    if store.list(paths.root) != ["segments"]:
        return []
    names = store.list(paths.segments)
    return [] if any(name.startswith(INTAKE) for name in names) else list(map(paths.segment, names))


def _losing_folders(store: Store, paths: BatchPaths) -> Iterator[str]:
    """Yield the folders of publishers that lost: the round has a `done-<round>.json`, and it names another folder."""
    folders = {
        name: int(match[1]) for name in store.list(f"{paths.root}/published") if (match := _PUBLISHED.fullmatch(name))
    }
    for round_ in sorted(set(folders.values())):
        if not store.exists(paths.done(round_)):
            continue
        done = read_marker(store, paths.done(round_), Done)
        for name, of_round in folders.items():
            if of_round == round_ and f"published/{name}" != done.folder:
                yield f"{paths.root}/published/{name}"

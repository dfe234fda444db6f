"""Retention: published batches leave the store, by name or by age; their usage stays in the accounts.

An open batch is never touched. Who deletes and who reopens a batch strive for the same name, the marker of its next round:
whoever creates it has decided. Then the acceptance goes, so that nothing takes the rest for a batch, then the rest, and the
markers last, since intake takes nothing in where they are: they would rule over the next batch of the same id. If the deletion
dies before the acceptance has gone, the marker stands for a round whose deadline is past: it runs nothing. The next sweep, or
the next deletion, goes on.

Leftovers go too, which killed processes left and nobody will ever read: the folder of a publisher who did not decide its
round, once the round is decided; and on a local disk the hidden files of writers that were killed, once they are old. What an
open batch still needs is never among them: an undecided round keeps all its folders, and a hidden file that anyone wrote to
lately stays.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from jobs.accounts.summaries import note_round, sum_up
from jobs.batches.batch import Batch, BatchPaths, Done, Reopen
from jobs.batches.rounds import (
    Clock,
    is_left_over,
    is_marker,
    list_batches,
    load_batch,
    now,
    read_marker,
    read_round,
    require_batch,
    to_bytes,
)
from jobs.errors import RequestError, StoreDamaged
from jobs.logs import logger
from jobs.store.damage import collect_damage
from jobs.store.fan_out import each
from jobs.store.store import Store

LEAST_AGE: timedelta = timedelta(days=1)
"""No writer that lives leaves its file alone for so long."""


def delete_batch(store: Store, batch_id: str, *, clock: Clock = now) -> None:
    """Delete a published batch, or what is left of one. Raises RequestError when it is open, NoBatch when there is nothing of it,
    StoreUnavailable when the storage is away.

    Where the storage deletes nothing, StoreDeleteFailed is raised before anything has changed.
    """
    batch = load_batch(store, batch_id)
    if batch is None and not is_left_over(store, batch_id):  # an intake may be under way
        batch = require_batch(store, batch_id)
    if batch is not None:
        _decide(store, batch, clock)
    paths = BatchPaths(batch_id)
    store.delete(paths.acceptance)
    store.delete(paths.open_hint)
    for name in store.list(paths.root):
        if not is_marker(name):
            store.delete(f"{paths.root}/{name}")
    store.delete(paths.root)
    logger().info("batch.deleted", batch=batch_id)


def find_old_batches(
    store: Store, age: timedelta, *, clock: Clock = now, faults: list[StoreDamaged] | None = None
) -> Iterator[tuple[str, datetime]]:
    """The published batches whose last round ended `age` ago or earlier, and when that was; and remains of deletions.

    Where `faults` are given, they get what is wrong with a batch that is damaged, and it stays.
    """
    until, batch_ids = clock() - age, list_batches(store)

    def ended(batch_id: str) -> datetime | None:
        with collect_damage(faults):
            return _ended(store, batch_id, until)
        return None

    for batch_id, at in zip(batch_ids, each(ended, batch_ids, store.reads_at_once), strict=True):
        if at is not None and at <= until:
            yield batch_id, at


def _ended(store: Store, batch_id: str, until: datetime) -> datetime | None:
    """When the last round of a batch ended; None while it is open."""
    batch = load_batch(store, batch_id)
    if batch is None:
        return until if is_left_over(store, batch_id) else None
    done = read_round(store, batch).published
    return None if done is None else done.at


def _decide(store: Store, batch: Batch, clock: Clock) -> None:
    current = read_round(store, batch)
    if current.published is None:
        raise RequestError(
            f"{batch.batch_id} is open: wait for it, or give it up with nightpress cancel and nightpress publish"
        )
    paths = BatchPaths(batch.batch_id)
    note_round(store, batch.batch_id, current.published.round)
    sum_up(store, batch.batch_id)
    store.delete(paths.unsummed(current.published.round))  # raises StoreDeleteFailed where nothing may be deleted
    at = clock()
    marker = Reopen(round=current.number + 1, rows=(), deadline=at, at=at)
    if not store.create(paths.reopen(marker.round), to_bytes(marker)):
        raise RequestError(f"{batch.batch_id} was reopened at this moment: it stays")


def delete_leftovers(store: Store, age: timedelta) -> int:
    """Delete what is left over; hidden files if nobody wrote to them for `age`, and for a day at least. Returns how many."""

    def look_at(batch_id: str) -> int:
        folders = list(_undecided(store, BatchPaths(batch_id)))
        for folder in folders:
            store.delete(folder)
        return len(folders)

    count = sum(each(look_at, list_batches(store), store.reads_at_once))
    count += store.delete_unfinished(max(age, LEAST_AGE))
    if count:
        logger().info("leftovers.deleted", count=count)
    return count


def _undecided(store: Store, paths: BatchPaths) -> Iterator[str]:
    """Folders of published rounds that no `done-<round>.json` names."""
    folders = store.list(f"{paths.root}/published")
    for round_ in sorted({int(n) for n in (name.partition("-")[0] for name in folders) if n.isdecimal()}):
        if not store.exists(paths.done(round_)):
            continue
        done = read_marker(store, paths.done(round_), Done)
        for name in folders:
            if name.startswith(f"{round_}-") and f"published/{name}" != done.folder:
                yield f"{paths.root}/published/{name}"

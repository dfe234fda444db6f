"""Leftovers: what killed processes left in the store, and nobody will ever read.

The folder of a publisher who did not decide its round, once the round is decided; and on a local disk the hidden files of
writers that were killed, once they are old. What an open batch still needs is never among them: an undecided round keeps
all its folders, and a hidden file that anyone wrote to lately stays.
"""

from collections.abc import Iterator
from datetime import timedelta

from jobs.batches.batch import BatchPaths, Done
from jobs.batches.rounds import list_batches, read_marker
from jobs.logs import logger
from jobs.store.fan_out import each
from jobs.store.store import Store

LEAST_AGE: timedelta = timedelta(days=1)
"""No writer that lives leaves its file alone for so long."""


def clear(store: Store, age: timedelta) -> int:
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

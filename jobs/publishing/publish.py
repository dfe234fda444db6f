"""Publishing fixes the outcomes of a round, for good.

Any number of processes may publish at any time. Each reads the markers, then the segments, and stops unless every row has an
outcome. It writes an edition of its own and then tries to create `done-<round>.json`. The process that creates it has decided,
and the others delete their editions (rules 15 to 20 of jobs/PROTOCOL.md). This module reads storage only, never the queue.
"""

import tempfile
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from jobs.accounts.summaries import add_summary, note_round
from jobs.batches.batch import REMEMBERED_KINDS, Batch, Done
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.rounds import (
    Clock,
    create_marker,
    finish_round,
    load_batch,
    now,
    read_marker,
    read_round,
    require_batch,
)
from jobs.batches.segments.files import until_read
from jobs.errors import NoBatch, StoreUnavailable
from jobs.prices import Prices
from jobs.publishing.edition import Edition
from jobs.publishing.winners import BUCKET_BYTES, Winners
from jobs.store.store import Store


@dataclass(frozen=True, slots=True)
class Incomplete:
    """A round that cannot be published yet. `missing` rows have no outcome; `rows` are the first few of them."""

    missing: int
    rows: tuple[int, ...]


def publish(
    store: Store,
    batch_id: str,
    *,
    prices: Prices,
    clock: Clock = now,
    scratch: Path | None = None,
    bucket_bytes: int = BUCKET_BYTES,
) -> Done | Incomplete:
    """Publish the current round of a batch.

    Returns the marker of the round, even if the round was published before. Returns Incomplete if rows lack outcomes. Lines that
    do not fit into `bucket_bytes` of memory are sorted in the folder `scratch`, by default the system's folder for temporary
    files.

    Raises NoBatch if there is no such batch, or if it was deleted meanwhile; StoreDamaged, StoreUnavailable.
    """
    batch = require_batch(store, batch_id)
    try:
        return until_read(store, lambda: _publish(store, batch, prices, clock, scratch, bucket_bytes))
    except StoreUnavailable:  # if the folder was deleted while it was written to, the whole batch may be deleted
        read_round(store, batch)
        raise


def _publish(
    store: Store, batch: Batch, prices: Prices, clock: Clock, scratch: Path | None, bucket_bytes: int
) -> Done | Incomplete:
    batch_id, index = batch.batch_id, OutcomeIndex(store, batch)
    index.refresh()
    if index.done is not None:
        finish_round(store, index.batch, clock)
        return index.done
    if not index.complete:
        return Incomplete(index.missing, tuple(islice(index.missing_rows(), 10)))
    with tempfile.TemporaryDirectory(prefix="nightpress-", dir=scratch) as folder:
        winners = Winners(index.batch.rows, sum(index.files.values()), Path(folder), bucket_bytes)
        winners.cheapest = index.book is not None
        edition = Edition(store, index, prices, winners)
        mine = edition.write(clock)
    if load_batch(store, batch_id) != index.batch:  # the batch was deleted meanwhile, and perhaps accepted again
        store.discard(f"{index.paths.root}/{mine.folder}")
        raise NoBatch(f"{batch_id} was deleted while it was published")
    note_round(store, batch_id, index.round)
    store.create(index.paths.unaudited(index.round), b"")
    if REMEMBERED_KINDS.intersection(batch.kinds):
        store.create(index.paths.unremembered(index.round), b"")
    try:
        decided = create_marker(store, batch, index.paths.done(index.round), mine)
    except NoBatch:
        store.discard(f"{index.paths.root}/{mine.folder}")
        raise
    if decided:
        add_summary(store, batch_id, mine, edition.usage, edition.usage_before)
        finish_round(store, index.batch, clock)
        return mine
    store.discard(f"{index.paths.root}/{mine.folder}")
    return read_marker(store, index.paths.done(index.round), Done)

"""Reads what a plan is made of: the outcomes of open batches, and the lanes as the queue sees them. Nothing is written."""

from collections.abc import Iterable, Mapping
from contextlib import suppress

from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.rounds import require_batch
from jobs.errors import NoBatch, QueueUnavailable, StoreDamaged
from jobs.lanes.protocol import Lanes, LaneSnapshot
from jobs.store.damage import collect_damage
from jobs.store.store import Store


def open_indexes(
    store: Store, batch_ids: Iterable[str], faults: list[StoreDamaged] | None = None
) -> list[OutcomeIndex]:
    """Return the indexes of batches that are not published. Batches that were deleted meanwhile are left out.

    A damaged batch is left out, and its error is added to `faults`; without `faults` the error is raised. Raises
    StoreUnavailable.
    """
    found = []
    for batch_id in batch_ids:
        with collect_damage(faults), suppress(NoBatch):
            index = OutcomeIndex(store, require_batch(store, batch_id))
            index.refresh()
            if index.done is None:
                found.append(index)
    return found


def snapshots_of(queue: Lanes | None, lanes: Iterable[str] = ()) -> Mapping[str, LaneSnapshot]:
    """Return the snapshots of these lanes and of all that were ever fed; none if there is no queue, or it does not answer."""
    if queue is None:
        return {}
    try:
        return {lane: queue.snapshot(lane) for lane in sorted({*queue.lanes(), *lanes})}
    except QueueUnavailable:
        return {}

"""Announcing: tells the workers of a batch's lanes that the batch has rows for them (rule 47 of jobs/PROTOCOL.md).

Whoever accepts, reopens or resumes a batch announces it. Nothing depends on that: the worker that keeps a lane looks into storage
every `batch_scan_s` seconds too.
"""

from collections.abc import Callable

from jobs.batches.rounds import load_batch
from jobs.errors import UnavailableError
from jobs.lanes.protocol import Lanes
from jobs.store.store import Store


def announce(store: Store, queue: Callable[[], Lanes | None], batch_id: str) -> None:
    """Announce a batch on its lanes. If Redis or the storage is away, or no queue is known, nothing happens."""
    try:
        lanes, batch = queue(), load_batch(store, batch_id)
        if lanes is not None and batch is not None:
            for lane in batch.lanes:
                lanes.announce(lane, batch_id)
    except UnavailableError:
        return

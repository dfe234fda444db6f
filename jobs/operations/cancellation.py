"""Cancellation: no further row of a batch is started, by its marker in storage and then on the queue.

The marker decides, and is written first: a feeder that came in between would put back what was taken off the queue. A queue
that is away only learns of it later.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from jobs.batches.batch import Batch
from jobs.batches.rounds import Clock, close, is_open, now, require_batch
from jobs.errors import QueueUnavailable, RequestError
from jobs.lanes.protocol import Lanes
from jobs.store.store import Store


@dataclass(frozen=True, slots=True)
class Cancellation:
    """The result of a cancellation.

    Attributes:
        batch_id: The batch.
        reason: Why no further row is started: `expired` where the deadline came first.
        at: When that was decided, in UTC.
        dropped: How many waiting rows were taken off the queue; None where no queue could be asked.
        queue_fault: Why the queue could not be asked, and learns of it later; None where it answered or there is none.
    """

    batch_id: str
    reason: Literal["cancelled", "expired"]
    at: datetime
    dropped: int | None = None
    queue_fault: str | None = None


def cancel(store: Store, queue: Callable[[], Lanes | None], batch_id: str, clock: Clock = now) -> Cancellation:
    """Start no further row of a batch. Rows with an outcome keep it; a publisher publishes the others as cancelled.

    `queue` is called after the marker stands, since to open it may fail. Raises RequestError where the batch is published
    already, NoBatch, StoreUnavailable.
    """
    batch = require_batch(store, batch_id)
    if not is_open(store, batch_id):
        raise RequestError(f"{batch_id} is published already: there is nothing left to cancel")
    closed = close(store, batch_id, "cancelled", clock=clock)
    reason: Literal["cancelled", "expired"] = "cancelled" if closed.reason == "cancelled" else "expired"
    try:
        dropped, fault = _drop(queue(), batch, closed.round), None
    except QueueUnavailable as error:
        dropped, fault = None, str(error)
    return Cancellation(batch_id, reason, closed.at, dropped, fault)


def _drop(queue: Lanes | None, batch: Batch, round_: int) -> int | None:
    """How many waiting rows were taken off the queue; None where there is no queue."""
    if queue is None:
        return None
    return sum(queue.drop(lane, batch.batch_id, round_, forget=False) for lane in batch.lanes)

"""Cancellation first writes a marker for the batch into storage, and then takes the batch's waiting rows off the queue.

The marker alone decides that no further row is started. If the rows were taken off first, a feeder that ran in between would put
them back on the queue. If the queue does not answer, it learns of the cancellation later.
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
        reason: Why no further row is started: `expired` if the deadline came before the cancellation.
        at: When the batch was cancelled, or expired, in UTC.
        dropped: How many waiting rows were taken off the queue; None if no queue could be asked.
        queue_fault: Why the queue could not be asked (it learns of the cancellation later). None if the queue answered, or if
            there is no queue.
    """

    batch_id: str
    reason: Literal["cancelled", "expired"]
    at: datetime
    dropped: int | None = None
    queue_fault: str | None = None


def cancel(store: Store, queue: Callable[[], Lanes | None], batch_id: str, clock: Clock = now) -> Cancellation:
    """Cancel a batch: no further row is started. Rows with an outcome keep it; a publisher publishes the others as cancelled.

    `queue` opens the queue. The call may fail, so it is made only after the marker is written. Raises RequestError if the
    batch is published already, NoBatch, StoreUnavailable.
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
    """Take the waiting rows off the queue, and return how many there were; None if there is no queue."""
    if queue is None:
        return None
    return sum(queue.drop(lane, batch.batch_id, round_, forget=False) for lane in batch.lanes)

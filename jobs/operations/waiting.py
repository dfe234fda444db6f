"""`wait` looks at the status of a batch from time to time until the batch is published."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from jobs.batches.rounds import Clock
from jobs.errors import BatchPaused, BatchUnfinished
from jobs.operations.status import BatchStatus
from jobs.operations.status_reader import StatusReader
from jobs.publishing.publish import publish

INTERVAL_S: Final = 1.0
"""Seconds between two looks at the status, unless the caller gives another interval."""


def wait(
    reader: StatusReader,
    batch_id: str,
    *,
    until: datetime | None,
    interval_s: float = INTERVAL_S,
    sleep: Callable[[float], object],
    clock: Clock,
) -> BatchStatus:
    """Wait until a batch is published, and return its published status.

    Once all rows have an outcome, this function publishes the batch.

    Raises BatchPaused if the batch has paused itself, BatchUnfinished if the batch is not published at `until` (None: wait for
    ever), NoBatch, StoreUnavailable.
    """
    one = reader.batch(batch_id)
    while one.state != "published":
        if one.state == "paused" and one.paused_reason is not None:
            raise BatchPaused(f"{batch_id} is {one.paused_in_words()}")
        if until is not None and clock() >= until:
            raise BatchUnfinished(f"{batch_id} is not published yet: {one.describe_outcomes()}; it goes on")
        if one.state == "publishing":  # every row has its outcome, and anyone may publish
            publish(reader.store, batch_id, prices=reader.prices, clock=clock)
        else:
            sleep(interval_s)
        one = reader.batch(batch_id)
    return one

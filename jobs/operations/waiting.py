"""`wait` looks at a batch from time to time until it is published, and `wait_for_quote` until it is quoted."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from jobs.batches.quotes.quoted import Quoted, read_quoted
from jobs.batches.records import no_batch
from jobs.batches.rounds import Clock, require_batch
from jobs.errors import BatchPaused, BatchUnfinished, RequestError
from jobs.operations.status import BatchStatus, Status
from jobs.operations.status_reader import StatusReader
from jobs.publishing.publish import publish

INTERVAL_S: Final = 1.0
"""Seconds between two looks at the status, unless the caller gives another interval."""
_ENDING: Final = ("cancelling", "expiring")
"""The states of a batch that ends without a quote."""


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

    Raises BatchPaused if the batch has paused itself or waits for the answer to its quote, BatchUnfinished if the batch is not
    published at `until` (None: wait for ever), NoBatch, StoreUnavailable.
    """
    one = reader.batch(batch_id)
    while one.state != "published":
        if one.state == "paused" and one.paused_reason is not None:
            raise BatchPaused(f"{batch_id} is {one.paused_in_words()}")
        if one.state == "quoted":
            raise BatchPaused(f"{batch_id} is quoted, and waits for an answer; to go on: nightpress resume {batch_id}")
        if until is not None and clock() >= until:
            raise BatchUnfinished(f"{batch_id} is not published yet: {one.describe_outcomes()}; it goes on")
        if one.state == "publishing":  # every row has its outcome, and anyone may publish
            publish(reader.store, batch_id, prices=reader.prices, clock=clock)
        else:
            sleep(interval_s)
        one = reader.batch(batch_id)
    return one


def wait_for_quote(
    reader: StatusReader,
    batch_id: str,
    *,
    until: datetime | None,
    interval_s: float = INTERVAL_S,
    sleep: Callable[[float], object],
    clock: Clock,
    look: Callable[[Status, BatchStatus], object] = lambda *_: None,
) -> Quoted:
    """Wait until a batch is quoted, and return the quote. `look` is called with each status, and may raise an error.

    Raises RequestError if the batch was not enqueued to be quoted, or ended before its quote was there; BatchPaused if the batch
    has paused itself; BatchUnfinished if there is no quote at `until` (None: wait for ever); NoBatch, StoreUnavailable.
    """
    batch = require_batch(reader.store, batch_id)
    if batch.quote is None:
        raise RequestError(
            f"{batch_id} was enqueued without --quote, so no sample of it is drawn: nightpress status {batch_id}"
        )
    while (quoted := read_quoted(reader.store, batch)) is None:
        now = reader.read([batch_id])
        if not now.batches:
            raise no_batch(batch_id)
        one = now.batches[0]
        look(now, one)
        if (one.drawn is None or one.state in _ENDING) and read_quoted(reader.store, batch) is None:
            raise RequestError(f"{batch_id} is {one.state}, and was not quoted before: {one.describe_outcomes()}")
        if one.state == "paused" and one.paused_reason is not None:
            raise BatchPaused(f"{batch_id} is paused: {one.paused_reason}; to go on: nightpress resume {batch_id}")
        if until is not None and clock() >= until:
            raise BatchUnfinished(
                f"{batch_id} is not quoted yet: {one.worked:,} of {one.drawn or 0:,} drawn rows have an outcome; "
                f"nightpress quote {batch_id} --wait waits for it"
            )
        sleep(interval_s)
    return quoted

"""The breaker: pauses a batch of which nothing has come but failures, before the night is spent on it.

It reads storage alone, so anyone may ask it: the sweeper does at each sweep, and a worker as soon as it has seen so many
rows of a batch fail and none complete. The worker starts nothing more until it has asked, whatever `flush_s` and
`flush_bytes` are. So of a batch that only fails, each worker ends less than `rows` rows and what it had in hand then, which
is at most twice its slots. A failure that may be retried is no outcome until its attempts are spent: until then, which
takes seconds by default (`backoff_s`, `max_attempts`), other rows are begun.
"""

from collections import Counter
from typing import Final

from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.rounds import Clock, pause
from jobs.batches.segments.files import some_outcomes
from jobs.logs import logger
from jobs.store.store import Store

SEGMENTS: Final = 8
"""So many segments are read to tell what most rows failed with."""


def trip(store: Store, index: OutcomeIndex, rows: int, clock: Clock) -> bool:
    """Pause the batch if at least `rows` outcomes of its round are failures, and none completed. Whether that was done.

    `rows` of 0 is never. An index that seems to say so is refreshed first.
    """
    current = index.current
    if not rows or not current.may_pause or current.closed or current.done:
        return False
    if index.counts["completed"] == index.carried:
        index.refresh()
    failed = index.counts["failed"] - index.batch.refused
    if index.counts["completed"] > index.carried or failed < rows or index.complete:
        return False
    reason = f"its first {failed:,} rows all failed, most of them with {_usual_code(store, index, rows)}"
    paused = pause(store, index.batch, reason, clock=clock)
    logger().warning("batch.paused", batch=index.batch.batch_id, reason=paused.reason)
    index.refresh()
    return True


def _usual_code(store: Store, index: OutcomeIndex, rows: int) -> str:
    """The code of most failures in the first few segments."""
    codes: Counter[str] = Counter()
    for outcome in some_outcomes(store, sorted(index.files)[:SEGMENTS], rows):
        if outcome.final and outcome.error and outcome.round == index.round:
            codes[outcome.error["code"]] += 1
    return codes.most_common(1)[0][0] if codes else "no code"

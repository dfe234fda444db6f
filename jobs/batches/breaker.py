"""The breaker pauses a batch whose first rows all fail, so that no night is spent on the batch (rule 36 of jobs/PROTOCOL.md).

The breaker decides from storage alone, so any process may ask it. The sweeper asks at each sweep. A worker asks once it has
seen `rows` rows of a batch fail and none complete, and claims nothing until it has asked. So each worker finishes fewer than
`rows` rows of a failing batch, plus the rows that it already holds (at most twice its slots). A failure that will be retried is
not an outcome: further rows start until the attempts of the first rows are spent, which takes seconds by default (`backoff_s`,
`max_attempts`).
"""

from collections import Counter
from typing import Final

from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.rounds import Clock, pause
from jobs.batches.segments.files import some_outcomes
from jobs.logs import logger
from jobs.store.store import Store

SEGMENTS: Final = 8
"""At most this many files of segments are read to find the most frequent error code, which the reason of the pause names."""


def trip(store: Store, index: OutcomeIndex, rows: int, clock: Clock) -> bool:
    """Pause the batch if at least `rows` rows failed in its round and none completed. Returns whether this call paused it.

    Rows that intake refused do not count. If `rows` is 0, no batch is paused. The index is refreshed before a batch is paused.
    Raises StoreUnavailable.
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
    """Return the most frequent error code of this round's final failures in some segments; "no code" if none is found."""
    codes: Counter[str] = Counter()
    for outcome in some_outcomes(store, sorted(index.files)[:SEGMENTS], rows):
        if outcome.final and outcome.error and outcome.round == index.round:
            codes[outcome.error["code"]] += 1
    return codes.most_common(1)[0][0] if codes else "no code"

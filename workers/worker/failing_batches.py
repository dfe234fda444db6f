"""Finds the batches of which this worker has seen many rows fail and none complete.

The claimer asks the breaker about such a batch, and the breaker may pause it (rule 36 of jobs/PROTOCOL.md). Until the breaker has
been asked, the claimer claims nothing. Finished rows are written first, because the breaker reads storage, where it sees the rows
of all workers.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Sequence

from jobs.batches.segments.line import Outcome

Round = tuple[str, int]
"""A batch's id, and the number of one of its rounds."""


class FailingBatches:
    """Counts the final failures of each round until a row of the round completes. Thread-safe.

    Once a round has `rows` failures, the breaker must be asked about the round, but only once. If `rows` is 0, the breaker is
    never asked.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._failures: Counter[Round] = Counter()
        self._cleared: set[Round] = set()
        self._lock = threading.Lock()

    def count(self, batch_id: str, outcome: Outcome) -> None:
        """Count the outcome of an attempt."""
        key = (batch_id, outcome.round)
        with self._lock:
            if outcome.status == "completed":
                self._clear(key)
            elif self._rows and outcome.final and key not in self._cleared:
                self._failures[key] += 1

    def to_ask_about(self) -> Sequence[Round]:
        """Return the rounds that the breaker must be asked about now."""
        with self._lock:
            return [key for key, failures in self._failures.items() if failures >= self._rows]

    def clear(self, keys: Iterable[Round]) -> None:
        """Stop counting these rounds, because the breaker was asked about them."""
        with self._lock:
            for key in keys:
                self._clear(key)

    def _clear(self, key: Round) -> None:
        self._cleared.add(key)
        self._failures.pop(key, None)

"""The batches of which this worker has seen many rows fail and none complete: the breaker is to be asked about them.

Until it was asked, the claimer claims nothing more. What is finished is written first, so that the breaker, which reads
storage, sees the rows of all workers (rule 36 of jobs/PROTOCOL.md).
"""

import threading
from collections import Counter
from collections.abc import Iterable, Sequence

from jobs.batches.segments.line import Outcome

Round = tuple[str, int]
"""A batch's id, and the number of the round."""


class FailingBatches:
    """Counts the final failures of each round until one of its rows completes. Thread-safe.

    `rows` of them make a round one to ask about; 0: none ever is. The breaker is asked once at most about each round.
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
        """The rounds that the breaker is to be asked about now."""
        with self._lock:
            return [key for key, failures in self._failures.items() if failures >= self._rows]

    def clear(self, keys: Iterable[Round]) -> None:
        """The breaker was asked about these rounds: they are not counted any more."""
        with self._lock:
            for key in keys:
                self._clear(key)

    def _clear(self, key: Round) -> None:
        self._cleared.add(key)
        self._failures.pop(key, None)

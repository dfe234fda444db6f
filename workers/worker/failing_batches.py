"""Doubts: the batches of which this worker has seen many rows fail and none complete.

While there are any, the claimer claims nothing more: what is finished is written, and storage says whether all workers
saw the same. Each round of a batch is doubted once at most.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Sequence

from jobs.batches.segments.line import Outcome

Round = tuple[str, int]
"""A batch's id, and the round."""


class Doubts:
    """Counts final failures. Thread-safe. `rows` of them, with no completed row before, are a doubt; 0: never."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._failed: Counter[Round] = Counter()
        self._settled: set[Round] = set()
        self._lock = threading.Lock()

    def note(self, batch_id: str, outcome: Outcome) -> None:
        """An attempt came to this."""
        key = (batch_id, outcome.round)
        with self._lock:
            if outcome.status == "completed":
                self._settled.add(key)
                self._failed.pop(key, None)
            elif self._rows and outcome.final and key not in self._settled:
                self._failed[key] += 1

    def found(self) -> Sequence[Round]:
        """What is in doubt now."""
        with self._lock:
            return [key for key, failed in self._failed.items() if failed >= self._rows]

    def settle(self, keys: Iterable[Round]) -> None:
        """These were looked at, and are doubted no more."""
        with self._lock:
            for key in keys:
                self._settled.add(key)
                self._failed.pop(key, None)

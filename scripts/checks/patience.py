"""Decides how long a check waits for a fleet that makes no progress: longer on a busy machine."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field


def load() -> float:
    """Return how many processes want each core, as the mean of the last minute; at least 1."""
    return max(os.getloadavg()[0] / (os.cpu_count() or 1), 1.0)


@dataclass
class Patience:
    """Tells when a fleet has made no progress for `seconds`. On a busy machine, seconds are divided by the load."""

    seconds: float
    clock: Callable[[], float] = time.monotonic
    load: Callable[[], float] = load
    _progress: object = None
    _idle_s: float = 0.0
    _last: float = field(init=False)

    def __post_init__(self) -> None:
        self._last = self.clock()

    def is_over(self, progress: object) -> bool:
        """Whether `progress` has had this value for too long. The time begins again whenever the value changes."""
        now = self.clock()
        if progress != self._progress:
            self._progress, self._idle_s = progress, 0.0
        else:
            self._idle_s += (now - self._last) / max(self.load(), 1.0)
        self._last = now
        return self._idle_s >= self.seconds

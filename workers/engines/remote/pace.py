"""The pace of a remote engine: how many requests may be in flight, and when the next one may start.

The number in flight grows by one after as many answers as are in flight, and is halved when the server refuses for its load
(additive increase, multiplicative decrease: Chiu and Jain, 1989). One refusal halves it once: those of requests that were sent
before the last halving do not count. While the server names a time to wait, nothing starts.
"""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Pace:
    """The pace. Times are seconds of `monotonic`.

    Args:
        most: The most requests in flight.
        per_minute: The most requests that start in a minute, evenly spread; None: no limit.
        monotonic: Returns the time.
    """

    most: int
    per_minute: float | None
    monotonic: Callable[[], float]
    limit: float = field(init=False)
    in_flight: int = 0
    _not_before: float = float("-inf")
    _halved_at: float = float("-inf")

    def __post_init__(self) -> None:
        self.limit = float(self.most)

    def wait_s(self) -> float | None:
        """Return how long to wait before a request may start; 0 if it may now, None if one in flight must end first."""
        if self.in_flight >= int(self.limit):
            return None
        return max(0.0, self._not_before - self.monotonic())

    def start(self) -> float:
        """Count a request that starts now. Returns the time, for `refused`."""
        now = self.monotonic()
        self.in_flight += 1
        if self.per_minute is not None:
            self._not_before = max(self._not_before, now) + 60.0 / self.per_minute
        return now

    def end(self) -> None:
        """Count a request that is no longer in flight."""
        self.in_flight -= 1

    def answered(self) -> None:
        """Take note that the server answered a request."""
        self.limit = min(float(self.most), self.limit + 1.0 / self.limit)

    def refused(self, started_at: float, wait_s: float) -> None:
        """Take note that the server refused a request for its load, and asks to wait for `wait_s` seconds."""
        now = self.monotonic()
        self._not_before = max(self._not_before, now + wait_s)
        if started_at > self._halved_at:
            self.limit = max(1.0, self.limit / 2)
            self._halved_at = now

"""The rate at which a batch gets outcomes and completion tokens, over a window of the last seconds."""

from collections import deque
from datetime import datetime, timedelta
from typing import Final

WINDOW_S: Final = 30.0
"""The length of the window, in seconds. Of the readings older than this, only the newest is kept, and the window begins with
it.
"""

SHORTEST_S: Final = 4.0
"""There is no rate until the readings cover this many seconds, because outcomes arrive in steps, with each flush."""


class Rate:
    """Rows and completion tokens a second, over the last `window_s` seconds. The caller gives the time of each reading."""

    def __init__(self, window_s: float = WINDOW_S, shortest_s: float = SHORTEST_S) -> None:
        self.window_s = window_s
        self.shortest_s = shortest_s
        self._samples: deque[tuple[datetime, int, int]] = deque()

    def sample(self, at: datetime, rows: int, tokens: int) -> None:
        """Add a reading of the counters `rows` and `tokens`. If `rows` fell, as in a new round, drop the earlier readings."""
        if self._samples and rows < self._samples[-1][1]:
            self._samples.clear()
        self._samples.append((at, rows, tokens))
        while len(self._samples) > 2 and self._samples[1][0] <= at - timedelta(seconds=self.window_s):
            self._samples.popleft()

    @property
    def per_second(self) -> tuple[float, float] | None:
        """Rows and tokens a second; None until the readings cover `shortest_s` seconds."""
        if not self._samples:
            return None
        (began, rows, tokens), (ended, rows_now, tokens_now) = self._samples[0], self._samples[-1]
        elapsed_s = (ended - began).total_seconds()
        if elapsed_s < self.shortest_s:
            return None
        return (rows_now - rows) / elapsed_s, (tokens_now - tokens) / elapsed_s

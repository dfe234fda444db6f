"""How fast the rows of a batch are done, from readings of its counters at several times.

A batch runs only while workers have rows of it. The time before that, in which models are loaded, and the time in which no row is
leased are left out.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

WINDOW_S: Final = 30.0
"""The length of a rate's window, in seconds. Of the readings older than this, only the newest is kept, and the window begins with
it.
"""

SHORTEST_S: Final = 4.0
"""There is no rate until the readings cover this many seconds, because outcomes arrive in steps, with each flush."""

SPEED_WINDOW_S: Final = 600.0
"""The length of the window of a speed, in seconds. It is long, because in half a minute few long rows end."""

TRUST_S: Final = 60.0
"""A reader that came after the first row of a batch uses its own readings alone once they cover this many seconds.

Until then it assumes that the batch has been running since its first row was begun.
"""


class Rate:
    """Rows and completion tokens a second, over the last `window_s` seconds. The caller gives the time of each reading."""

    def __init__(self, window_s: float = WINDOW_S, shortest_s: float = SHORTEST_S) -> None:
        self.window_s = window_s
        self.shortest_s = shortest_s
        self._samples: deque[tuple[datetime, int, int]] = deque()

    def sample(self, at: datetime, rows: int, tokens: int, *, is_running: bool = True) -> None:
        """Add a reading of the counters `rows` and `tokens`.

        If `rows` fell, as in a new round, or if the batch is not running, the earlier readings are dropped.
        """
        if not is_running or (self._samples and rows < self._samples[-1][1]):
            self._samples.clear()
        self._samples.append((at, rows, tokens))
        while len(self._samples) > 2 and self._samples[1][0] <= at - timedelta(seconds=self.window_s):
            self._samples.popleft()

    def begin(self, at: datetime) -> None:
        """Leave out the time before `at`, when the first row was begun. Earlier readings count as if they were made then."""
        earlier = None
        while self._samples and self._samples[0][0] < at:
            earlier = self._samples.popleft()
        if earlier is not None:
            self._samples.appendleft((at, *earlier[1:]))

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


@dataclass(frozen=True, slots=True)
class UnderWay:
    """The rows of a batch that engines have begun: how many there are, and the sum of the seconds since each was begun.

    `rows` need not be whole: if a lane has several batches, each is given its share of the lane's begun rows.
    """

    rows: float
    seconds: float


@dataclass(frozen=True, slots=True)
class _Reading:
    """`done` is the expected work of the rows with an outcome, in tokens. `row_s` grows by a second for each second of each row
    that is under way.
    """

    at: datetime
    done: int
    under_way: UnderWay
    row_s: float


class Speed:
    """The expected tokens that a row which is under way gets in a second, and when the work of a batch will be done.

    The seconds that rows were under way are of two sorts: those of rows that have ended, whose work is known, and those of rows
    that are still under way. So work divided by the seconds of the first sort is the speed, however long the rows are and
    however few have ended.
    """

    def __init__(self) -> None:
        self._readings: deque[_Reading] = deque()
        self._began: _Reading | None = None

    def sample(self, at: datetime, done: int, under_way: UnderWay) -> None:
        """Add a reading. While no row is under way, and if `done` fell, as in a new round, the earlier readings are dropped."""
        last = self._readings[-1] if self._readings else None
        row_s = 0.0
        if last is not None and done >= last.done and under_way.rows > 0:
            mean = (last.under_way.rows + under_way.rows) / 2
            row_s = last.row_s + mean * (at - last.at).total_seconds()
        else:
            self._readings.clear()
            self._began = None
        self._readings.append(_Reading(at, done, under_way, row_s))
        while len(self._readings) > 2 and self._readings[1].at <= at - timedelta(seconds=SPEED_WINDOW_S):
            self._readings.popleft()
        if self._began is not None and (at - self._readings[0].at).total_seconds() >= TRUST_S:
            self._began = None

    def begin(self, at: datetime, done: int) -> None:
        """Note when the first row was begun, and that work of `done` tokens was done before. Earlier readings are dropped."""
        while len(self._readings) > 1 and (self._readings[0].at < at or not self._readings[0].under_way.rows):
            self._readings.popleft()
        if not self._readings:
            return
        first = self._readings[0]
        rows = first.under_way.rows
        began = _Reading(at, done, UnderWay(0, 0), first.row_s - rows * (first.at - at).total_seconds())
        if first.done > done:
            self._began = began
        else:
            self._readings.appendleft(began)

    def left_s(self, total: int) -> float | None:
        """Return in how many seconds work of `total` tokens will be done if as many rows stay under way; None if not known."""
        if not self._readings:
            return None
        now, first = self._readings[-1], self._began or self._readings[0]
        ended_s = (now.row_s - now.under_way.seconds) - (first.row_s - first.under_way.seconds)
        too_short = (now.at - first.at).total_seconds() < SHORTEST_S
        if too_short or now.done <= first.done or ended_s <= 0 or now.under_way.rows <= 0:
            return None
        speed = (now.done - first.done) / ended_s
        left = total - now.done - speed * now.under_way.seconds
        return max(left, 0.0) / (speed * now.under_way.rows)

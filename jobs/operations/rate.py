"""Measures how fast the rows of a batch are done, and when the last will be done, from readings of its counters over time.

Only time in which workers have rows of the batch counts. The loading of models and time in which no row is leased are left out.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from jobs.batches.batch import Batch, BatchPaths
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.segments.files import list_files, some_outcomes
from jobs.batches.segments.name import SegmentName
from jobs.lanes.protocol import LaneSnapshot
from jobs.operations.outlook.first_end import SILENT_S
from jobs.operations.status import BatchStatus, State
from jobs.planning.intervals import Interval
from jobs.planning.remaining import UNKNOWN_DISPERSION, Pace, left_s
from jobs.store.store import Store

WINDOW_S: Final = 30.0
"""The window of a rate, in seconds. Only the newest of the readings that are older than this is kept, and begins the window.
"""

SHORTEST_S: Final = 4.0
"""There is no rate until the readings cover this many seconds, because outcomes arrive in steps, with each flush."""

SPEED_WINDOW_S: Final = 600.0
"""The window of a speed, in seconds. It is long, because few long rows end in half a minute."""

TRUST_S: Final = 60.0
"""A reader that came after the first row of a batch uses its own readings alone once they cover this many seconds.

Until then it assumes that the batch has been running since its first row was begun.
"""


_GOING_ON: Final[frozenset[State]] = frozenset({"open", "queued", "loading", "running"})
"""The states of batches that have an expected end."""

Snapshots = Mapping[str, LaneSnapshot]
"""Snapshots of the lanes of a queue, by the lanes' names."""

FIRST_SEGMENTS: Final = 8
"""To find when a batch's first row was started, this many of its first segments are read, and this many lines of each segment."""


class Rate:
    """Rows and completion tokens a second, over the last `window_s` seconds. The caller gives the time of each reading."""

    def __init__(self, window_s: float = WINDOW_S, shortest_s: float = SHORTEST_S) -> None:
        self.window_s = window_s
        self.shortest_s = shortest_s
        self._samples: deque[tuple[datetime, int, int]] = deque()

    def sample(self, at: datetime, rows: int, tokens: int, *, is_running: bool = True) -> None:
        """Add a reading of the counters `rows` and `tokens`.

        The earlier readings are dropped if `rows` fell, as in a new round, or if the batch is not running.
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
    """The rows of a batch that engines have begun: their number, and the sum of the seconds since each was begun.

    `rows` need not be whole: if a lane has several batches, each is given its share of the lane's begun rows.
    """

    rows: float
    seconds: float


@dataclass(frozen=True, slots=True)
class _Reading:
    """`done` is the expected work of the rows with an outcome, in tokens, and `ended` the number of these rows. `row_s` is the
    sum of the seconds that rows were under way.
    """

    at: datetime
    done: int
    under_way: UnderWay
    row_s: float
    ended: int = 0


class Speed:
    """Measures the expected tokens per second of a row that is under way, and from them when the work of a batch will be done.

    The speed is the work of the rows that have ended, divided by the seconds that these rows were under way. The seconds of rows
    that are still under way are left out, since their work is not in the sum. So the speed is right even if few rows have ended.
    """

    def __init__(self) -> None:
        self._readings: deque[_Reading] = deque()
        self._began: _Reading | None = None

    def sample(self, at: datetime, done: int, under_way: UnderWay, ended: int = 0) -> None:
        """Add a reading. Earlier readings are dropped if no row is under way, or if `done` fell, as in a new round."""
        last = self._readings[-1] if self._readings else None
        row_s = 0.0
        if last is not None and done >= last.done and under_way.rows > 0:
            mean = (last.under_way.rows + under_way.rows) / 2
            row_s = last.row_s + mean * (at - last.at).total_seconds()
        else:
            self._readings.clear()
            self._began = None
        self._readings.append(_Reading(at, done, under_way, row_s, ended))
        while len(self._readings) > 2 and self._readings[1].at <= at - timedelta(seconds=SPEED_WINDOW_S):
            self._readings.popleft()
        if self._began is not None and (at - self._readings[0].at).total_seconds() >= TRUST_S:
            self._began = None

    def begin(self, at: datetime, done: int) -> None:
        """Note when the first row was begun, and that `done` tokens of work were done by then. Earlier readings are dropped."""
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
        left = self.left(total, 1, 0.0)
        return None if left is None else left.expected

    def left(self, total: int, rows: int, dispersion: float) -> Interval | None:
        """Return in how many seconds work of `total` tokens will be done if as many rows stay under way; None if not known.

        `rows` rows have no outcome yet. `dispersion` says how far rows differ in the tokens that they take for each expected one.
        """
        if not self._readings:
            return None
        now, first = self._readings[-1], self._began or self._readings[0]
        ended_s = (now.row_s - now.under_way.seconds) - (first.row_s - first.under_way.seconds)
        too_short = (now.at - first.at).total_seconds() < SHORTEST_S
        if too_short or now.done <= first.done or ended_s <= 0 or now.under_way.rows <= 0:
            return None
        done, ended = now.done - first.done, max(1, now.ended - first.ended)
        pace = Pace(ended, done, ended_s, now.under_way.rows, now.under_way.seconds, dispersion)
        return left_s(pace, rows, total - now.done)


@dataclass
class Progress:
    """Keeps a reader's readings of one open batch, and gives its rate and expected end."""

    rate: Rate = field(default_factory=Rate)
    speed: Speed = field(default_factory=Speed)
    first_started: datetime | None = None

    def look(
        self,
        store: Store,
        index: OutcomeIndex,
        status: BatchStatus,
        lanes: Snapshots | None,
        at: datetime,
        forecast: Callable[[], Interval | None] = lambda: None,
    ) -> BatchStatus:
        """Take a reading, and return the status with the rate and the expected end. `lanes` is None if there is no queue.

        Until the window is long enough, the rate is the mean since the first row was started. As long as no row has ended,
        `forecast` is asked in how many seconds the batch is done.
        """
        done, total = _work(index, status)
        is_running = lanes is None or status.leased > 0
        self.rate.sample(at, status.finished, status.usage.completion_tokens, is_running=is_running)
        self.speed.sample(at, done, _under_way(index.batch, status, lanes, at), status.worked)
        self._note_first_started(store, index, status, is_seen=lanes is not None)
        per_second = self.rate.per_second or self._mean(status, at)
        if per_second is not None:
            status = replace(status, rows_per_s=per_second[0], tokens_per_s=per_second[1])
        if status.state not in _GOING_ON:
            return status
        dispersion = UNKNOWN_DISPERSION if index.dispersion is None else index.dispersion.relative
        left = None if per_second is None else self.speed.left(total, status.work - status.worked, dispersion)
        if left is None and status.worked == 0:
            left = forecast()
        return status if left is None else _ending(status, at, left)

    def _note_first_started(self, store: Store, index: OutcomeIndex, status: BatchStatus, *, is_seen: bool) -> None:
        """Look up when the first row was started, once there are outcomes. `is_seen`: whether the queue was asked.

        In a further round the time is not known, since outcomes of earlier rounds are in the store too.
        """
        if index.round > 1 or self.first_started is not None or not status.worked:
            return
        self.first_started = first_started(store, index.paths)
        if self.first_started is not None:
            self.rate.begin(self.first_started)
            if is_seen:
                self.speed.begin(self.first_started, 0)

    def _mean(self, status: BatchStatus, at: datetime) -> tuple[float, float] | None:
        if self.first_started is None or (elapsed_s := (at - self.first_started).total_seconds()) <= 0:
            return None
        return status.worked / elapsed_s, status.usage.completion_tokens / elapsed_s


def _ending(status: BatchStatus, at: datetime, left: Interval) -> BatchStatus:
    """Return the status with an end in so many seconds. Ends beyond the calendar are left out."""
    try:
        low, end, high = (at + timedelta(seconds=one) for one in (left.low, left.expected, left.high))
    except OverflowError:
        return status
    return replace(status, expected_end=end, expected_end_low=low, expected_end_high=high)


def first_started(store: Store, paths: BatchPaths) -> datetime | None:
    """Return about when the first row of the batch was started; None if no line shows it.

    This time comes from the first lines of each worker's first segments.
    """
    files = list_files(store, paths)
    earliest = sorted(files.alone, key=lambda path: SegmentName.parse(path).n)[:FIRST_SEGMENTS]
    started = [
        outcome.receipt["started_at"]
        for outcome in some_outcomes(store, [*files.compacted[:1], *earliest], FIRST_SEGMENTS)
        if "started_at" in outcome.receipt
    ]
    return min(map(datetime.fromisoformat, started), default=None)


def _work(index: OutcomeIndex, status: BatchStatus) -> tuple[int, int]:
    """Return the expected tokens of the rows that have an outcome, and those of all rows that intake accepted.

    If no row is expected to take a token, each row counts as one.
    """
    total = sum(lane.cost for lane in index.batch.lanes.values())
    return (index.cost, total) if total else (status.worked, status.work)


def _under_way(batch: Batch, status: BatchStatus, lanes: Snapshots | None, at: datetime) -> UnderWay:
    """Return how many rows of a batch engines have begun, and for how long.

    Workers report both for all rows that they hold. A batch is given the part of them that equals its part of the lane's leases.
    If they are not known, the batch counts as one row. Workers that are not heard of any more do not count: others will take
    their rows.
    """
    if lanes is None:
        return UnderWay(1, 0)
    rows = seconds = 0.0
    are_lost = False
    for lane in filter(None, map(lanes.get, batch.lanes)):
        schedule = lane.batches.get(batch.batch_id)
        share = schedule.leased / lane.leased if schedule is not None and lane.leased else 0.0
        alive = [worker for worker in lane.workers if worker.silent_s < SILENT_S]
        are_lost = are_lost or len(alive) < len(lane.workers)
        rows += share * sum(worker.begun for worker in alive)
        seconds += share * sum(worker.begun * (at.timestamp() - worker.began_at) for worker in alive)
    return UnderWay(rows, seconds) if rows or not status.leased or are_lost else UnderWay(1, 0)

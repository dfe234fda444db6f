"""A forecast says when a lane's rows are done by a given crew, as an interval.

Rows are taken by free slots in their order, which is list scheduling (Graham, 1966): no slot waits while rows wait. So the end is
the time until the last row is taken, plus the longest remainder of the rows that run then. By renewal theory (Cox, 1962) a
remainder has the density `P(row > x) / mean`. The time until the last row is taken is the work of all rows, divided by what the
crew does in a second, less what the slots have in hand then. It is a sum of many rows, so it is nearly normal, with a correction
for skewness; its deviation also has what is not known of the mean and of the speed. The distributions
of the two parts are folded, and the interval's ends are quantiles of the sum.

Prompts and completions have a sketch each. The order of rows by time is taken to be the order by either, and their times are then
drawn together until the deviation is the true one, which follows from the sum of products. Without that sum, long prompts are
taken to go with long completions, which errs on the wide side.
Lost workers take away capacity: the time of their successor's start, and the work that their slots had done so far. How many are
lost is a Poisson number, so the forecast is a mixture over it.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

from jobs.planning.backlog import Crew, Lane, Rate
from jobs.planning.intervals import Interval
from jobs.planning.row_times import RowTimes, row_times

LEVEL: Final = 0.90
"""The end of a lane lies within its interval in at least this share of nights, and is later in at most half of the rest."""
_MARGIN: Final = 0.96
"""The level at which the interval is computed: rows longer than all known ones, which no sample shows, take the rest."""
EARLY, LATE = (1 - _MARGIN) / 2, (1 + _MARGIN) / 2
"""The shares of nights that are computed to be over by the low and by the high end of an interval."""
SURE: Final = 0.95
"""A deadline is kept if the rows are done by then in this share of nights."""
_POINTS: Final = 33
"""The time until the last row is taken stands for itself at this many quantiles."""
_GRID: Final = 96
"""The longest remainder stands for itself at this many times."""
_HALVINGS: Final = 22
"""A quantile of the end is found by this many halvings."""
_MANY: Final = 20.0
"""If more workers than this are lost in a night, their number is taken to be normal."""
_NEGLIGIBLE: Final = 1e-3
"""Numbers of losses that are less likely than this together do not count."""
_HOUR_S: Final = 3600.0
_Taken = tuple[float, float]
_NORMAL: Final = NormalDist()
_DEVIATIONS: Final = tuple(_NORMAL.inv_cdf((n + 0.5) / _POINTS) for n in range(_POINTS))


class Forecast:
    """Forecasts of one lane. What follows from its lengths and rates alone is computed once."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self._times: dict[Rate, RowTimes] = {}
        self._logs: dict[tuple[Rate, float, bool], Sequence[float]] = {}

    def end(self, crew: Crew, rows: float | None = None, *, running: bool = False) -> Interval:
        """Return when the lane's first `rows` rows (all by default) are done, in seconds from now.

        `running`: the crew's models are loaded. Without workers the end is infinite. The interval holds the end in `LEVEL` of
        nights.
        """
        low, middle, high = (self.by(crew, rows, share, running=running) for share in (EARLY, 0.5, LATE))
        return Interval(low, middle, high)

    def by(self, crew: Crew, rows: float | None = None, share: float = SURE, *, running: bool = False) -> float:
        """Return the time by which the rows are done in `share` of nights."""
        rows = self.lane.rows if rows is None else rows
        crew = {rate: workers for rate, workers in crew.items() if workers > 0}
        if rows <= 0:
            return 0.0
        return self._end(crew, rows, running=running).quantile(share) if crew else math.inf

    def _end(self, crew: Crew, rows: float, *, running: bool) -> "_End":
        times = {rate: self._times_of(rate) for rate in crew}
        slots = sum(workers * rate.slots for rate, workers in crew.items())
        load_s = 0.0 if running else sum(rate.load_s * n for rate, n in crew.items()) / sum(crew.values())
        at_once = rows <= slots
        longest = max(one.longest for one in times.values())
        logs = [0.0] * _GRID
        for rate, workers in crew.items():
            share = workers * rate.slots * min(1.0, rows / slots)
            for n, log in enumerate(self._logs_of(rate, longest, begun=not at_once)):
                logs[n] += log * share
        grid = _grid(longest)
        chances = [math.exp(log) for log in logs]
        if not at_once:
            return _End(_taken(self.lane, crew, times, rows, load_s), grid, chances)
        # no row waits, so that the longest row is the end, as fast or as slow as the night is
        middle = next((at for at, chance in zip(grid, chances, strict=True) if chance >= 0.5), grid[-1])
        speed = max(rate.spread for rate in crew)
        return _End([(load_s + z * speed * middle, 1 / _POINTS) for z in _DEVIATIONS], grid, chances)

    def _times_of(self, rate: Rate) -> RowTimes:
        if rate not in self._times:
            self._times[rate] = row_times(self.lane.lengths, self.lane.waste, rate)
        return self._times[rate]

    def _logs_of(self, rate: Rate, longest: float, *, begun: bool) -> Sequence[float]:
        """Return the logarithms of the chances that a slot is done with its row, at the times of the grid."""
        key = (rate, longest, begun)
        if key not in self._logs:
            times = self._times_of(rate)
            self._logs[key] = [math.log(max(1e-300, times.done_by(at, begun=begun))) for at in _grid(longest)]
        return self._logs[key]


def end_of(lane: Lane, crew: Crew, rows: float | None = None, *, running: bool = False) -> Interval:
    """Return `Forecast(lane).end(...)`, for callers that ask only once."""
    return Forecast(lane).end(crew, rows, running=running)


def device_seconds(lane: Lane, rate: Rate) -> float:
    """Return the expected seconds of one worker for all rows of the lane, waste included."""
    mean = rate.seconds(lane.lengths.prompt.mean, lane.lengths.completion.mean)
    return lane.rows * mean / (1 - lane.waste)


@dataclass(frozen=True, slots=True)
class _End:
    """The end as the sum of two parts: `taken` are times at which the last row may be taken, in ascending order, each with its
    chance, and `chances` are the chances that all slots are done so many seconds later as `grid` says.
    """

    taken: Sequence[_Taken]
    grid: Sequence[float]
    chances: Sequence[float]

    def quantile(self, share: float) -> float:
        """Return the time by which all is done with the chance `share`."""
        low, high = self.taken[0][0], self.taken[-1][0] + self.grid[-1]
        if self._chance(high) < share:
            return high
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self._chance(middle) < share else (low, middle)
        return max(0.0, high)

    def _chance(self, at: float) -> float:
        """Return the chance that all is done by a time."""
        found = 0.0
        for taken, chance in self.taken:
            after = at - taken
            if after <= 0:
                break  # the times are in order
            n = bisect_right(self.grid, after)
            if n >= len(self.grid):
                found += chance * self.chances[-1]
                continue
            low, high = self.grid[n - 1], self.grid[n]
            part = (after - low) / (high - low)
            found += chance * (self.chances[n - 1] + part * (self.chances[n] - self.chances[n - 1]))
        return found


def _taken(lane: Lane, crew: Crew, times: dict[Rate, RowTimes], rows: float, load_s: float) -> Sequence[_Taken]:
    """Return times at which the last row may be taken, each with its chance: the times of a night without lost workers, and then
    of nights with one, two and so on.
    """
    speed = rate_sum = in_hand = 0.0
    slots = sum(workers * rate.slots for rate, workers in crew.items())
    for rate, workers in crew.items():
        part = workers * rate.slots / times[rate].mean  # rows a second
        speed += part
        rate_sum += part * rate.spread
        in_hand += workers * rate.slots * times[rate].mean_remainder / slots
    expected = rows / speed / (1 - lane.waste)
    known = max(1, lane.lengths.completion.count)
    row = max(times.values(), key=lambda one: one.deviation / one.mean if one.mean else 0.0)
    relative = row.deviation / row.mean if row.mean else 0.0
    variance = relative**2 * (1 / rows + 1 / known) + (rate_sum / speed) ** 2
    variance += lane.waste / (1 - lane.waste) * (1 + relative**2) / rows
    scale = row.skewness * (relative / math.sqrt(variance)) ** 3 if variance else 0.0
    of_rows, of_known = (min(1.0, scale / count**2) for count in (rows, known))
    wider = 1 + 1 / max(2, known)  # the deviation is itself known from a sample (Fisher, 1925)
    deviation = math.sqrt(variance) * expected * wider
    whole = [expected - in_hand + deviation * _moved(z, of_rows, of_known) for z in _DEVIATIONS]
    return sorted(
        (load_s + max(0.0, taken + later), chance / _POINTS)
        for later, chance in _lost(crew, times, expected)
        for taken in whole
    )


def _moved(z: float, of_rows: float, of_known: float) -> float:
    """Return the quantile `z` of a normal distribution, moved for skewness.

    A sum of skewed rows is skewed itself (Cornish and Fisher, 1937). A sample that lacks the longest rows has too low a mean and
    too low a deviation, so the true mean is farther above it than below (Hall, 1992).
    """
    return z + of_rows * (z * z - 1) / 6 + (of_known * (2 * z * z + 1) / 6 if z > 0 else 0.0)


def _lost(crew: Crew, times: dict[Rate, RowTimes], expected: float) -> Sequence[tuple[float, float]]:
    """Return by how many seconds lost workers make it later, with the chance of each: losses come at random (Poisson).

    A loss takes the work that the worker's slots had done, and the time until its successor is up, but no more than is left of
    the night: others do its rows meanwhile.
    """
    workers = sum(crew.values())
    losses = taken = 0.0
    for rate, count in crew.items():
        loss_s = times[rate].mean_remainder
        loss_s += rate.load_s * (1 - rate.load_s / (2 * expected)) if rate.load_s < expected else expected / 2
        mean = count * rate.losses_per_hour / _HOUR_S * expected
        losses += mean
        taken += mean * loss_s
    if not losses:
        return [(0.0, 1.0)]
    later = taken / losses / workers
    losses *= 1 + later * losses / expected / 2  # further workers are lost in the time that it takes longer
    if losses > _MANY:
        spread = [losses + z * math.sqrt(losses) for z in _DEVIATIONS[:: len(_DEVIATIONS) // 8]]
        return [(max(0.0, one) * later, 1 / len(spread)) for one in spread]
    chances = [math.exp(-losses)]
    while sum(chances) < 1 - _NEGLIGIBLE:
        chances.append(chances[-1] * losses / len(chances))
    return [(n * later, chance) for n, chance in enumerate(chances)]


def _grid(longest: float) -> Sequence[float]:
    """Return times from 0 to well beyond the longest row, ever farther apart."""
    top = max(longest, 1e-9) * 4
    return [top * (n / (_GRID - 1)) ** 2 for n in range(_GRID)]

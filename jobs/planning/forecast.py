"""A forecast says when a lane's rows are done by a given crew, as an interval.

Rows are taken by free slots in their order, which is list scheduling (Graham, 1966): no slot waits while rows wait. So the end is
the time in which the crew does all the work, less what the slots still have in hand when the last row is taken, plus the longest
of these remainders. By renewal theory (Cox, 1962) a remainder has the density `P(row > x) / mean`. The work is a sum of many
rows, so it is nearly normal; its deviation also has what is not known of the mean and of the speed. The two parts are joined by
the root of the sum of squares.

Prompts and completions have a sketch each. The order of rows by time is taken to be the order by either, and their times are then
drawn together until the deviation is the true one, which follows from the sum of products. Without that sum, long prompts are
taken to go with long completions, which errs on the wide side.
Lost workers take away capacity: the time of their successor's start, and the work that their slots had done so far.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from jobs.planning.backlog import Crew, Lane, Lengths, Rate
from jobs.planning.intervals import Interval, skewed
from jobs.planning.sketch import Sketch

LEVEL: Final = 0.90
"""The end of a lane lies within its interval in this share of nights."""
MARGIN: Final = 0.95
"""The level at which the parts are computed: what the model leaves out takes the rest."""
_GRID: Final = 64
"""The clock times of rows are read at this many evenly spaced shares, and at finer ones among the longest."""
_TAIL: Final = 0.05
"""The length of rows beyond the longest known one is judged by this share of the known rows, the longest."""
_HALVINGS: Final = 20
"""A quantile of the longest remainder is found by this many halvings."""
_HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class _Spread:
    """The clock time of a row at one rate: its mean, standard deviation, skewness, and `points` with the share of rows of each.

    `again` has, for each point, the share of such rows that fail or lose their worker and start anew.
    """

    mean: float
    deviation: float
    skewness: float
    points: Sequence[float]
    shares: Sequence[float]
    again: Sequence[float]

    @property
    def mean_remainder(self) -> float:
        """The mean of a remainder; also the mean of what a slot has done of its row at a random moment."""
        return (self.mean**2 + self.deviation**2) / (2 * self.mean) if self.mean else 0.0

    def done_by(self, at: float, *, begun: bool) -> float:
        """Return the chance that the row of a slot is done after `at` seconds, started anew included.

        `begun`: the row is the one that is in hand at a random moment, so that a long row is likelier and part of it is done.
        """
        chance = whole = 0.0
        for point, share, again in zip(self.points, self.shares, self.again, strict=True):
            weight = share * point if begun else share
            whole += weight
            if not point:
                chance += weight
                continue
            runs = at / point if begun else float(math.floor(at / point))
            sure = 1 - again ** math.floor(runs)
            chance += weight * (sure + (runs % 1) * (1 - again) * again ** math.floor(runs))
        return chance / whole if whole else 1.0


def end_of(lane: Lane, crew: Crew, rows: int | None = None, *, running: bool = False) -> Interval:
    """Return when the lane's first `rows` rows (all by default) are done, in seconds from now.

    `running`: the crew's models are loaded. Without workers the end is infinite. The interval holds the end in `LEVEL` of nights.
    """
    rows = lane.rows if rows is None else rows
    crew = {rate: workers for rate, workers in crew.items() if workers > 0}
    if not rows:
        return Interval(0.0, 0.0, 0.0)
    if not crew:
        return Interval(math.inf, math.inf, math.inf)
    spreads = {rate: _spread(lane, rate) for rate in crew}
    load_s = 0.0 if running else _mean_start(crew)
    work = _work(lane, crew, spreads, rows)
    in_hand = sum(workers * rate.slots * spreads[rate].mean_remainder for rate, workers in crew.items())
    in_hand /= sum(workers * rate.slots for rate, workers in crew.items())
    slots = sum(workers * rate.slots for rate, workers in crew.items())
    usual = {rate: _spread(lane, rate, rare=False) for rate in crew}  # the longest known row may have been an exception
    tails = [
        _longest(crew, usual, rows, (1 - MARGIN) / 2),
        _longest(crew, spreads, rows, 0.5),
        _longest(crew, spreads, rows, (1 + MARGIN) / 2),
    ]
    if rows <= slots:  # every row starts at once, so that the longest is the end
        low, middle, high = tails
        early, late = middle - low, high - middle
        speed = 2 * max(rate.spread for rate in crew) * middle
        early, late = math.hypot(early, speed), math.hypot(late, speed)
    else:
        middle = work.expected - in_hand + tails[1]
        # rows of one length run in step and end together, which no remainder tells
        early = math.hypot(work.expected - work.low, tails[1] - tails[0], in_hand)
        late = math.hypot(work.high - work.expected, tails[2] - tails[1])
    longest = min(spread.mean for spread in spreads.values())
    return Interval(load_s + max(middle - early, longest), load_s + middle, load_s + middle + late)


def device_seconds(lane: Lane, rate: Rate) -> float:
    """Return the expected seconds of one worker for all rows of the lane, waste included."""
    mean = rate.seconds(lane.lengths.prompt.mean, lane.lengths.completion.mean)
    return lane.rows * mean / (1 - lane.waste)


def _spread(lane: Lane, rate: Rate, *, rare: bool = True) -> _Spread:
    """Return the clock time of the lane's rows at a rate; without `rare`, as if the longest known row would not come again."""
    lengths = lane.lengths
    mean = rate.seconds(lengths.prompt.mean, lengths.completion.mean)
    together = rate.seconds(math.sqrt(lengths.prompt.variance), math.sqrt(lengths.completion.variance))
    deviation = _deviation(lengths, rate)
    narrower = deviation / together if together else 1.0
    shares, places = _grid(lengths.completion.count)
    most = lengths.most_completion or math.inf
    completions = [lengths.completion.quantile(place) for place in places]
    beyond = [min(most, one) for one in _beyond(lengths.completion)]
    prompts = [lengths.prompt.quantile(place) for place in places] + [lengths.prompt.largest] * len(beyond)
    points = [
        rate.slots * max(0.0, mean + narrower * (rate.seconds(prompt, completion) - mean))
        for prompt, completion in zip(prompts, [*completions, *beyond], strict=True)
    ]
    top = shares[-1] / 2  # the longest known row stands for itself and for rows beyond it
    weights = [*shares[:-1], *([top] + [top / len(beyond)] * len(beyond) if rare else [0.0] * (1 + len(beyond)))]
    again = [1 - (1 - lane.waste) * math.exp(-rate.losses_per_hour / _HOUR_S * point) for point in points]
    skewness = max(lengths.prompt.skewness, lengths.completion.skewness)
    return _Spread(rate.slots * mean, rate.slots * deviation, skewness, points, weights, again)


def _deviation(lengths: Lengths, rate: Rate) -> float:
    """Return the standard deviation of a row's seconds; as if long went with long if it is not known how they go together."""
    deviations = [math.sqrt(sketch.variance) for sketch in (lengths.prompt, lengths.completion)]
    together = rate.seconds(*deviations)
    count = lengths.completion.count
    if lengths.products is None or count < 2:
        return together
    covariance = (lengths.products - lengths.prompt.total * lengths.completion.total / count) / (count - 1)
    apart = 2 * (covariance - math.prod(deviations)) / (rate.prompt_tokens_s * rate.completion_tokens_s)
    return math.sqrt(max(0.0, together**2 + apart))


def _grid(count: int) -> tuple[Sequence[float], Sequence[float]]:
    """Return shares of rows, and the place in the order of each: fine at the long end, down to one row of `count`."""
    edges = [n / _GRID for n in range(_GRID)]
    while (left := 1 - edges[-1]) > 1.5 / max(1, count):
        edges.append(edges[-1] + left / 8)
    edges.append(1.0)
    return [after - before for before, after in pairwise(edges)], [(a + b) / 2 for a, b in pairwise(edges)]


def _beyond(sketch: Sketch) -> Sequence[float]:
    """Return lengths above the largest one known, by Hill's tail (1975) over the longest rows.

    They stand for the rows that a sample of this size did not meet; together they have half the weight of the longest known one.
    """
    base = max(1, sketch.quantile(1 - _TAIL))
    logs = [math.log(max(1.0, sketch.quantile(1 - _TAIL * (n + 0.5) / 16) / base)) for n in range(16)]
    index = sum(logs) / len(logs)
    return [sketch.largest * (8 / (n + 0.5)) ** (index / 2) for n in range(8)]


def _work(lane: Lane, crew: Crew, spreads: dict[Rate, _Spread], rows: int) -> Interval:
    """Return the time in which the crew does the work of `rows` rows if no slot is ever idle."""
    speed = rate_sum = variance = lost = 0.0
    for rate, workers in crew.items():
        spread = spreads[rate]
        loss_s = rate.load_s + spread.mean_remainder
        up = 1 / (1 + rate.losses_per_hour / _HOUR_S * loss_s)
        part = workers * rate.slots / spread.mean * up  # rows a second
        speed += part
        rate_sum += part * rate.spread
        lost += workers * rate.losses_per_hour / _HOUR_S * loss_s**2
    expected = rows / speed / (1 - lane.waste)
    known = max(1, lane.lengths.completion.count)
    spread = max(spreads.values(), key=lambda one: one.deviation / one.mean if one.mean else 0.0)
    relative = spread.deviation / spread.mean if spread.mean else 0.0
    variance = relative**2 * (1 / rows + 1 / known) + (rate_sum / speed) ** 2
    variance += 2 * lost * expected / (expected * sum(crew.values())) ** 2 if expected else 0.0
    variance += lane.waste / (1 - lane.waste) * (1 + relative**2) / rows
    third = spread.skewness * relative**3 * (1 / rows**2 + 1 / known**2)
    skewness = third / variance**1.5 if variance else 0.0
    return skewed(expected, expected * math.sqrt(variance), skewness, MARGIN, known - 1)


def _longest(crew: Crew, spreads: dict[Rate, _Spread], rows: int, share: float) -> float:
    """Return the quantile of the longest remainder of all slots; of the longest row if every row starts at once."""
    slots = sum(workers * rate.slots for rate, workers in crew.items())
    begun = rows > slots

    def chance(at: float) -> float:
        """The logarithm of the chance that all slots are done."""
        found = 0.0
        for rate, workers in crew.items():
            done = spreads[rate].done_by(at, begun=begun)
            found += math.log(max(done, 1e-300)) * workers * rate.slots * min(1.0, rows / slots)
        return found

    low, high, wanted = 0.0, max(spread.points[-1] for spread in spreads.values()), math.log(share)
    while chance(high) < wanted:
        low, high = high, high * 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if chance(middle) < wanted else (low, middle)
    return high


def _mean_start(crew: Crew) -> float:
    return sum(rate.load_s * workers for rate, workers in crew.items()) / sum(crew.values())

"""The clock time of rows at one rate: how it is spread, and how likely a slot is done with its row after some time.

A row that is in hand at a random moment is likelier a long one, and part of it is done (Cox, 1962). A row that fails, or whose
worker is lost, starts anew.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from jobs.planning.backlog import Lengths, Rate
from jobs.planning.sketch import Sketch

_GRID: Final = 32
"""The clock times of rows are read at this many evenly spaced shares, and at finer ones among the longest."""
_TAIL: Final = 0.05
"""The length of rows beyond the longest known one is judged by this share of the known rows, the longest."""
_HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class RowTimes:
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
    def longest(self) -> float:
        """The longest time that a row may take, without starting anew."""
        return max(self.points, default=0.0)

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
            failed = again ** math.floor(runs)
            chance += weight * (1 - failed + (runs % 1) * (1 - again) * failed)
        return chance / whole if whole else 1.0


def row_times(lengths: Lengths, waste: float, rate: Rate) -> RowTimes:
    """Return the clock times of rows with these lengths at a rate, if a share `waste` of the work fails."""
    mean = rate.seconds(lengths.prompt.mean, lengths.completion.mean)
    together = rate.seconds(math.sqrt(lengths.prompt.variance), math.sqrt(lengths.completion.variance))
    deviation = _deviation(lengths, rate)
    narrower = deviation / together if together else 1.0
    shares, places = _places(lengths.completion.count)
    most = lengths.most_completion or math.inf
    completions = lengths.completion.quantiles(places)
    beyond = [min(most, one) for one in _beyond(lengths.completion)]
    prompts = [*lengths.prompt.quantiles(places), *[lengths.prompt.largest] * len(beyond)]
    points = [
        rate.slots * max(0.0, mean + narrower * (rate.seconds(prompt, completion) - mean))
        for prompt, completion in zip(prompts, [*completions, *beyond], strict=True)
    ]
    top = shares[-1] / 2  # the longest known row stands for itself and for rows beyond it
    weights = [*shares[:-1], top, *[top / len(beyond)] * len(beyond)]
    again = [1 - (1 - waste) * math.exp(-rate.losses_per_hour / _HOUR_S * point) for point in points]
    skewness = max(lengths.prompt.skewness, lengths.completion.skewness)
    return RowTimes(rate.slots * mean, rate.slots * deviation, skewness, points, weights, again)


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


def _places(count: int) -> tuple[Sequence[float], Sequence[float]]:
    """Return shares of rows, and the place in the order of each: fine at the long end, down to one row of `count`."""
    edges = [n / _GRID for n in range(_GRID)]
    while (left := 1 - edges[-1]) > 1.5 / max(1, count):
        edges.append(edges[-1] + left / 4)
    edges.append(1.0)
    return [after - before for before, after in pairwise(edges)], [(a + b) / 2 for a, b in pairwise(edges)]


def _beyond(sketch: Sketch) -> Sequence[float]:
    """Return lengths above the longest one known, by Hill's tail (1975) over the longest rows.

    They stand for the rows that a sample of this size did not meet; together they have half the weight of the longest known one.
    """
    *places, base = [1 - _TAIL * (n + 0.5) / 16 for n in range(16)] + [1 - _TAIL]
    base, *lengths = sketch.quantiles([base, *reversed(places)])
    logs = [math.log(max(1.0, length / max(1, base))) for length in lengths]
    index = sum(logs) / len(logs)
    return [sketch.largest * (8 / (n + 0.5)) ** (index / 2) for n in range(8)]

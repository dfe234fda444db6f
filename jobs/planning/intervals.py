"""Intervals around sums and means of which only a sample is known.

The ends are normal quantiles, widened for a small sample by the first term of Student's t (Fisher, 1925). Lengths of texts are
skewed to the right, so a sample often misses the longest: the upper end is moved up by the first term of Edgeworth's series, as
in Johnson (1978) and Hall (1992). The lower end is not moved up, which errs on the safe side.
"""

from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Interval:
    """An amount in one unit: `low` and `high` hold the truth at the stated level, and `expected` is the best guess."""

    low: float
    expected: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the width as a share of `expected`; infinite if nothing is expected but something may come."""
        wide = (self.high - self.low) / 2
        if wide <= 0:
            return 0.0
        return wide / self.expected if self.expected > 0 else float("inf")


def two_sided(level: float, freedom: float = float("inf")) -> float:
    """Return the deviation, in standard deviations, that holds a share `level` of a symmetric distribution.

    `freedom` is the number of degrees of freedom behind the standard deviation.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    return z * (1 + (z * z + 1) / (4 * max(1.0, freedom)))


def skewed(expected: float, deviation: float, skewness: float, level: float, freedom: float = float("inf")) -> Interval:
    """Return the interval of an estimate with this standard `deviation` and `skewness`; all but the last two in one unit.

    The lower end is never below 0.
    """
    z = two_sided(level, freedom)
    moved = max(0.0, skewness) * (2 * z * z + 1) / 6
    return Interval(max(0.0, expected - z * deviation), expected, expected + (z + moved) * deviation)

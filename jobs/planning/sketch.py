"""A sketch keeps how numbers are spread, such as the tokens of many rows, in a few hundred exact counts.

It is a histogram whose buckets grow with the values, as in HdrHistogram and DDSketch (Masson, Rim and Lee, 2019). A value below
128 has a bucket of its own. Above that, each power of two is cut into 64 buckets, so a quantile is wrong by at most 1/128 of the
value. DDSketch takes logarithms to find a bucket; here only the bits of integers are read, so every machine finds the same one.
The number of values, their sum and the sum of their squares are exact, so the mean and the variance are those of the values.

Sketches are added bucket by bucket. The sum does not depend on the order or the grouping.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

RELATIVE_ERROR: Final = 1 / 128
"""A quantile differs from the true value by at most this share of it."""
_BITS: Final = 7
_HALF: Final = 1 << (_BITS - 1)


@dataclass(frozen=True, slots=True)
class Sketch:
    """The spread of integers that are 0 or more. `buckets` has the number of values by bucket; no number is 0.

    `total` is the sum of the values, `squares` the sum of their squares, and `largest` the largest value; 0 if there is none.
    """

    buckets: Mapping[int, int] = field(default_factory=dict)
    total: int = 0
    squares: int = 0
    largest: int = 0

    @classmethod
    def of(cls, values: Iterable[int]) -> Self:
        """Make the sketch of `values`. Raises ValueError if one is negative."""
        counts = Counter(values)
        if any(value < 0 for value in counts):
            raise ValueError(f"a sketch holds no negative numbers, and {min(counts)} is one")
        buckets: Counter[int] = Counter()
        for value, count in counts.items():
            buckets[bucket_of(value)] += count
        return cls(
            dict(sorted(buckets.items())),
            sum(value * count for value, count in counts.items()),
            sum(value * value * count for value, count in counts.items()),
            max(counts, default=0),
        )

    def __add__(self, other: "Sketch") -> "Sketch":
        buckets = Counter(self.buckets)
        buckets.update(other.buckets)
        return Sketch(
            dict(sorted(buckets.items())),
            self.total + other.total,
            self.squares + other.squares,
            max(self.largest, other.largest),
        )

    @property
    def count(self) -> int:
        """The number of values."""
        return sum(self.buckets.values())

    @property
    def mean(self) -> float:
        """The exact mean; 0 if there are no values."""
        return self.total / self.count if self.buckets else 0.0

    @property
    def variance(self) -> float:
        """The exact variance of a sample (divided by one less than the number of values); 0 if there are fewer than two."""
        count = self.count
        return (count * self.squares - self.total**2) / (count * (count - 1)) if count > 1 else 0.0

    @property
    def skewness(self) -> float:
        """The third standardised moment, from the middles of the buckets; 0 if all values are equal."""
        if (variance := self.variance) <= 0:
            return 0.0
        mean = self.mean
        cubes = sum(count * (_middle(bucket) - mean) ** 3 for bucket, count in self.buckets.items())
        return float(cubes / self.count / variance**1.5)

    def quantile(self, share: float) -> int:
        """Return the value at the rank `ceil(share * count)`, within `RELATIVE_ERROR`; 0 if there are no values.

        `share` is from 0 to 1; 1 gives the largest value exactly.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"a share is from 0 to 1, and {share} is not")
        rank = max(1, math.ceil(share * (count := self.count)))
        if rank >= count:
            return self.largest
        seen = 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= rank:
                return min(_middle(bucket), self.largest)
        return self.largest

    def as_dict(self) -> dict[str, Any]:
        """Return the sketch as JSON: integers by name, and the buckets as pairs."""
        pairs = [[bucket, count] for bucket, count in sorted(self.buckets.items())]
        return {"buckets": pairs, "total": self.total, "squares": self.squares, "largest": self.largest}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what `as_dict` made. Raises KeyError, TypeError or ValueError for other JSON."""
        buckets = {int(bucket): int(count) for bucket, count in values["buckets"]}
        if any(bucket < 0 or count < 1 for bucket, count in buckets.items()):
            raise ValueError("a bucket or its count is out of range")
        return cls(buckets, int(values["total"]), int(values["squares"]), int(values["largest"]))


def bucket_of(value: int) -> int:
    """Return the number of the bucket that holds `value`, which is 0 or more."""
    shift = max(0, value.bit_length() - _BITS)
    return shift * _HALF + (value >> shift)


def _middle(bucket: int) -> int:
    """Return the value in the middle of a bucket."""
    shift = max(0, bucket // _HALF - 1)
    return ((bucket - shift * _HALF) << shift) + ((1 << shift) >> 1)

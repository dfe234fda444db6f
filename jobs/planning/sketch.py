"""A sketch keeps how numbers are spread, such as the tokens of many rows, in a few hundred exact counts.

It is a histogram whose buckets grow with the values, as in HdrHistogram and DDSketch (Masson, Rim and Lee, 2019). A value below
32 has a bucket of its own. Above that, each power of two is cut into 16 buckets, so a quantile is wrong by at most 1/32 of the
value, and a thousand million million values have at most 800 buckets. DDSketch takes logarithms to find a bucket; here only the
bits of integers are read, so every machine finds the same one. The number of values, their sum and the sum of their squares are
exact, so the mean and the variance are those of the values.

Sketches are added and subtracted bucket by bucket. The sum does not depend on the order or the grouping, and a difference that is
added again gives the very sketch that it was taken from. So a difference may hold counts below 0.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, Self

RELATIVE_ERROR: Final = 1 / 32
"""A quantile differs from the true value by at most this share of it."""
BITS: Final = 5
"""A bucket is known by its value's highest bit and the `BITS - 1` bits behind it."""
_HALF: Final = 1 << (BITS - 1)


@dataclass(frozen=True, slots=True)
class Sketch:
    """The spread of integers that are 0 or more. `buckets` has the number of values by bucket; no number is 0.

    `total` is the sum of the values, and `squares` the sum of their squares.
    """

    buckets: Mapping[int, int] = field(default_factory=dict)
    total: int = 0
    squares: int = 0

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
        )

    def __add__(self, other: "Sketch") -> "Sketch":
        return self._joined(other, 1)

    def __sub__(self, other: "Sketch") -> "Sketch":
        return self._joined(other, -1)

    def _joined(self, other: "Sketch", sign: int) -> "Sketch":
        buckets = dict(self.buckets)
        for bucket, count in other.buckets.items():
            buckets[bucket] = buckets.get(bucket, 0) + sign * count
        kept = {bucket: count for bucket, count in sorted(buckets.items()) if count}
        return Sketch(kept, self.total + sign * other.total, self.squares + sign * other.squares)

    @property
    def count(self) -> int:
        """The number of values."""
        return sum(self.buckets.values())

    @property
    def mean(self) -> float:
        """The exact mean; 0 if there are no values."""
        return self.total / count if (count := self.count) else 0.0

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
        cubes = sum(count * (middle_of(bucket) - mean) ** 3 for bucket, count in self.buckets.items())
        return float(cubes / self.count / variance**1.5)

    @property
    def largest(self) -> int:
        """The largest value, within `RELATIVE_ERROR`; 0 if there are no values."""
        return middle_of(max(self.buckets)) if self.buckets else 0

    def quantile(self, share: float) -> int:
        """Return the value at the rank `ceil(share * count)`, within `RELATIVE_ERROR`; 0 if there are no values.

        `share` is from 0 to 1.
        """
        return self.quantiles([share])[0]

    def quantiles(self, shares: Sequence[float]) -> Sequence[int]:
        """Return the quantiles of several shares, which are given in ascending order. It reads the buckets once."""
        if any(not 0 <= share <= 1 for share in shares):
            raise ValueError(f"a share is from 0 to 1, and one of {shares} is not")
        count, seen, found = self.count, 0, 0
        buckets = iter(sorted(self.buckets.items()))
        values = []
        for share in shares:
            rank = min(count, max(1, math.ceil(share * count)))
            while seen < rank and (bucket := next(buckets, None)) is not None:
                seen += bucket[1]
                found = middle_of(bucket[0])
            values.append(found)
        return values

    def scaled(self, factor: float) -> "Sketch":
        """Return the sketch as if each value were `factor` times as large, in buckets as exact as those of this one."""
        buckets: Counter[int] = Counter()
        for bucket, count in self.buckets.items():
            buckets[bucket_of(round(middle_of(bucket) * factor))] += count
        return Sketch(dict(sorted(buckets.items())), round(self.total * factor), round(self.squares * factor * factor))

    def as_dict(self) -> dict[str, Any]:
        """Return the sketch as JSON: bucket, count, bucket, count and so on; the squares as text, since they may pass 64 bits."""
        pairs = list(chain.from_iterable(sorted(self.buckets.items())))
        return {"buckets": pairs, "total": self.total, "squares": str(self.squares)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what `as_dict` made. Raises KeyError, TypeError or ValueError for other JSON."""
        pairs = [int(number) for number in values["buckets"]]
        if len(pairs) % 2 or any(bucket < 0 for bucket in pairs[::2]) or not all(pairs[1::2]):
            raise ValueError("a bucket or its count is out of range")
        return cls(dict(zip(pairs[::2], pairs[1::2], strict=True)), int(values["total"]), int(values["squares"]))


def bucket_of(value: int) -> int:
    """Return the number of the bucket that holds `value`, which is 0 or more."""
    shift = max(0, value.bit_length() - BITS)
    return shift * _HALF + (value >> shift)


def middle_of(bucket: int) -> int:
    """Return the value in the middle of a bucket."""
    shift = max(0, bucket // _HALF - 1)
    return ((bucket - shift * _HALF) << shift) + ((1 << shift) >> 1)

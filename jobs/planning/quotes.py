"""A quote says how many tokens a batch takes, from a sample of its rows.

Rows are sampled by stratum (kind, model and template), in rounds, until the 95 % interval of the whole is 10 % to each side. A
stratum gives at least 64 rows, or all that it has. Each further round is divided by Neyman's rule (1934): a stratum gets rows in
proportion to its size times its spread, since that lowers the variance of the whole the most. A round at most doubles the sample,
as the spread is itself a guess. If the limit of sampled rows comes first, the quote says that the aim was not reached.

No sample shows rows that are huge and rare: if one row in a thousand is fifty times as long, most samples hold none. The bound
from `max_tokens` therefore stands beside the interval: no batch takes more.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from jobs.planning.intervals import Interval, skewed, two_sided
from jobs.planning.sketch import Sketch

LEVEL: Final = 0.95
"""The interval of a quote holds the truth in this share of batches."""
MARGIN: Final = 0.97
"""The ends are quantiles of this share. Sampling ends when the interval looks narrow, so it ends too early when it looks narrower
than it is (Chow and Robbins, 1965). `scripts/bench/nights/quotes.py` shows that `LEVEL` is kept.
"""
HALF_WIDTH: Final = 0.10
"""Sampling ends when half the interval's width is at most this share of the expected tokens."""
LEAST_ROWS: Final = 64
"""A stratum gives at least this many rows, or all that it has."""
MOST_ROWS: Final = 4096
"""Sampling ends, reached or not, when another round would bring the sample above this many rows."""
MOST_SHARE: Final = 4
"""A sample has at most one row in this many, or the rows of its first round if these are more."""


class Key(NamedTuple):
    """The rows of one stratum have one kind, model and template. `template` is the shortened hash."""

    kind: str
    model: str
    template: str


@dataclass(frozen=True, slots=True)
class Stratum:
    """The rows of one key: their number, and `bound`, the most tokens that all of them together may take."""

    rows: int
    bound: int


LARGE_SHARE: Final = 0.05
"""From this share in the amount of the sample on, a single row is a sign of rows that are rare and huge."""

Measure = tuple[Mapping[Key, Stratum], Mapping[Key, Sketch]]
"""An amount of a batch, such as tokens: its strata, and the sketches of the sampled rows by the keys of these."""


@dataclass(frozen=True, slots=True)
class Quote:
    """The tokens of a whole batch, sampled rows included. `bound` is the most that it may take, whatever the sample.

    `reached` says whether the interval is as narrow as was asked; `sampled` is the number of rows behind it.
    """

    tokens: Interval
    bound: int
    sampled: int
    reached: bool


def quote(strata: Mapping[Key, Stratum], samples: Mapping[Key, Sketch], half_width: float = HALF_WIDTH) -> Quote:
    """Return what a batch takes, given the tokens of its sampled rows. Raises ValueError if a sample holds too many rows."""
    expected = variance = third = 0.0
    freedom = float("inf")
    sampled = 0
    full = True
    for key, stratum in strata.items():
        sample = samples.get(key, Sketch())
        count, rest = sample.count, stratum.rows - sample.count
        if rest < 0:
            raise ValueError(f"{count} rows of {key} were sampled, and it has only {stratum.rows}")
        sampled += count
        full = full and count >= min(LEAST_ROWS, stratum.rows)
        expected += sample.mean * stratum.rows
        if rest:  # the sampled rows are known; the others have the variance of a mean and of a sum
            variance += sample.variance * rest * stratum.rows / max(1, count)
            third += sample.skewness * sample.variance**1.5 * rest**3 / max(1, count) ** 2
            freedom = min(freedom, count - 1)
    bound = sum(stratum.bound for stratum in strata.values())
    skewness = third / variance**1.5 if variance > 0 else 0.0
    tokens = skewed(expected, math.sqrt(variance), skewness, MARGIN, freedom)
    tokens = Interval(*(min(end, bound) for end in (tokens.low, tokens.expected, tokens.high)))
    return Quote(tokens, bound, sampled, full and tokens.half_width <= half_width)


def next_round(
    strata: Mapping[Key, Stratum],
    samples: Mapping[Key, Sketch],
    *,
    half_width: float = HALF_WIDTH,
    most_rows: int = MOST_ROWS,
) -> Mapping[Key, int]:
    """Return how many further rows to sample from each stratum. Empty: the sampling is over, and `quote` says whether it reached.

    The first round is not limited by `most_rows`, so that no stratum is without a sample.
    """
    missing = {key: min(LEAST_ROWS, one.rows) - _sample(samples, key).count for key, one in strata.items()}
    if first := {key: rows for key, rows in missing.items() if rows > 0}:
        return first
    now = quote(strata, samples, half_width)
    left = most_rows - now.sampled
    if now.reached or left <= 0:
        return {}
    spreads = {key: one.rows * math.sqrt(_sample(samples, key).variance) for key, one in strata.items()}
    aim = half_width * now.tokens.expected / two_sided(MARGIN)
    needed = math.ceil((sum(spreads.values()) / aim) ** 2) if aim > 0 else 0
    # half as many again at least, since the skewness too must become less
    whole = min(max(needed, now.sampled * 3 // 2), 2 * now.sampled, most_rows)
    shares = _divided(whole, list(spreads.values()))
    further = {
        key: min(share, strata[key].rows) - _sample(samples, key).count
        for key, share in zip(spreads, shares, strict=True)
    }
    if chosen := {key: rows for key, rows in further.items() if rows > 0}:
        return _within(chosen, left)
    # every stratum has its share: the rest goes where rows are left
    rest = {key: one.rows - _sample(samples, key).count for key, one in strata.items()}
    return _within({key: min(rows, LEAST_ROWS) for key, rows in rest.items() if rows and spreads[key]}, left)


def further_rows(measures: Sequence[Measure], most_rows: int) -> Mapping[Key, int]:
    """Return how many further rows to sample so that several amounts are known: as many as any of them needs.

    Empty: the sampling is over.
    """
    wanted: dict[Key, int] = {}
    for strata, samples in measures:
        for key, rows in next_round(strata, samples, most_rows=most_rows).items():
            wanted[key] = max(rows, wanted.get(key, 0))
    return wanted


def most_sampled(rows: Iterable[int]) -> int:
    """Return how many rows a sample may have, given the rows of each stratum: a share of them, or those of the first round."""
    counts = list(rows)
    return max(sum(min(count, LEAST_ROWS) for count in counts), min(MOST_ROWS, sum(counts) // MOST_SHARE))


def _sample(samples: Mapping[Key, Sketch], key: Key) -> Sketch:
    return samples.get(key) or Sketch()


def _divided(whole: int, weights: Sequence[float]) -> list[int]:
    """Divide `whole` in proportion to `weights`, each share rounded up."""
    total = sum(weights)
    return [math.ceil(whole * weight / total) if total else 0 for weight in weights]


def _within(chosen: Mapping[Key, int], left: int) -> Mapping[Key, int]:
    """Cut the shares so that they sum up to at most `left`."""
    cut = {}
    for key, rows in chosen.items():
        if took := min(rows, left):
            cut[key] = took
            left -= took
    return cut

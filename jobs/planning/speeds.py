"""Speeds are what a token takes on a device, found by least squares from the sizes of rows that were run there.

A row's device time is nearly `prompt tokens * a + completion tokens * b`, since an engine divides the time of each step among its
requests by what they computed. Both figures come from sums that the accounts keep, so no row is read again. If the rows are too
much alike to tell the two apart, completion tokens alone explain the time. The figures are then corrected so that they give the
very time that the rows took together.

Nights differ, since machines and mixtures do. The spread is the standard deviation between nights of true over expected time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NamedTuple, Self

from jobs.planning.backlog import Rate
from jobs.planning.sizes import Sizes

UNKNOWN_SPREAD: Final = 0.15
"""The spread between nights that is taken as long as fewer than `KNOWN_NIGHTS` are known."""
KNOWN_NIGHTS: Final = 5
"""The spread between nights is measured from this many nights on."""
NIGHT_ROWS: Final = 20
"""A night of fewer rows says nothing about the spread between nights."""
NS: Final = 1_000_000_000
_FREE: Final = 1e12
"""The speed, in tokens a second, of tokens that take no time."""
_ALIKE: Final = 1e-6
"""Prompts and completions are too much alike to be told apart if their determinant is below this share of its largest value."""


class Moments(NamedTuple):
    """Sums over rows: their number, prompt tokens, completion tokens and nanoseconds, and sums of products of these."""

    rows: int = 0
    prompt: int = 0
    completion: int = 0
    ns: int = 0
    prompt_prompt: int = 0
    completion_completion: int = 0
    prompt_completion: int = 0
    prompt_ns: int = 0
    completion_ns: int = 0

    @classmethod
    def of(cls, sizes: Sizes) -> Self:
        """Return the sums of some sizes."""
        prompt, completion = sizes.prompt, sizes.completion
        sums = (sizes.rows, prompt.total, completion.total, sizes.device_ns.total)
        products = (prompt.squares, completion.squares, sizes.prompt_completion, sizes.prompt_ns, sizes.completion_ns)
        return cls(*sums, *products)

    def plus(self, other: "Moments") -> "Moments":
        """Return the sums of both."""
        return Moments(*(left + right for left, right in zip(self, other, strict=True)))


@dataclass(frozen=True, slots=True)
class Speed:
    """What tokens take on one device, in seconds each, by `rows` rows of `nights` nights. `spread` is that between nights."""

    prompt_s: float
    completion_s: float
    rows: int
    nights: int
    spread: float

    def rate(
        self,
        device: str,
        slots: int,
        devices: Fraction = Fraction(1),
        load_s: float = 0.0,
        losses_per_hour: float = 0.0,
    ) -> Rate:
        """Return the speed as the rate of a worker with `slots` slots."""
        return Rate(
            device,
            1 / self.prompt_s if self.prompt_s * _FREE > 1 else _FREE,
            1 / self.completion_s if self.completion_s * _FREE > 1 else _FREE,
            slots,
            self.spread,
            devices,
            load_s,
            losses_per_hour,
        )


def speed_of(nights: Sequence[Moments]) -> Speed | None:
    """Return the speed that rows of several nights show on one device; None if they show none, since no time was measured."""
    known = Moments()
    for night in nights:
        known = known.plus(night)
    if known.rows <= 0 or known.ns <= 0 or known.prompt + known.completion <= 0:
        return None
    prompt_ns, completion_ns = _least_squares(known)
    expected = prompt_ns * known.prompt + completion_ns * known.completion
    prompt_ns, completion_ns = (one * known.ns / expected for one in (prompt_ns, completion_ns))
    ratios = [
        (night.ns / expected, night.ns)
        for night in nights
        if night.rows >= NIGHT_ROWS
        and (expected := prompt_ns * night.prompt + completion_ns * night.completion) > 0
        and night.ns > 0
    ]
    return Speed(prompt_ns / NS, completion_ns / NS, known.rows, len(ratios), _spread(ratios))


def _least_squares(known: Moments) -> tuple[float, float]:
    """Return the nanoseconds of a prompt token and of a completion token; neither is below 0, and not both are 0."""
    squares = known.prompt_prompt * known.completion_completion
    determinant = squares - known.prompt_completion**2
    if squares > 0 and determinant > _ALIKE * squares:
        prompt = (
            known.prompt_ns * known.completion_completion - known.completion_ns * known.prompt_completion
        ) / determinant
        completion = (
            known.completion_ns * known.prompt_prompt - known.prompt_ns * known.prompt_completion
        ) / determinant
        if prompt > 0 or completion > 0:
            return max(0.0, prompt), max(0.0, completion)
    return (0.0, 1.0) if known.completion else (1.0, 0.0)


def _spread(ratios: Sequence[tuple[float, int]]) -> float:
    """Return the standard deviation between nights of true over expected time; each counts by the square root of its time."""
    if len(ratios) < KNOWN_NIGHTS:
        return UNKNOWN_SPREAD
    weights = [math.sqrt(time) for _, time in ratios]
    mean = sum(ratio * weight for (ratio, _), weight in zip(ratios, weights, strict=True)) / sum(weights)
    squares = sum((ratio - mean) ** 2 * weight for (ratio, _), weight in zip(ratios, weights, strict=True))
    return math.sqrt(squares / sum(weights) * len(ratios) / (len(ratios) - 1)) / mean

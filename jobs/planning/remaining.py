"""In how many seconds the rest of a batch is done, as an interval, from what its own rows have shown so far.

The work that is left is known in expected tokens, and the speed from the rows that have ended: expected tokens a second for each
row under way. The speed is wrong as far as rows differ in what they take for an expected token, and by how machines vary. At the
beginning, the rows that have ended are the ones that took less than expected, so the true speed is lower; how much lower at
worst, the rows under way tell: they have taken their seconds and ended nothing. At the end, slots run out of rows one by one.
"""

import math
from dataclasses import dataclass
from typing import Final

from jobs.planning.intervals import Interval, two_sided

LEVEL: Final = 0.90
"""The end lies within the interval 9 times of 10."""
_MARGIN: Final = 0.95
"""The level at which the interval is computed: changes of the crew take the rest."""
DRIFT: Final = 0.04
"""The speed of the hours to come differs from the one so far by this share (one standard deviation)."""
UNKNOWN_DISPERSION: Final = 0.6
"""How far rows differ in what they take for an expected token, as long as fewer than `_KNOWN` rows have ended."""
_KNOWN: Final = 8


@dataclass(slots=True)
class Dispersion:
    """How far rows differ in the tokens that they take for each expected one, by sums over the rows that have ended."""

    rows: int = 0
    expected_squares: int = 0
    products: int = 0
    squares: int = 0
    expected: int = 0
    tokens: int = 0

    def add(self, expected: int, tokens: int) -> None:
        """Count a row that was expected to take so many tokens."""
        self.rows += 1
        self.expected += expected
        self.tokens += tokens
        self.expected_squares += expected * expected
        self.products += expected * tokens
        self.squares += tokens * tokens

    @property
    def relative(self) -> float:
        """The standard deviation of a row's tokens about what is expected, as a share of their mean; wide if few are known."""
        if self.rows < _KNOWN or not self.tokens or not self.expected:
            return UNKNOWN_DISPERSION
        ratio = self.tokens / self.expected
        squares = self.squares - 2 * ratio * self.products + ratio * ratio * self.expected_squares
        return math.sqrt(max(0.0, squares) / (self.rows - 1)) / (self.tokens / self.rows)


@dataclass(frozen=True, slots=True)
class Pace:
    """What a batch has shown. `ended` rows of `done` expected tokens were under way for `ended_s` seconds together.

    `slots` rows are under way now, since `seconds` seconds together. `dispersion` is `Dispersion.relative`.
    """

    ended: int
    done: float
    ended_s: float
    slots: float
    seconds: float
    dispersion: float


def left_s(pace: Pace, rows: int, work: float) -> Interval:
    """Return in how many seconds `rows` rows without an outcome are done, which are expected to take `work` tokens.

    As many rows as now stay under way, as long as there are enough. `done` and `slots` must be above 0.
    """
    speed = pace.done / pace.ended_s
    left = max(0.0, work - speed * pace.seconds) / (speed * pace.slots)
    mean = work / max(1, rows) / speed
    ended, spread = max(1, pace.ended), pace.dispersion
    relative = math.sqrt(spread * spread * (1 / ended + 1 / max(1, rows)) + DRIFT * DRIFT)
    z = two_sided(_MARGIN, ended)
    # if the rows under way were no nearer to their end than when they began, and all were slow
    begun = pace.seconds / (pace.ended_s + pace.seconds)
    unseen = left * begun / (1 - begun) if begun < 1 else left
    running = min(float(rows), pace.slots)
    longest = mean * (0.6 + 1.6 * spread * math.sqrt(2 * math.log(max(2.0, running))))
    early = 0.8 * z * relative * left
    late = math.hypot(z * relative * left, longest, unseen)
    return Interval(max(0.0, left - early), left, left + late)

"""The vocabulary of a plan: the rows that wait on a lane, the workers that do them, and what is known of both.

All times are seconds since the moment of the plan, so nothing here reads a clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from jobs.planning.sketch import Sketch


@dataclass(frozen=True, slots=True)
class Lengths:
    """The lengths of rows in tokens: sketches of prompts and of completions over the same rows, already run or sampled.

    `most_completion` is the most tokens that a completion may have, by `max_tokens`; None if there is no such limit.
    `products` is the sum over rows of prompt times completion tokens, which tells how the two go together; None if not kept.
    """

    prompt: Sketch
    completion: Sketch
    most_completion: int | None = None
    products: int | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """The rows of one batch that are not done. `deadline_s` and `publish_at_s` are seconds from now; None if there is none.

    `budget` is what the batch may still be charged on all its lanes, in billionths of the currency; None if it has no budget.
    """

    batch_id: str
    rows: int
    deadline_s: float | None = None
    publish_at_s: float = 0.0
    budget: int | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """The backlog of one model. `waste` is the share of device time that brings no outcome, such as failed attempts: 0 to 1."""

    model: str
    lengths: Lengths
    waiting: tuple[Waiting, ...]
    waste: float = 0.0

    @property
    def rows(self) -> int:
        """The rows of all batches."""
        return sum(one.rows for one in self.waiting)

    @property
    def due_s(self) -> float | None:
        """The latest deadline that still keeps every batch's own: the earliest of them; None if no batch has one."""
        return min((one.deadline_s for one in self.waiting if one.deadline_s is not None), default=None)


@dataclass(frozen=True, slots=True)
class Rate:
    """The measured speed of one worker of a model on a device, with all slots full.

    A row takes `prompt / prompt_tokens_s + completion / completion_tokens_s` seconds of the worker, and `slots` times as long
    on the clock, since so many rows share it. `spread` is the standard deviation of the speed between nights, as a share of it.
    `devices` is the number of devices of a worker, which may be a fraction. `load_s` is the time from a start to the first row.
    `losses_per_hour` is how often a worker is lost; another takes its place `load_s` later.
    """

    device: str
    prompt_tokens_s: float
    completion_tokens_s: float
    slots: int
    spread: float = 0.0
    devices: Fraction = Fraction(1)
    load_s: float = 0.0
    losses_per_hour: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError if a figure makes no sense."""
        if self.devices <= 0 or min(self.prompt_tokens_s, self.completion_tokens_s, self.slots) <= 0:
            raise ValueError(f"the rate of {self.device!r} needs tokens a second, slots and devices above 0")
        if min(self.spread, self.load_s, self.losses_per_hour) < 0:
            raise ValueError(f"the rate of {self.device!r} has a negative spread, load_s or losses_per_hour")

    def seconds(self, prompt: float, completion: float) -> float:
        """Return the seconds of the worker that this many tokens take."""
        return prompt / self.prompt_tokens_s + completion / self.completion_tokens_s


Crew = Mapping[Rate, int]
"""The workers of a lane: how many of them run at each rate. Each device has a rate of its own."""

"""Compares forecasts and least numbers of workers with simulated nights. Nothing is started: the simulation is of events.

    python scripts/bench/nights/planning.py [--nights 200] [--seed 1]

A night has rows with lengths of one or of several sorts (lognormal, the spread of each drawn too), a device with its slots,
failing attempts, and workers that are lost and replaced. The plan sees lengths of earlier rows and the measured speed; the true
speed differs by a few per cent. Rows are taken by free slots in their order, as a lane does. A row takes the same time whoever
runs beside it, as in the stub engine with a fixed time for each step.

The true least number of workers is the first with which the simulated night is in time. The plan's number is safe: with it the
high end of the interval is in time. The number by the expected end is compared too.
"""

import argparse
import heapq
import math
import random
import sys
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[3]))

from jobs.planning.backlog import Lane, Lengths, Rate, Waiting
from jobs.planning.fleet_plan import least_workers
from jobs.planning.forecast import end_of
from jobs.planning.sketch import Sketch

Row = tuple[int, int]
"""The prompt and completion tokens of a row."""

MOST_TOKENS: Final = 8192


@dataclass(frozen=True)
class Night:
    """What is simulated: the lane as the plan sees it, the rows as they are, the rate as measured and the true share of it."""

    lane: Lane
    rows: Sequence[Row]
    rate: Rate
    speed: float
    workers: int
    seed: int


@dataclass(frozen=True)
class Found:
    """How one night compares with its plan. `off` is the least number of workers as planned, less the true one.

    `off_as_expected` is the same for the least number whose expected end, not whose high end, is in time.
    """

    held: bool
    width: float
    off: int
    off_as_expected: int


def lengths(chance: random.Random, sorts: int) -> Callable[[], Row]:
    """Return a source of rows of this many sorts, each with its own lognormal lengths."""
    shapes = [
        (chance.uniform(4, 7), chance.uniform(0.2, 0.8), chance.uniform(4, 6.5), chance.uniform(0.3, 1.2))
        for _ in range(sorts)
    ]

    def draw() -> Row:
        prompt_mean, prompt_spread, mean, spread = chance.choice(shapes)
        prompt = int(chance.lognormvariate(prompt_mean, prompt_spread)) + 1
        return min(prompt, MOST_TOKENS), min(int(chance.lognormvariate(mean, spread)) + 1, MOST_TOKENS)

    return draw


def night(seed: int) -> Night:
    """Draw a night: 1,000 to 6,000 rows of one to three sorts, 200 to 2,000 known rows, 1 to 12 workers."""
    chance = random.Random(seed)
    draw = lengths(chance, chance.choice((1, 1, 2, 3)))
    known = [draw() for _ in range(chance.randint(200, 2000))]
    rows = [draw() for _ in range(chance.randint(1000, 6000))]
    slots = chance.choice((4, 8, 16, 32))
    rate = Rate(
        device=chance.choice(("NVIDIA L4", "NVIDIA H100", "cpu")),
        prompt_tokens_s=chance.uniform(500, 20_000),
        completion_tokens_s=chance.uniform(50, 3000),
        slots=slots,
        spread=chance.choice((0.0, 0.02, 0.05)),
        load_s=chance.uniform(5, 120),
        losses_per_hour=chance.choice((0.0, 0.0, 0.2, 1.0)),
    )
    prompts, completions = (Sketch.of(column) for column in zip(*known, strict=True))
    sketches = Lengths(prompts, completions, MOST_TOKENS, sum(prompt * completion for prompt, completion in known))
    waste = chance.choice((0.0, 0.0, 0.02, 0.1))
    lane = Lane("model", sketches, (Waiting("batch", len(rows)),), waste)
    speed = max(0.5, chance.gauss(1, rate.spread))
    return Night(lane, rows, rate, speed, chance.randint(1, 12), seed)


def simulated_end(night: Night, workers: int) -> float:
    """Return when the last row is done, in seconds, by a simulation of events with this many workers."""
    chance = random.Random(night.seed + 1_000_003)
    rate = night.rate
    queue = deque(night.rows)
    losses = [Losses(random.Random(f"{night.seed}/{n}"), rate.losses_per_hour / 3600) for n in range(workers)]
    free = [(rate.load_s, n) for n in range(workers) for _ in range(rate.slots)]
    returned: list[tuple[float, Row]] = []
    end = 0.0
    heapq.heapify(free)
    while queue or returned:
        at, worker = heapq.heappop(free)
        if returned and (returned[0][0] <= at or not queue):
            back, row = heapq.heappop(returned)
            at = max(at, back)
        else:
            row = queue.popleft()
        took = rate.slots * rate.seconds(*row) / night.speed
        lost = losses[worker].next_after(at)
        if at + took > lost:
            heapq.heappush(returned, (lost, row))
            heapq.heappush(free, (lost + rate.load_s, worker))
            continue
        heapq.heappush(free, (at + took, worker))
        if chance.random() < night.lane.waste:
            heapq.heappush(returned, (at + took, row))
            continue
        end = max(end, at + took)
    return end


@dataclass
class Losses:
    """The moments at which one worker's place loses its worker."""

    chance: random.Random
    rate: float

    def __post_init__(self) -> None:
        self.moments: list[float] = []

    def next_after(self, at: float) -> float:
        """Return the first loss after `at`; infinite if there are none."""
        if not self.rate:
            return math.inf
        while not self.moments or self.moments[-1] <= at:
            self.moments.append((self.moments or [0.0])[-1] + self.chance.expovariate(self.rate))
        return next(moment for moment in self.moments if moment > at)


def compare(night: Night) -> Found:
    """Simulate a night and compare it with its plan."""
    planned = end_of(night.lane, {night.rate: night.workers})
    end = simulated_end(night, night.workers)
    held = planned.low <= end <= planned.high
    deadline = end * random.Random(night.seed + 7).uniform(1.0, 1.3)
    due = Lane("model", night.lane.lengths, (Waiting("batch", len(night.rows), deadline),), night.lane.waste)
    least = least_workers(due, night.rate) or 0
    true = next((n for n in range(1, 40) if simulated_end(night, n) <= deadline), 40)
    likely = least_workers(due, night.rate, sure=False) or 0
    return Found(held, planned.half_width, least - true, likely - true)


def main() -> None:
    """Run the comparison and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    if asked.nights:
        found = [compare(night(asked.seed * 100_000 + n)) for n in range(asked.nights)]
        held = sum(one.held for one in found) / asked.nights
        width = sorted(one.width for one in found)[asked.nights // 2]
        print(f"{asked.nights} nights: the end lies in the interval in {held:.1%}; median half-width {width:.1%}")
        for name, offs in (
            ("safe", [one.off for one in found]),
            ("expected", [one.off_as_expected for one in found]),
        ):
            near = sum(abs(off) <= 1 for off in offs) / asked.nights
            enough = sum(off >= 0 for off in offs) / asked.nights
            print(
                f"least workers ({name}): within one {near:.1%}, enough {enough:.1%}",
                dict(sorted(Counter(offs).items())),
            )


if __name__ == "__main__":
    main()

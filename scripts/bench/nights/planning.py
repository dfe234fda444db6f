"""Compares forecasts and least numbers of workers with simulated nights. Nothing is started: the simulation is of events.

    python scripts/bench/nights/planning.py [--nights 200] [--least 200] [--seed 1] [--short] [--world]

A night has rows with lengths of one or of several sorts (lognormal, the spread of each drawn too), a device with its slots,
failing attempts, and workers that are lost and replaced. The plan sees lengths of earlier rows and the measured speed; the true
speed differs by a few per cent. Rows are taken by free slots in their order, as a lane does. A row takes the same time whoever
runs beside it, as in the stub engine with a fixed time for each step. With `--short` a night has 1,000 to 6,000 rows whatever its
slots, so that some slots run only five rows and the longest row decides; otherwise each slot runs 60 to 150, as in hours of work.

The least number of workers is compared with the one that repeated simulation finds: the first with which at least 95 of 100
nights are in time. The simulation knows what the plan knows, so each of its nights draws rows anew from the earlier ones, with
random weights (the Bayesian bootstrap, Rubin 1981), a speed, failures and losses. With `--world`, its rows are drawn from the law
that no plan knows: then the plan is also off by what a sample cannot tell.
"""

import argparse
import heapq
import math
import random
import sys
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[3]))

from jobs.planning.backlog import Lane, Lengths, Rate, Waiting
from jobs.planning.fleet_plan import least_workers
from jobs.planning.forecast import LEVEL, end_of
from jobs.planning.sketch import Sketch

Row = tuple[int, int]
"""The prompt and completion tokens of a row."""

MOST_TOKENS: Final = 8192
MOST: Final = 40
"""More workers than this are never asked for."""


@dataclass(frozen=True)
class Night:
    """What is simulated: the lane as the plan sees it, the rows as they are, the rate as measured and the true share of it.

    `known` are the earlier rows that the plan's lengths come from, and `draw` is the law that all rows come from.
    """

    lane: Lane
    rows: Sequence[Row]
    rate: Rate
    speed: float
    workers: int
    seed: int
    known: Sequence[Row]
    draw: Callable[[], Row]


@dataclass(frozen=True)
class Found:
    """How the end of one night compares with its forecast: whether the interval held it, and how wide it was."""

    held: bool
    width: float


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


def night(seed: int, *, short: bool = False) -> Night:
    """Draw a night: rows of one to three sorts, 200 to 2,000 known rows, 1 to 12 workers with 2 to 8 slots.

    A slot runs 60 to 150 rows; with `short`, there are 1,000 to 6,000 rows for up to 384 slots.
    """
    chance = random.Random(seed)
    draw = lengths(chance, chance.choice((1, 1, 2, 3)))
    known = [draw() for _ in range(chance.randint(200, 2000))]
    workers, slots = chance.randint(1, 12), chance.choice((4, 8, 16, 32) if short else (2, 4, 8))
    count = chance.randint(1000, 6000) if short else workers * slots * chance.randint(60, 150)
    rows = [draw() for _ in range(count)]
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
    return Night(lane, rows, rate, speed, workers, seed, known, draw)


def other_night(night: Night, number: int, *, world: bool) -> Night:
    """Draw another night of which the plan knows the same. With `world`, its rows come from the true law."""
    chance = random.Random(f"{night.seed}/{number}")
    if world:
        rows = [night.draw() for _ in night.rows]
    else:
        weights = [chance.expovariate(1) for _ in night.known]
        rows = chance.choices(night.known, weights, k=len(night.rows))
    speed = max(0.5, chance.gauss(1, night.rate.spread))
    return replace(night, rows=rows, speed=speed, seed=chance.randrange(1 << 40))


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
    """Simulate a night and compare its end with the forecast."""
    planned = end_of(night.lane, {night.rate: night.workers})
    end = simulated_end(night, night.workers)
    return Found(planned.low <= end <= planned.high, planned.half_width)


def deadline_of(night: Night) -> float:
    """Return a deadline that the night's workers keep in this one night, with up to 30 % to spare."""
    return simulated_end(night, night.workers) * random.Random(night.seed + 7).uniform(1.0, 1.3)


def planned_least(night: Night, deadline: float) -> int:
    """Return the least number of workers as planned, `MOST + 1` if the plan says that none is enough."""
    due = replace(night.lane, waiting=(Waiting("batch", len(night.rows), deadline),))
    return least_workers(due, night.rate, most=MOST) or MOST + 1


def simulated_least(night: Night, deadline: float, nights: int, *, world: bool) -> int:
    """Return the first number of workers with which enough of the simulated nights are in time; `MOST + 1` if none is enough."""
    others = [other_night(night, n, world=world) for n in range(nights)]
    may_fail = int(nights * (1 - LEVEL) / 2 + 1e-9)

    def is_enough(workers: int) -> bool:
        late = 0
        for other in others:
            late += simulated_end(other, workers) > deadline
            if late > may_fail:
                return False
        return True

    low, high = 1, MOST + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if middle <= MOST and is_enough(middle) else (middle + 1, high)
    return min(low, MOST + 1)


def main() -> None:
    """Run the comparison and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=200, help="nights of which the end is compared")
    parser.add_argument(
        "--least", type=int, default=200, help="nights of which the least number of workers is compared"
    )
    parser.add_argument("--draws", type=int, default=60, help="simulated nights behind each least number")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="nights in which the longest row decides")
    parser.add_argument("--world", action="store_true", help="simulate from the true law, not from what the plan knows")
    asked = parser.parse_args()
    drawn = [night(asked.seed * 100_000 + n, short=asked.short) for n in range(max(asked.nights, asked.least))]
    if asked.nights:
        found = [compare(one) for one in drawn[: asked.nights]]
        held = sum(one.held for one in found) / asked.nights
        width = sorted(one.width for one in found)[asked.nights // 2]
        print(f"{asked.nights} nights: the end lies in the interval in {held:.1%}; median half-width {width:.1%}")
    offs = []
    for one in drawn[: asked.least]:
        deadline = deadline_of(one)
        true = simulated_least(one, deadline, asked.draws, world=asked.world)
        offs.append(planned_least(one, deadline) - true)
    if offs:
        near = sum(abs(off) <= 1 for off in offs) / len(offs)
        enough = sum(off >= 0 for off in offs) / len(offs)
        print(
            f"{len(offs)} least numbers: within one {near:.1%}, enough {enough:.1%}",
            dict(sorted(Counter(offs).items())),
        )


if __name__ == "__main__":
    main()

"""Compares the expected end of a batch that runs, as `nightpress status` shows it, with simulated nights.

    python scripts/bench/nights/ends.py [--nights 200] [--seed 1]

A night has rows of several kinds, in any order. A row takes its expected tokens times a factor of the whole night (the kinds may
be wrong) times a factor of its own (lognormal), one token a step, in slots that take rows as a lane does: in order, and the last
ones longest first. The speed wanders by a few per cent. A reader looks every few seconds; after each tenth of a night the end is
compared with the interval. With `--crew`, workers come and go during the night; then a look tells the end if the crew stays,
so only looks after the last change are compared.
"""

import argparse
import heapq
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[3]))

from jobs.lanes.places import LAST_ROWS_PER_SLOT, place_of
from jobs.operations.rate import Speed, UnderWay
from jobs.planning.intervals import Interval
from jobs.planning.remaining import Dispersion

START: Final = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
PARTS: Final = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.97)
"""The parts of a night after which a look is compared."""
KINDS: Final = ((40, 90), (100, 300), (600, 1200), (20, 2000))
"""The fewest and the most expected tokens of a row of each kind."""


@dataclass
class Night:
    """A simulated batch: what each row is expected to take, and the seconds at which it began and ended.

    `changes` are the moments at which the number of slots changed.
    """

    expected: list[int]
    took: list[int]
    began_s: list[float] = field(default_factory=list)
    ended_s: list[float] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)

    @property
    def end_s(self) -> float:
        """When the last row ended."""
        return max(self.ended_s)


def night(seed: int, *, crew: bool = False) -> Night:
    """Draw a night of 200 to 4,000 rows and simulate it."""
    chance = random.Random(seed)
    slots, rows = chance.choice((2, 4, 8, 16, 32)), chance.randint(200, 4000)
    kinds = chance.sample(KINDS, chance.randint(1, 3))
    expected = [chance.randint(*chance.choice(kinds)) for _ in range(rows)]
    if chance.random() < 0.3:
        expected.sort(reverse=chance.random() < 0.5)
    factor, spread = chance.choice((1.0, 1.0, 0.3, 2.0)), chance.choice((0.05, 0.2, 0.4, 0.8))
    took = [max(1, int(one * factor * chance.lognormvariate(0, spread))) for one in expected]
    drawn = Night(expected, took)
    _run(drawn, slots, chance, crew=crew)
    return drawn


def _run(night: Night, slots: int, chance: random.Random, *, crew: bool) -> None:
    """Simulate the slots: each takes the next row when it is free; with `crew`, some come later and some leave early."""
    rows = len(night.expected)
    last_from = rows - LAST_ROWS_PER_SLOT * slots
    order = sorted(range(rows), key=lambda row: place_of(row, night.expected[row], last_from=last_from))
    step_s = chance.uniform(0.01, 0.2)
    whole_s = sum(night.took) * step_s / slots
    free = [(0.0, n) for n in range(slots)]
    leaves: dict[int, float] = {}
    if crew:
        come = chance.uniform(0.05, 0.4) * whole_s
        free += [(come, slots + n) for n in range(slots // 2)]
        gone = chance.uniform(0.3, 0.6) * whole_s
        leaves = dict.fromkeys(range(slots // 2), gone)
        night.changes = [come, gone]
    heapq.heapify(free)
    night.began_s, night.ended_s = [0.0] * rows, [0.0] * rows
    pace = 1.0
    for row in order:
        while (slot := heapq.heappop(free))[0] >= leaves.get(slot[1], float("inf")):
            pass
        pace += 0.02 * (1 - pace) + chance.gauss(0, 0.004)
        night.began_s[row] = slot[0]
        night.ended_s[row] = slot[0] + night.took[row] * step_s / pace
        heapq.heappush(free, (night.ended_s[row], slot[1]))


def looks(night: Night, parts: Sequence[float] = PARTS, every: int = 40) -> list[tuple[float, Interval | None]]:
    """Return what a reader sees after each part of the night: the moment, and in how many seconds the rest is done."""
    speed, dispersion = Speed(), Dispersion()
    speed.sample(START, 0, UnderWay(0, 0))
    total, end_s = sum(night.expected), night.end_s
    moments = sorted({*(n / every * end_s for n in range(1, every)), *(part * end_s for part in parts)})
    compared = {part * end_s for part in parts}
    by_end = sorted(range(len(night.expected)), key=night.ended_s.__getitem__)
    by_begin = sorted(night.began_s)
    done = ended = begun = 0
    is_begun = False
    began = sum_began = sum_ended_began = 0.0
    found: list[tuple[float, Interval | None]] = []
    for at_s in moments:
        while ended < len(by_end) and night.ended_s[by_end[ended]] <= at_s:
            row = by_end[ended]
            done += night.expected[row]
            dispersion.add(night.expected[row], night.took[row])
            sum_ended_began += night.began_s[row]
            ended += 1
        while begun < len(by_begin) and by_begin[begun] <= at_s:
            sum_began += by_begin[begun]
            begun += 1
        running = begun - ended
        began = sum_began - sum_ended_began
        seconds = running * at_s - began
        speed.sample(START + timedelta(seconds=at_s), done, UnderWay(running, max(0.0, seconds)), ended)
        if ended and not is_begun:
            speed.begin(START, 0)
            is_begun = True
        if at_s in compared:
            rows = len(night.expected) - ended
            found.append((at_s, speed.left(total, rows, dispersion.relative) if rows else None))
    return found


def main() -> None:
    """Run the comparison and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--crew", action="store_true", help="workers come and go")
    asked = parser.parse_args()
    held: dict[float, list[bool]] = {part: [] for part in PARTS}
    widths: dict[float, list[float]] = {part: [] for part in PARTS}
    early = late = 0
    for n in range(asked.nights):
        drawn = night(asked.seed * 100_000 + n, crew=asked.crew)
        for part, (at_s, left) in zip(PARTS, looks(drawn), strict=True):
            if left is None or at_s < max(drawn.changes, default=0.0):
                continue
            true = drawn.end_s - at_s
            held[part].append(left.low <= true <= left.high)
            early += true < left.low
            late += true > left.high
            widths[part].append((left.high - left.low) / 2 / drawn.end_s)
    for part in PARTS:
        if held[part]:
            share, width = sum(held[part]) / len(held[part]), sorted(widths[part])[len(widths[part]) // 2]
            print(
                f"after {part:4.0%}: within the interval {share:.1%} of {len(held[part])}; half of it is {width:.1%} of the night"
            )
    every = [one for part in PARTS for one in held[part]]
    print(f"all: {sum(every) / len(every):.1%} of {len(every)}; {early} ended earlier and {late} later")


if __name__ == "__main__":
    main()

"""Checks that the engine divides a step's time fairly among its rows, by comparing long and short rows in a mix and alone.

    python scripts/bench/shares.py [--rows 64] [--slots 16] [--turns 3]

The rows of each sort, long and short, first run alone. Then half as many rows of each sort run in a mix. A long row has many
new tokens, or a long prompt. The time of a long row divided by the time of a short row should be the same in the mix as alone.
There are several rows for each slot, so that the slots are full most of the time. In a step with few rows, each row costs more,
and this has nothing to do with the division.

At the end, a sum is compared with a separate clock that starts before the engine is loaded. The sum is the time of all rows, plus
the time in which the engine was idle, plus the time of loading. The sum and the clock should differ by less than 0.1 %.
"""

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

sys.path.insert(0, str(Path(__file__).parents[2]))

from jobs.catalog import ModelCard
from jobs.generation import GenerationRequest, Prompt, SamplingParams
from scripts.bench.engines import model_folder
from workers.engines.protocol import Engine
from workers.engines.registry import make_engine

Found = TypeVar("Found")


@dataclass(frozen=True)
class Sort:
    """The size of the rows of one sort: words of the prompt, and new tokens."""

    words: int
    new_tokens: int


PAIRS: Final = {
    "many new tokens beside few": (Sort(20, 240), Sort(20, 40)),
    "a long prompt beside a short one": (Sort(80, 60), Sort(10, 60)),
}


@dataclass(frozen=True)
class Books:
    """Four times in nanoseconds: all rows, the engine's idle time, its loading, and the total time by a separate clock."""

    rows: int
    idle: int
    load: int
    clock: int

    @property
    def off(self) -> float:
        """The relative difference between the sum of the three parts and the separate clock; negative if the sum is too small."""
        return (self.rows + self.idle + self.load) / self.clock - 1


def clock_ns() -> int:
    """Return the time of the hardware's raw clock, in nanoseconds. Unlike the engine's clock, this clock is never adjusted."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_MONOTONIC_RAW", time.CLOCK_MONOTONIC))


def closed(engine: Engine, rows: int, began_ns: int) -> Books:
    """Return the books of an engine up to now. Its loading began at `began_ns` (`clock_ns`); its rows took `rows` nanoseconds."""
    stats, now_ns = at_once(engine.stats)
    return Books(rows, stats.idle_ns, stats.load_ns, now_ns - began_ns)


def at_once(what: Callable[[], Found]) -> tuple[Found, int]:
    """Return two values: the result of calling `what`, and the time of `clock_ns` right after the call.

    The call is repeated until it takes less than a millisecond, so that the two values belong to the same time.
    """
    while True:
        before = clock_ns()
        found = what()
        if (now := clock_ns()) - before < 10**6:
            return found, now


def requests(sort: Sort, n: int, some: random.Random) -> list[GenerationRequest]:
    """Return `n` requests of one sort, with random prompts that share no prefix."""
    params = SamplingParams(temperature=0.0, seed=1, min_tokens=sort.new_tokens, max_tokens=sort.new_tokens)
    texts = (" ".join(str(some.randrange(10**4)) for _ in range(sort.words)) for _ in range(n))
    return [
        GenerationRequest(f"{sort}/{m}/{some.random()}", Prompt(text=text, params=params))
        for m, text in enumerate(texts)
    ]


def taken(engine: Engine, asked: list[GenerationRequest]) -> dict[str, int]:
    """Run the requests. Returns the device time of each request in nanoseconds, by the request's id."""
    for request in asked:
        engine.submit(request)
    found: dict[str, int] = {}
    while len(found) < len(asked):
        found |= {completion.request_id: completion.device_ns for completion in engine.step()}
    return found


def mean(found: dict[str, int], asked: list[GenerationRequest]) -> float:
    """Return the mean of the times in `found` of these requests, in nanoseconds."""
    return statistics.mean(found[request.request_id] for request in asked)


def ratios(engine: Engine, long: Sort, short: Sort, rows: int, some: random.Random) -> tuple[float, float, int]:
    """Return three values: a ratio, which is the mean time of a long row divided by the mean time of a short row, when each sort
    runs alone; the same ratio in a mix; and the total nanoseconds of all rows.
    """
    all_long, all_short = requests(long, rows, some), requests(short, rows, some)
    long_took, short_took = taken(engine, all_long), taken(engine, all_short)
    alone = mean(long_took, all_long) / mean(short_took, all_short)
    half_long, half_short = requests(long, rows // 2, some), requests(short, rows // 2, some)
    mixed = [*half_long, *half_short]
    some.shuffle(mixed)
    found = taken(engine, mixed)
    together = sum(sum(one.values()) for one in (long_took, short_took, found))
    return alone, mean(found, half_long) / mean(found, half_short), together


def main() -> None:
    """Run all pairs of sorts in turn. Print the ratios, and the engine's times beside the time of the separate clock."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/nightpress-bench").expanduser())
    args = parser.parse_args()
    some = random.Random(args.seed)
    args.cache.mkdir(parents=True, exist_ok=True)
    card = ModelCard(source=str(model_folder("smollm2", args.cache)), device="cpu", slots=args.slots)
    import workers.engines.causal.loading  # noqa: F401 - imported now, so that its time is not counted

    began_ns, rows_ns = clock_ns(), 0
    engine = make_engine("bench", card, args.cache)
    for name, (long, short) in PAIRS.items():
        found = [ratios(engine, long, short, args.rows, some) for _ in range(args.turns)]
        alone, mixed = (statistics.median(one[n] for one in found) for n in (0, 1))
        rows_ns += sum(one[2] for one in found)
        print(f"{name}: alone {alone:.2f}, in a mix {mixed:.2f}: {mixed / alone - 1:+.0%}", flush=True)
    books = closed(engine, rows_ns, began_ns)
    parts = f"rows {books.rows / 1e9:.3f} s, idle {books.idle / 1e9:.3f} s, load {books.load / 1e9:.3f} s"
    print(f"{parts}; separate clock {books.clock / 1e9:.3f} s: {books.off:+.4%}")


if __name__ == "__main__":
    main()

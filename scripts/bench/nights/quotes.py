"""Compares quotes with the batches that they are of: whether the interval holds what the whole takes, and the bound too.

    python scripts/bench/nights/quotes.py [--batches 200] [--seed 1]

A batch has rows of one to four kinds. Each row has a prompt and a limit of tokens (`max_tokens`), both known beforehand, and ends
by itself after a lognormal number of tokens, or at its limit. The quote sees only the rows that it draws. They are drawn as the
product draws them (`further_rows`, `most_sampled`), for tokens and for the charge. The bound is made of prompts and limits alone.

The last two cases have rows that are rare and huge: one in a thousand is fifty times as long, or one in a hundred. Intervals from
samples do not hold there; the figures say how often the quote warns of it, and that the bound holds.
"""

import argparse
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[3]))

from jobs.planning.quotes import LARGE_SHARE, Key, Measure, Quote, Stratum, further_rows, most_sampled, quote
from jobs.planning.sketch import Sketch

PROMPT_PRICE: Final = 10
COMPLETION_PRICE: Final = 40
"""Prices of a token, in some small unit. A completion token costs four times a prompt token, as most models do."""


@dataclass(frozen=True)
class Row:
    """A row: the tokens of its prompt, its limit, and the tokens of its completion."""

    prompt: int
    limit: int
    completion: int

    @property
    def tokens(self) -> int:
        return self.prompt + self.completion

    @property
    def charge(self) -> int:
        return self.prompt * PROMPT_PRICE + self.completion * COMPLETION_PRICE


Batch = Mapping[Key, Sequence[Row]]


@dataclass(frozen=True)
class Found:
    """A quote beside what its batch takes. `largest` is the share of the largest sampled row in the sample's tokens."""

    tokens: Quote
    charge: Quote
    true_tokens: int
    true_charge: int
    rows: int
    largest: float

    @property
    def held(self) -> bool:
        return self.tokens.tokens.low <= self.true_tokens <= self.tokens.tokens.high

    @property
    def charge_held(self) -> bool:
        return self.charge.tokens.low <= self.true_charge <= self.charge.tokens.high

    @property
    def reached(self) -> bool:
        return self.tokens.reached and self.charge.reached

    @property
    def is_bounded(self) -> bool:
        return self.true_tokens <= self.tokens.bound and self.true_charge <= self.charge.bound


def kind(
    chance: random.Random, spread: float, *, rare: float = 0.0, size: tuple[int, int] = (2_000, 12_000)
) -> list[Row]:
    """Draw the rows of one kind. `spread` is the sigma of the completions; the share `rare` is 50 times as long."""
    mean, prompt = chance.uniform(4, 6.5), chance.uniform(3, 6)
    limit = chance.choice((1_024, 4_096, 16_384)) * (50 if rare else 1)
    rows = []
    for _ in range(chance.randint(*size)):
        wanted = int(chance.lognormvariate(mean, spread)) + 1
        if chance.random() < rare:
            wanted *= 50
        rows.append(Row(int(chance.lognormvariate(prompt, 0.5)) + 1, limit, min(wanted, limit)))
    return rows


def _one(spread: float, rare: float = 0.0) -> Callable[[random.Random], Batch]:
    return lambda chance: {Key("chat", "model", ""): kind(chance, spread, rare=rare)}


def _mixed(chance: random.Random) -> Batch:
    """Three kinds: labels that are all alike, posts, and long articles."""
    return {Key(f"kind{n}", "model", "t"): kind(chance, spread) for n, spread in enumerate((0.1, 0.4, 0.6))}


def _drawn(chance: random.Random) -> Batch:
    """One to four kinds of any spread, some of a few hundred rows."""
    return {
        Key(f"kind{n}", "model", "t"): kind(chance, chance.uniform(0.1, 1.3), size=(100, 12_000))
        for n in range(chance.randint(1, 4))
    }


CASES: Final[Mapping[str, Callable[[random.Random], Batch]]] = {
    "lognormal 0.5": _one(0.5),
    "lognormal 1.0": _one(1.0),
    "lognormal 1.5": _one(1.5),
    "three kinds": _mixed,
    "any one to four kinds": _drawn,
    "rare and huge, 1 in 1,000": _one(0.5, 0.001),
    "rare and huge, 1 in 100": _one(0.5, 0.01),
}


def quoted(seed: str, make: Callable[[random.Random], Batch]) -> Found:
    """Draw a batch, and quote it from a sample as the product does."""
    chance = random.Random(seed)
    batch = make(chance)
    left = {key: chance.sample(rows, len(rows)) for key, rows in batch.items()}
    sampled: dict[Key, list[Row]] = {key: [] for key in batch}
    bounds = _bounds(batch)
    most = most_sampled(map(len, batch.values()))
    while further := further_rows(_measures(bounds, sampled), most):
        for key, count in further.items():
            sampled[key] += [left[key].pop() for _ in range(count)]
    tokens, charge = (quote(*measure) for measure in _measures(bounds, sampled))
    rows = [row for of_key in batch.values() for row in of_key]
    drawn = [row.tokens for of_key in sampled.values() for row in of_key]
    return Found(
        tokens,
        charge,
        sum(row.tokens for row in rows),
        sum(row.charge for row in rows),
        len(rows),
        max(drawn) / sum(drawn),
    )


VALUES: Final[Sequence[Callable[[Row], int]]] = (lambda row: row.tokens, lambda row: row.charge)


def _bounds(batch: Batch) -> Sequence[Mapping[Key, Stratum]]:
    """Return the strata by tokens and by charge. Each is bounded by what its rows would take if every one ended at its limit."""
    at_limit = {key: [Row(row.prompt, row.limit, row.limit) for row in rows] for key, rows in batch.items()}
    return [{key: Stratum(len(rows), sum(map(value, rows))) for key, rows in at_limit.items()} for value in VALUES]


def _measures(bounds: Sequence[Mapping[Key, Stratum]], sampled: Mapping[Key, Sequence[Row]]) -> Sequence[Measure]:
    """Return tokens and charge with the sketches of the sampled rows."""
    return [
        (strata, {key: Sketch.of(map(value, rows)) for key, rows in sampled.items()})
        for strata, value in zip(bounds, VALUES, strict=True)
    ]


def figures(case: str, batches: int, seed: int) -> Mapping[str, float]:
    """Return the shares of batches whose quote held, was as narrow as wanted, warned and was bounded, and medians."""
    found = [quoted(f"{case}/{seed}/{n}", CASES[case]) for n in range(batches)]

    def share(test: Callable[[Found], bool]) -> float:
        return sum(map(test, found)) / batches

    def median(value: Callable[[Found], float]) -> float:
        return sorted(map(value, found))[batches // 2]

    return {
        "tokens held": share(lambda one: one.held),
        "charge held": share(lambda one: one.charge_held),
        "reached": share(lambda one: one.reached),
        "warned": share(lambda one: not one.reached or one.largest >= LARGE_SHARE),
        "bounded": share(lambda one: one.is_bounded),
        "rows": median(lambda one: one.tokens.sampled),
        "share of rows": median(lambda one: one.tokens.sampled / one.rows),
        "half-width": median(lambda one: one.tokens.tokens.half_width),
        "bound / truth": median(lambda one: one.tokens.bound / one.true_tokens),
    }


def main() -> None:
    """Print the figures of each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    for case in CASES:
        print(
            f"{case}:",
            ", ".join(f"{name} {figure:.3g}" for name, figure in figures(case, asked.batches, asked.seed).items()),
        )


if __name__ == "__main__":
    main()

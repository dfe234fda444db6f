"""Shows jobs/planning/speeds.py: what a token of either sort takes is found from sums, and how far nights differ."""

import random
from collections.abc import Callable

import pytest

from jobs.planning.sizes import Sizes
from jobs.planning.speeds import NS, UNKNOWN_SPREAD, Moments, speed_of
from jobs.usage import Usage
from tests.support.accounts import sizes_of


def night(
    seed: int, prompt_s: float, completion_s: float, rows: int = 300, alike: Callable[[int], int] | None = None
) -> Moments:
    """The sums of a night in which tokens took these seconds, with noise from row to row."""
    chance = random.Random(seed)
    usages = []
    for _ in range(rows):
        completion = int(chance.lognormvariate(5, 0.8))
        prompt = chance.randint(20, 4000) if alike is None else alike(completion)
        taken = (prompt * prompt_s + completion * completion_s) * chance.uniform(0.9, 1.1)
        usages.append(Usage(prompt, 0, completion, int(taken * NS)))
    return Moments.of(sum(sizes_of(usages).values(), Sizes()))


def test_both_speeds_are_found() -> None:
    speed = speed_of([night(n, 0.0001, 0.004) for n in range(8)])
    assert speed is not None
    assert speed.prompt_s == pytest.approx(0.0001, rel=0.1)
    assert speed.completion_s == pytest.approx(0.004, rel=0.05)
    assert (speed.rows, speed.nights) == (2400, 8)
    assert speed.spread < 0.02
    rate = speed.rate("cpu", 8, losses_per_hour=0.5)
    assert rate.losses_per_hour == 0.5
    assert rate.completion_tokens_s == pytest.approx(250, rel=0.05)


def test_the_time_of_all_rows_together_is_exact() -> None:
    nights = [night(n, 0.0001, 0.004) for n in range(3)]
    speed = speed_of(nights)
    assert speed is not None
    taken = (
        sum(one.prompt for one in nights) * speed.prompt_s + sum(one.completion for one in nights) * speed.completion_s
    )
    assert taken == pytest.approx(sum(one.ns for one in nights) / NS)


def test_rows_that_are_all_alike_give_the_speed_of_completions_alone() -> None:
    speed = speed_of([night(1, 0.001, 0.004, alike=lambda completion: 2 * completion)])
    assert speed is not None
    assert speed.prompt_s == 0
    assert speed.completion_s == pytest.approx(0.006, rel=0.05)


def test_rows_without_completions_give_the_speed_of_prompts() -> None:
    """Labels are scored, and a scored text has no completion tokens."""
    usages = [Usage(prompt, 0, 0, prompt * 1_000_000) for prompt in range(10, 500)]
    speed = speed_of([Moments.of(sum(sizes_of(usages).values(), Sizes()))])
    assert speed is not None
    assert speed.prompt_s == pytest.approx(0.001)
    assert speed.rate("cpu", 4).seconds(1000, 0) == pytest.approx(1)


def test_the_spread_between_nights_is_measured_or_taken_to_be_wide() -> None:
    steady = speed_of([night(n, 0.0, 0.004) for n in range(6)])
    uneven = speed_of([night(n, 0.0, 0.004 * (0.8, 1.2)[n % 2]) for n in range(6)])
    few = speed_of([night(n, 0.0, 0.004) for n in range(4)])
    assert steady is not None
    assert uneven is not None
    assert few is not None
    assert steady.spread < 0.02
    assert uneven.spread == pytest.approx(0.22, rel=0.15)
    assert few.spread == UNKNOWN_SPREAD


@pytest.mark.parametrize(
    "nights",
    [
        pytest.param([], id="no night"),
        pytest.param([Moments()], id="no row"),
        pytest.param([night(1, 0.0, 0.0)], id="no time"),
        pytest.param([Moments() if n else Moments(-1, -5, -5, -7) for n in range(2)], id="a round that only subtracts"),
    ],
)
def test_nothing_is_made_up_where_nothing_was_measured(nights: list[Moments]) -> None:
    assert speed_of(nights) is None

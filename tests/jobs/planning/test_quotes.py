"""Tests how quotes are sampled: in rounds, by stratum, until the interval is narrow, the limit is met or all rows are known."""

import random

import pytest

from jobs.planning.quotes import (
    HALF_WIDTH,
    LEAST_ROWS,
    MOST_ROWS,
    Key,
    Stratum,
    further_rows,
    most_sampled,
    next_round,
    quote,
)
from jobs.planning.sketch import Sketch
from scripts.bench.nights.quotes import figures

SHORT, LONG = Key("label", "model", "a"), Key("article", "model", "b")


def test_the_first_round_takes_the_least_rows_of_each_stratum() -> None:
    strata = {SHORT: Stratum(10, 100), LONG: Stratum(10_000, 10**7)}
    assert next_round(strata, {}) == {SHORT: 10, LONG: LEAST_ROWS}


def test_rows_of_one_length_need_one_round_and_have_no_width() -> None:
    strata, samples = {LONG: Stratum(1000, 10**6)}, {LONG: Sketch.of([50] * 64)}
    assert next_round(strata, samples) == {}
    found = quote(strata, samples)
    assert (found.tokens.low, found.tokens.expected, found.tokens.high) == (50_000, 50_000, 50_000)
    assert (found.bound, found.sampled, found.reached) == (10**6, 64, True)


def test_further_rows_go_where_they_narrow_the_whole_the_most() -> None:
    chance = random.Random(1)
    strata = {SHORT: Stratum(5000, 10**7), LONG: Stratum(5000, 10**8)}
    samples = {
        SHORT: Sketch.of(int(chance.gauss(20, 2)) for _ in range(64)),
        LONG: Sketch.of(int(chance.lognormvariate(6, 1.2)) for _ in range(64)),
    }
    assert not quote(strata, samples).reached
    further = next_round(strata, samples)
    assert SHORT not in further
    assert 0 < further[LONG] <= 2 * 128 - 64


def test_at_the_limit_the_quote_says_that_it_was_not_reached() -> None:
    chance = random.Random(1)
    strata = {LONG: Stratum(100_000, 10**10)}
    samples = {LONG: Sketch.of(int(chance.lognormvariate(6, 1.5)) for _ in range(200))}
    assert next_round(strata, samples, most_rows=200) == {}
    assert sum(next_round(strata, samples, most_rows=230).values()) == 30
    found = quote(strata, samples)
    assert not found.reached
    assert found.tokens.half_width > HALF_WIDTH


def test_a_batch_that_is_sampled_whole_is_known_exactly() -> None:
    values = [int(random.Random(3).lognormvariate(5, 2)) for _ in range(30)]
    found = quote({LONG: Stratum(30, 10**7)}, {LONG: Sketch.of(values)})
    assert (found.tokens.low, found.tokens.high, found.reached) == (sum(values), sum(values), True)


def test_no_end_is_above_the_bound() -> None:
    found = quote({LONG: Stratum(1000, 60_000)}, {LONG: Sketch.of([10, 100] * 32)})
    assert found.tokens.high <= found.bound == 60_000


def test_more_sampled_rows_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"3 rows of .* were sampled, and it has only 2"):
        quote({LONG: Stratum(2, 10)}, {LONG: Sketch.of([1, 2, 3])})


def test_sampling_ends_for_any_batch() -> None:
    for seed in range(5):
        chance = random.Random(seed)
        strata = {Key(f"kind{n}", "m", "t"): Stratum(chance.randint(1, 3000), 10**9) for n in range(3)}
        samples = {key: Sketch() for key in strata}
        rounds = 0
        while further := next_round(strata, samples):
            rounds += 1
            assert min(further.values()) > 0
            samples = {
                key: samples[key] + Sketch.of(int(chance.lognormvariate(5, 1.5)) for _ in range(further.get(key, 0)))
                for key in strata
            }
        assert rounds < 60


@pytest.mark.parametrize("case", ["lognormal 1.0", "three kinds"])
def test_quotes_hold_in_simulation(case: str) -> None:
    found = figures(case, 25, seed=5)
    assert min(found["tokens held"], found["charge held"]) >= 0.9
    assert found["bounded"] == 1


def test_a_sample_has_its_first_round_and_else_a_quarter_of_the_rows() -> None:
    assert most_sampled([10, 100]) == 10 + LEAST_ROWS
    assert most_sampled([2000]) == 500
    assert most_sampled([10**6]) == MOST_ROWS


def test_further_rows_are_those_that_any_amount_needs() -> None:
    chance = random.Random(1)
    strata = {LONG: Stratum(10_000, 10**8)}
    even = {LONG: Sketch.of([100] * 64)}
    spread = {LONG: Sketch.of(int(chance.lognormvariate(6, 1.2)) for _ in range(64))}
    assert further_rows([(strata, even), (strata, spread)], 4096) == next_round(strata, spread)
    assert further_rows([(strata, even), (strata, even)], 4096) == {}


def test_rare_huge_rows_break_the_interval_but_not_the_bound() -> None:
    chance = random.Random(1)
    rows = [chance.randint(80, 120) for _ in range(9990)] + [5000] * 10  # the sample below meets none of the ten
    found = quote({LONG: Stratum(10_000, 10_000 * 5000)}, {LONG: Sketch.of(rows[:64])})
    assert found.reached
    assert found.tokens.high < sum(rows) <= found.bound

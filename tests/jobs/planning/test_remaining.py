"""Shows jobs/planning/remaining.py: the interval of a batch's end, from what its rows have shown, beside simulated nights."""

import random

import pytest

from jobs.planning.remaining import UNKNOWN_DISPERSION, Dispersion, Pace, left_s
from scripts.bench.nights.ends import looks, night


def pace(
    ended: int = 10, done: float = 1000.0, ended_s: float = 100.0, seconds: float = 20.0, dispersion: float = 0.3
) -> Pace:
    """Rows of 100 expected tokens were under way for 10 s each, and four rows are, since 20 s together."""
    return Pace(ended, done, ended_s, 4.0, seconds, dispersion)


def test_the_expected_end_is_the_work_that_is_left_at_the_speed_so_far() -> None:
    """Ten tokens a second and row: 8,000 tokens are left, of which 200 are done by the rows under way."""
    assert left_s(pace(), 80, 8000).expected == pytest.approx((8000 - 200) / 40)


def test_the_interval_becomes_narrower_with_each_row_that_has_ended() -> None:
    widths = [
        left_s(pace(ended=n, done=100.0 * n, ended_s=10.0 * n), 1000, 100_000) for n in (2, 10, 100, 1000, 100_000)
    ]
    halves = [(one.high - one.low) / 2 for one in widths]
    assert halves == sorted(halves, reverse=True)


def test_rows_that_differ_more_make_it_wider() -> None:
    even, uneven = (left_s(pace(dispersion=spread), 100, 10_000) for spread in (0.05, 0.8))
    assert even.high - even.low < (uneven.high - uneven.low) / 2


def test_nothing_ends_before_now() -> None:
    end = left_s(pace(seconds=10_000.0), 3, 300)
    assert (end.low, end.expected) == (0, 0)
    assert end.high > 0


def test_dispersion_is_that_of_tokens_about_what_was_expected() -> None:
    chance = random.Random(4)
    known = Dispersion()
    assert known.relative == UNKNOWN_DISPERSION
    for _ in range(5000):
        expected = chance.choice((50, 1000))
        known.add(expected, round(0.5 * expected * chance.choice((0.7, 1.3))))
    # rows of 50 and of 1,000 tokens differ by 30 %, so about a mean of 525 by 30 % of the root mean square of 708
    assert known.relative == pytest.approx(0.3 * 708 / 525, rel=0.02)


def test_rows_that_take_what_is_expected_do_not_differ() -> None:
    known = Dispersion()
    for n in range(1, 100):
        known.add(10 * n, 3 * n)
    assert known.relative == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("crew", [False, True], ids=["steady", "workers come and go"])
def test_the_end_of_simulated_nights_lies_in_the_interval_nine_times_of_ten(crew: bool) -> None:
    """`scripts/bench/nights/ends.py` does the same for more nights."""
    held = []
    for seed in range(700, 725):
        drawn = night(seed, crew=crew)
        for at_s, left in looks(drawn, (0.05, 0.3, 0.7, 0.95)):
            if left is not None and at_s >= max(drawn.changes, default=0.0):
                held.append(left.low <= drawn.end_s - at_s <= left.high)
    assert len(held) > 40
    assert sum(held) / len(held) >= 0.9

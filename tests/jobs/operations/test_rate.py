"""Shows jobs/operations/rate.py."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs.operations.rate import Rate

START = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("readings", "per_second"),
    [
        pytest.param([(0, 0, 0)], None, id="one reading says nothing"),
        pytest.param([(0, 0, 0), (3, 9, 90)], None, id="nor do two that lie too near"),
        pytest.param([(0, 0, 0), (10, 20, 300)], (2.0, 30.0), id="two readings"),
        pytest.param(
            [(0, 0, 0), (5, 1, 10), (35, 61, 610)], (2.0, 20.0), id="what is older than the window is left out"
        ),
        pytest.param([(0, 5, 50), (60, 65, 650)], (1.0, 10.0), id="a long pause between readings is all in the window"),
        pytest.param([(0, 9, 90), (5, 1, 10), (10, 11, 20)], (2.0, 2.0), id="a counter that fell begins anew"),
    ],
)
def test_a_rate_is_that_of_the_last_half_minute(
    readings: list[tuple[int, int, int]], per_second: tuple[float, float] | None
) -> None:
    rate = Rate(window_s=30)
    for at_s, rows, tokens in readings:
        rate.sample(START + timedelta(seconds=at_s), rows, tokens)
    assert rate.per_second == per_second

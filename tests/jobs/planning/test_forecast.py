"""Tests forecasts of a lane's end: by hand for rows of one length, and against simulated nights."""

import math

import pytest

from jobs.planning.backlog import Lane, Lengths, Rate, Waiting
from jobs.planning.forecast import device_seconds, end_of
from jobs.planning.sketch import Sketch
from scripts.bench.nights.planning import night, simulated_end

EVEN = Lengths(Sketch.of([100] * 500), Sketch.of([50] * 500))
RATE = Rate(
    "cpu", prompt_tokens_s=1000, completion_tokens_s=100, slots=4
)  # a row takes 0.6 s of a worker, 2.4 s on the clock


def lane(rows: int, lengths: Lengths = EVEN, waste: float = 0.0) -> Lane:
    return Lane("model", lengths, (Waiting("batch", rows),), waste)


def test_rows_of_one_length_end_when_the_work_is_done() -> None:
    end = end_of(lane(4000), {RATE: 2})
    assert end.low == pytest.approx(1200, rel=0.002)
    assert end.high == pytest.approx(1200, rel=0.005)
    assert device_seconds(lane(4000), RATE) == pytest.approx(2400)


def test_no_rows_end_now_and_no_workers_never_end() -> None:
    assert end_of(lane(0), {}).high == 0
    assert end_of(lane(1), {}).low == math.inf
    assert end_of(lane(1), {RATE: 0}).low == math.inf


def test_rows_that_all_start_at_once_end_with_the_longest() -> None:
    end = end_of(lane(3), {RATE: 1})
    assert end.low == pytest.approx(2.4, rel=0.03)
    assert 2.4 <= end.high < 2.6


def test_devices_of_different_speed_add_up() -> None:
    fast = Rate("fast", prompt_tokens_s=3000, completion_tokens_s=300, slots=4)
    assert end_of(lane(4000), {RATE: 1, fast: 1}).expected == pytest.approx(600, rel=0.02)


def test_loading_waste_and_losses_make_it_later() -> None:
    plain = end_of(lane(4000), {RATE: 2}).expected
    assert end_of(lane(4000, waste=0.5), {RATE: 2}).expected > 1.9 * plain
    slow = Rate("cpu", 1000, 100, 4, load_s=60)
    assert end_of(lane(4000), {slow: 2}).expected == pytest.approx(plain + 60)
    assert end_of(lane(4000), {slow: 2}, running=True).expected == pytest.approx(plain)
    lost = Rate("cpu", 1000, 100, 4, load_s=60, losses_per_hour=6)
    assert end_of(lane(4000), {lost: 2}).expected > plain + 60 + 90


def test_an_unsure_speed_widens_the_interval() -> None:
    unsure = Rate("cpu", 1000, 100, 4, spread=0.05)
    assert end_of(lane(4000), {unsure: 2}).half_width > 0.08 > end_of(lane(4000), {RATE: 2}).half_width


def test_products_tell_how_prompts_and_completions_go_together() -> None:
    columns = [10, 1000] * 200
    prompt, completion = Sketch.of(columns), Sketch.of(columns)
    with_it = Lengths(prompt, completion, products=sum(one * one for one in columns))
    against = Lengths(prompt, completion, products=sum(one * (1010 - one) for one in columns))
    rate = Rate("cpu", 100, 100, 4)
    unknown, same, other = (
        end_of(lane(4000, one), {rate: 2}) for one in (Lengths(prompt, completion), with_it, against)
    )
    assert same == unknown
    assert other.half_width < same.half_width / 2


@pytest.mark.parametrize(
    "wrong", [{"slots": 0}, {"prompt_tokens_s": 0.0}, {"spread": -0.1}, {"losses_per_hour": -1.0}], ids=str
)
def test_a_rate_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    values = {"prompt_tokens_s": 1.0, "completion_tokens_s": 1.0, "slots": 1, **wrong}
    with pytest.raises(ValueError, match="the rate of 'cpu'"):
        Rate("cpu", **values)  # type: ignore[arg-type]


def test_simulated_nights_end_within_the_interval() -> None:
    held = 0
    for seed in range(20):
        drawn = night(900 + seed)
        end = end_of(drawn.lane, {drawn.rate: drawn.workers})
        held += end.low <= simulated_end(drawn, drawn.workers) <= end.high
    assert held >= 17

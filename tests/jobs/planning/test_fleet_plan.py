"""Tests plans of lanes: the least number of workers, turns of batches, budgets, costs, and the division of workers."""

from dataclasses import replace
from fractions import Fraction

from jobs.planning.backlog import Lane, Lengths, Rate, Waiting
from jobs.planning.fleet_plan import batch_ends, charge_of, cheapest, divide, least_workers, plan_lane
from jobs.planning.sketch import Sketch
from jobs.prices import BILLION, Prices, TokenPrices

EVEN = Lengths(Sketch.of([100] * 500), Sketch.of([50] * 500))
RATE = Rate("cpu", prompt_tokens_s=1000, completion_tokens_s=100, slots=4)  # a row takes 0.6 s of a worker
PRICES = Prices(
    version="own",
    currency="EUR",
    device_hour={"cpu": BILLION, "dear": 10 * BILLION},
    models={"model": TokenPrices(prompt=1_000_000, completion=2_000_000)},
)


def lane(*waiting: Waiting) -> Lane:
    return Lane("model", EVEN, waiting)


def test_the_least_number_of_workers_keeps_the_deadline_and_one_fewer_does_not() -> None:
    due = lane(Waiting("b", 6000, deadline_s=1000.0))  # 3,600 s of one worker
    plan = plan_lane(due, RATE, PRICES)
    assert plan.least == 4
    steps = {step.workers: step for step in plan.steps}
    assert steps[4].in_time
    assert not steps[3].in_time
    assert steps[5].sooner_s > 100
    assert plan.reasons[1] == "4 workers keep every deadline in 19 of 20 nights, and fewer do not."


def test_a_deadline_that_no_number_keeps_has_no_least_number() -> None:
    plan = plan_lane(lane(Waiting("b", 6000, deadline_s=1000.0)), RATE, PRICES, most=3)
    assert plan.least is None
    assert plan.batches[0].in_time is False
    assert plan.reasons[1] == "Even 3 workers may be late for b."


def test_a_lane_without_rows_needs_none_and_one_without_deadlines_one() -> None:
    assert least_workers(lane(), RATE) == 0
    assert plan_lane(lane(), RATE, PRICES).steps == ()
    assert least_workers(lane(Waiting("b", 10)), RATE) == 1


def test_a_small_batch_shares_turns_and_need_not_wait_for_a_large_one() -> None:
    small, large = batch_ends(lane(Waiting("small", 100), Waiting("large", 4000)), {RATE: 1}, PRICES)
    assert small.end_s.low <= 200 * 0.6 <= small.end_s.high
    assert large.end_s.low <= 4100 * 0.6 <= large.end_s.high


def test_a_batch_is_not_published_before_its_time() -> None:
    (end,) = batch_ends(lane(Waiting("b", 100, publish_at_s=5000.0)), {RATE: 1}, PRICES)
    assert (end.end_s.low, end.end_s.high) == (5000, 5000)


def test_amounts_are_exact_and_a_budget_may_be_too_small() -> None:
    assert charge_of(lane(), 1000, PRICES) == 1000 * 100 + 1000 * 50 * 2
    charges = batch_ends(
        lane(Waiting("enough", 1000, budget=200_000), Waiting("short", 1000, budget=199_999)), {RATE: 1}, PRICES
    )
    assert [end.over_budget for end in charges] == [False, True]


def test_device_time_counts_every_device_of_a_worker() -> None:
    due = lane(Waiting("b", 6000))
    one, two = (plan_lane(due, replace(RATE, devices=Fraction(devices)), PRICES).steps[0].cost for devices in (1, 2))
    assert two.device_ns == 2 * one.device_ns or abs(two.device_ns - 2 * one.device_ns) <= 1
    assert abs(one.device_cost - BILLION) < BILLION // 50  # about an hour at 1 EUR


def test_the_cheapest_device_that_is_in_time_is_taken() -> None:
    dear = Rate("dear", prompt_tokens_s=2000, completion_tokens_s=200, slots=4)
    due = lane(Waiting("b", 6000, deadline_s=1000.0))
    both = cheapest(due, [RATE, dear], PRICES, {"cpu": 10, "dear": 10})
    assert both is not None
    assert both.rate.device == "cpu"
    few = cheapest(due, [RATE, dear], PRICES, {"cpu": 3, "dear": 10})
    assert few is not None
    assert (few.rate.device, few.least) == ("dear", 2)
    assert cheapest(due, [RATE], PRICES, {}) is None


def test_workers_go_to_the_lane_that_is_late() -> None:
    due, easy = lane(Waiting("a", 6000, deadline_s=1000.0)), lane(Waiting("b", 1000, deadline_s=5000.0))
    assert list(divide([(due, RATE), (easy, RATE)], 5)) == [4, 1]
    assert list(divide([(lane(), RATE), (easy, RATE)], 2)) == [0, 2]

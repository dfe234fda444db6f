"""Shows jobs/planning/demand.py: how many workers lanes need, by their deadlines and by the rows that they could begin."""

from dataclasses import replace

import pytest

from jobs.planning.backlog import Lane, Lengths, Rate, Waiting
from jobs.planning.demand import Demand, wanted, workers_wanted
from jobs.planning.sketch import Sketch

LENGTHS = Lengths(Sketch.of([100] * 500), Sketch.of([50] * 500))
RATE = Rate("cpu", prompt_tokens_s=1000, completion_tokens_s=100, slots=4)  # a row takes 0.6 s of a worker


def demand(*waiting: Waiting, rate: Rate | None = RATE, slots: int = 4) -> Demand:
    return Demand("lane", Lane("model", LENGTHS, waiting), rate, slots)


def test_a_lane_without_rows_needs_no_worker() -> None:
    assert wanted(demand()).workers == 0
    assert wanted(demand(Waiting("a", 0, 60.0))).workers == 0


def test_a_paused_lane_needs_no_worker() -> None:
    one = wanted(replace(demand(Waiting("a", 100)), may_run=False))
    assert (one.least, one.useful, one.reason) == (0, 0, "the lane is paused")


def test_without_a_deadline_one_worker_is_enough_and_as_many_run_as_have_rows_to_begin() -> None:
    one = wanted(demand(Waiting("a", 30)))
    assert (one.least, one.useful, one.workers) == (1, 8, 8)
    assert wanted(demand(Waiting("a", 30)), most=3).workers == 3
    assert wanted(demand(Waiting("a", 3))).workers == 1


def test_a_deadline_needs_as_many_workers_as_keep_it_and_no_more() -> None:
    """4,000 rows are 2,400 s of work."""
    one = wanted(demand(Waiting("a", 4000, 1300.0)))
    assert (one.least, one.workers, one.in_time) == (2, 2, True)
    assert one.useful == 1000
    assert one.reason == "2 workers keep every deadline"
    assert wanted(demand(Waiting("a", 4000, 250.0))).workers == 10


def test_a_deadline_that_no_number_keeps_gets_all_that_are_useful() -> None:
    one = wanted(demand(Waiting("a", 40, 1.0)))
    assert (one.workers, one.in_time) == (10, False)
    assert one.reason == "even 10 workers may be late"
    assert wanted(demand(Waiting("a", 4000, 250.0)), most=4).workers == 4


def test_a_batch_without_a_deadline_beside_one_with_makes_all_useful_workers_run() -> None:
    both = wanted(demand(Waiting("a", 400, 600.0), Waiting("b", 400)))
    assert both.least == 1
    assert both.workers == both.useful == 200


def test_of_many_batches_the_one_that_needs_most_decides() -> None:
    """The first 100 rows of each batch are done in turns, so the short batch is done after 300 rows: 180 s of work."""
    many = wanted(demand(Waiting("a", 100, 70.0), Waiting("b", 900, 10_000.0), Waiting("c", 5000, 10_000.0)))
    assert many.least == 3


def test_a_model_of_which_nothing_is_known_gets_what_its_rows_can_fill() -> None:
    one = wanted(demand(Waiting("a", 40, 600.0), rate=None))
    assert (one.least, one.workers) == (1, 10)
    assert one.reason == "nothing is known yet of the model's speed"
    assert wanted(demand(Waiting("a", 40, 600.0), rate=None, slots=0), most=5).workers == 5


def test_each_lane_has_an_answer_and_its_own_limit() -> None:
    other = replace(demand(Waiting("a", 4000)), lane="other")
    found = workers_wanted([demand(Waiting("a", 4000)), other], {"other": 2})
    assert {lane: one.workers for lane, one in found.items()} == {"lane": 1000, "other": 2}


@pytest.mark.parametrize("rows", [1, 3, 50, 4000, 10_000_000])
def test_a_further_worker_is_never_planned_to_make_it_later(rows: int) -> None:
    deadlines = [2.0 * 1.5**n for n in range(40)]
    needed = [wanted(demand(Waiting("a", rows, deadline))).least for deadline in deadlines]
    assert needed == sorted(needed, reverse=True)
    assert needed[-1] >= 1

"""Shows jobs/operations/outlook/backlogs.py: what waits on each lane, and what is known of its rows and workers."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from jobs.accounts.experience import Experience
from jobs.accounts.summaries import summaries
from jobs.accounts.summary import Summary
from jobs.batches.batch import LaneInput
from jobs.batches.budgets.tenant_accounts import AccountState
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.rounds import close
from jobs.batches.segments.line import Outcome
from jobs.catalog import ModelCard
from jobs.lanes.protocol import BatchSchedule, LaneSnapshot, WorkerRecord
from jobs.operations.outlook.backlogs import backlogs, paid_for, rows_left
from jobs.operations.outlook.night_plan import plan_night
from jobs.planning.backlog import Lane, Lengths, Waiting
from jobs.planning.demand import Demand, workers_wanted
from jobs.planning.sketch import Sketch
from jobs.planning.slots import ASSUMED_SLOTS
from jobs.prices import Money, Prices, TokenPrices
from jobs.settings import Settings
from jobs.usage import Usage

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any

PRICES = Prices(currency="EUR", device_hour={}, models={"stub": TokenPrices(prompt=1_000_000, completion=2_000_000)})
SETTINGS = Settings(models={"stub": ModelCard(engine="stub", options={"slots": 8}), "big": ModelCard(num_gpus=0.5)})


def index_of(shelf: Shelf, batch_id: str = "night-1", rows: int = 10, **fields: Any) -> OutcomeIndex:
    index = OutcomeIndex(shelf.store, shelf.accept(batch_id, rows, **fields))
    index.refresh()
    return index


def publish_known(shelf: Shelf, seconds: float = 2.0, device: str = "cpu", rows: int = 40) -> None:
    """Publish a batch whose rows took so many seconds of a device and 100 completion tokens each."""
    shelf.accept("known", rows)

    def row(number: int) -> Outcome:
        made = shelf.completed(number, usage=Usage(50, 0, 100, int(seconds * 10**9)))
        return replace(made, receipt={**made.receipt, "device": device})

    shelf.write("known", [row(n) for n in range(rows)])
    shelf.publish("known")


def snapshot(*workers: WorkerRecord, paused: bool = False, schedules: Sequence[BatchSchedule] = ()) -> LaneSnapshot:
    return LaneSnapshot("stub", paused, 0, 0, 0, 0, {one.batch_id: one for one in schedules}, workers)


def test_rows_without_an_outcome_wait_with_their_deadline(shelf: Shelf) -> None:
    first = index_of(shelf, "a", 10, deadline=shelf.now + timedelta(hours=2), publish_at=shelf.now + timedelta(hours=1))
    second = index_of(shelf, "b", 5)
    shelf.write("a", [shelf.completed(0), shelf.failed(1), shelf.failed(2, final=False)])
    first.refresh()
    (one,) = backlogs([first, second], {}, Experience(), SETTINGS, shelf.now)
    assert one.lane == "stub"
    assert one.backlog.waiting == (Waiting("a", 8, 7200.0, 3600.0), Waiting("b", 5, None, 0.0))
    assert (one.rate, one.slots, one.may_run) == (None, 8, True)


def test_batches_that_do_not_run_do_not_count(shelf: Shelf) -> None:
    closed, late = index_of(shelf, "a"), index_of(shelf, "b", deadline=shelf.now + timedelta(hours=1))
    close(shelf.store, "a", "cancelled", clock=shelf.clock)
    closed.refresh()
    assert len(backlogs([closed, late], {}, Experience(), SETTINGS, shelf.now)) == 1
    assert backlogs([closed, late], {}, Experience(), SETTINGS, shelf.now + timedelta(hours=1)) == []


def test_what_is_known_of_the_model_gives_lengths_and_speed(shelf: Shelf) -> None:
    publish_known(shelf)
    (one,) = backlogs([index_of(shelf)], {}, Experience.read(shelf.store), SETTINGS, shelf.now)
    assert one.backlog.lengths.completion.mean == 100
    assert one.rate is not None
    assert one.rate.seconds(50, 100) == pytest.approx(2)
    assert (one.rate.device, one.rate.slots) == ("cpu", 8)


def test_completions_are_scaled_by_what_is_expected_of_the_rows(shelf: Shelf) -> None:
    """Rows of the known batch were expected to take 200 tokens and took 100. These are expected to take 1,000, so 500."""
    shelf.accept("known", 40)
    known = Experience()
    for summary in _summaries_with(shelf, cost=200 * 40):
        known.add(summary)
    index = index_of(shelf)
    lane = index.batch.lanes["stub"]
    index.batch = index.batch.model_copy(update={"lanes": {"stub": lane.model_copy(update={"cost": 10_000})}})
    (one,) = backlogs([index], {}, known, SETTINGS, shelf.now)
    assert one.backlog.lengths.completion.mean == pytest.approx(500, rel=0.02)


def _summaries_with(shelf: Shelf, cost: int) -> list[Summary]:
    shelf.write("known", [shelf.completed(n, usage=Usage(50, 0, 100, 10**9)) for n in range(40)])
    shelf.publish("known")
    return [replace(one, expected={"stub": [40, cost]}) for one in summaries(shelf.store)]


def test_the_device_and_the_slots_of_live_workers_come_first(shelf: Shelf) -> None:
    publish_known(shelf, device="cpu")
    known = Experience.read(shelf.store)
    quick = WorkerRecord("w", 1, "n", "stub", 3, 32, device="NVIDIA L4", completion_tokens=50_000, device_ns=10**11)
    (one,) = backlogs([index_of(shelf)], {"stub": snapshot(replace(quick, load_s=40.0))}, known, SETTINGS, shelf.now)
    assert one.rate is not None
    assert (one.rate.device, one.slots, one.rate.slots, one.rate.load_s) == ("NVIDIA L4", 32, 32, 40.0)
    assert one.rate.completion_tokens_s == pytest.approx(500)
    slow = replace(quick, completion_tokens=100)
    index = index_of(shelf, "other")
    (one,) = backlogs([index], {"stub": snapshot(slow)}, known, SETTINGS, shelf.now)
    assert one.rate is not None
    assert one.rate.device == "cpu", "the new device has shown too little"


def test_a_paused_lane_may_not_run(shelf: Shelf) -> None:
    (one,) = backlogs([index_of(shelf)], {"stub": snapshot(paused=True)}, Experience(), SETTINGS, shelf.now)
    assert not one.may_run
    assert workers_wanted([one])["stub"].workers == 0


def test_a_worker_that_was_lost_is_expected_to_be_lost_again(shelf: Shelf) -> None:
    publish_known(shelf)
    known = Experience.read(shelf.store)
    known.add(Summary("a", 1, shelf.now, {}, lost_workers={"stub": ["w-1"]}))
    (one,) = backlogs([index_of(shelf)], {}, known, SETTINGS, shelf.now)
    assert one.rate is not None
    assert 0 < one.rate.losses_per_hour == known.losses_per_hour("stub")


def test_a_part_of_a_gpu_counts_as_that_part(shelf: Shelf) -> None:
    publish_known(shelf, device="NVIDIA L4")
    settings = SETTINGS.model_copy(update={"models": {"stub": ModelCard(num_gpus=0.5, slots=4)}})
    (one,) = backlogs([index_of(shelf)], {}, Experience.read(shelf.store), settings, shelf.now)
    assert one.rate is not None
    assert (one.rate.devices, one.slots) == (Fraction(1, 2), 4)


def test_slots_that_nobody_has_told_are_assumed(shelf: Shelf) -> None:
    publish_known(shelf)
    settings = SETTINGS.model_copy(update={"models": {"stub": ModelCard()}})
    (one,) = backlogs([index_of(shelf)], {}, Experience.read(shelf.store), settings, shelf.now)
    assert one.rate is not None
    assert (one.slots, one.rate.slots) == (0, ASSUMED_SLOTS)


def test_rows_of_several_lanes_are_told_by_the_queue_and_shared_where_it_does_not_know(shelf: Shelf) -> None:
    index = index_of(shelf, rows=100)
    empty = "0" * 64
    lanes = {
        name: LaneInput(model=name, rows=rows, bytes=0, sha256=empty)
        for name, rows in (("a", 20), ("b", 20), ("c", 60))
    }
    index.batch = index.batch.model_copy(update={"lanes": lanes})
    assert rows_left(index, {}) == {"a": 20, "b": 20, "c": 60}
    schedule = BatchSchedule("night-1", 1, 9, True, False, 3, 1, 1, 1)
    seen = {"a": replace(snapshot(schedules=[schedule]), lane="a")}
    shelf.write("night-1", [shelf.completed(n) for n in range(20)])
    index.refresh()
    assert rows_left(index, seen) == {"a": 5, "b": 19, "c": 57}


# -- budgets


def test_a_batch_may_be_charged_what_its_completed_rows_have_left_of_its_budget(shelf: Shelf) -> None:
    index = index_of(shelf, budget=Money(amount=1_000, currency="EUR"))
    settings = SETTINGS.model_copy(update={"prices": PRICES})
    shelf.write("night-1", [shelf.completed(0, usage=Usage(1, 0, 1, 1, 0, 300))])
    index.refresh()
    (one,) = backlogs([index], {}, Experience(), settings, shelf.now)
    assert one.backlog.waiting == (Waiting("night-1", 9, budget=700),)


def test_a_budget_in_another_currency_than_the_prices_says_nothing(shelf: Shelf) -> None:
    index = index_of(shelf, budget=Money(amount=1_000, currency="USD"))
    (one,) = backlogs([index], {}, Experience(), SETTINGS.model_copy(update={"prices": PRICES}), shelf.now)
    assert one.backlog.waiting == (Waiting("night-1", 10),)


@pytest.mark.parametrize(
    ("budget", "rows"),
    [
        pytest.param(None, 1_000, id="no budget"),
        pytest.param(250_000, 1_000, id="just enough"),
        pytest.param(249_999, 1_000, id="the row that is begun counts"),
        pytest.param(249_749, 999, id="a row less"),
        pytest.param(25_000, 100, id="a tenth"),
        pytest.param(1, 1, id="hardly anything"),
        pytest.param(0, 0, id="nothing"),
    ],
)
def test_a_fleet_does_only_the_rows_that_a_budget_pays_for(budget: int | None, rows: int) -> None:
    """A row has 50 tokens of a prompt and 100 of a completion, so it is charged 250."""
    lengths = Lengths(Sketch.of([50] * 20), Sketch.of([100] * 20))
    waiting = (Waiting("free", 7, 60.0), Waiting("night-1", 1_000, 60.0, budget=budget))
    (one,) = paid_for([Demand("stub", Lane("stub", lengths, waiting))], PRICES)
    assert one.backlog.waiting == (waiting[0], replace(waiting[1], rows=rows))


def test_rows_of_unknown_lengths_all_count(shelf: Shelf) -> None:
    index = index_of(shelf, budget=Money(amount=1, currency="EUR"))
    demands = backlogs([index], {}, Experience(), SETTINGS.model_copy(update={"prices": PRICES}), shelf.now)
    assert [one.backlog.rows for one in paid_for(demands, PRICES)] == [10]


@pytest.mark.parametrize(("amount", "ends"), [(10 * 250, False), (10 * 250 - 1, True)])
def test_lanes_that_only_together_take_more_than_the_budget_say_so(shelf: Shelf, amount: int, ends: bool) -> None:
    publish_known(shelf)
    index = index_of(shelf, budget=Money(amount=amount, currency="EUR"))
    index.batch = index.batch.model_copy(
        update={"lanes": {name: LaneInput(model="stub", rows=5, bytes=0, sha256="0" * 64) for name in "ab"}}
    )
    settings = SETTINGS.model_copy(update={"prices": PRICES})
    plan = plan_night([index], {}, Experience.read(shelf.store), settings, shelf.now)
    said = ["The budget of night-1 ends before its rows." in lane.remarks for lane in plan.lanes]
    assert said == [ends, ends]


@pytest.mark.parametrize(
    ("tenant", "budget", "said"),
    [
        pytest.param("default", 10 * 250, [], id="enough"),
        pytest.param("default", 10 * 250 - 1, ["0.000002499 EUR"], id="too little"),
        pytest.param("default", 1_000, ["0 EUR"], id="spent"),
        pytest.param("other", 0, [], id="of another tenant"),
    ],
)
def test_a_budget_of_a_tenant_that_is_not_enough_is_named(
    shelf: Shelf, tenant: str, budget: int, said: list[str]
) -> None:
    """The budget has 1,500 billionths held by other batches, and ten rows cost 250 each."""
    publish_known(shelf)
    account = AccountState(tenant, "2026-12-01", "EUR", budget + 1_500 if budget > 1_000 else budget, 1_500, shelf.now)
    settings = SETTINGS.model_copy(update={"prices": PRICES})
    known = Experience.read(shelf.store)
    plan = plan_night([index_of(shelf)], {}, known, settings, shelf.now, accounts=[account])
    named = [remark for lane in plan.lanes for remark in lane.remarks if remark.startswith("The budget of the tenant")]
    assert [remark.partition(" has ")[2].partition(" left")[0] for remark in named] == said
    assert all("default for 2026-12-01" in remark and f"{shelf.now:%Y-%m-%d %H:%M}." in remark for remark in named)

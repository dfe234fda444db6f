"""Shows jobs/operations/outlook/first_end.py: a batch of which no row has ended gets its expected end from the accounts."""

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.segments.line import Outcome
from jobs.catalog import ModelCard
from jobs.lanes.protocol import BatchSchedule, LaneSnapshot, WorkerRecord
from jobs.operations.outlook.first_end import SILENT_S, Forecaster
from jobs.operations.status_reader import StatusReader
from jobs.settings import Settings
from jobs.usage import Usage

if TYPE_CHECKING:
    from jobs.planning.intervals import Interval
    from tests.jobs.conftest import Shelf
else:
    Shelf = Interval = Any

SETTINGS = Settings(models={"stub": ModelCard(engine="stub", options={"slots": 4})})
WORKER = WorkerRecord("w", 1, "n", "stub", 4, 4, device="cpu", load_s=60.0)


def lane(*workers: WorkerRecord, others: int = 0) -> dict[str, LaneSnapshot]:
    other = BatchSchedule("other", 1, 9, True, False, others, 0, 0, 1)
    return {"stub": LaneSnapshot("stub", False, 0, 0, 0, 0, {"other": other} if others else {}, workers)}


@pytest.fixture
def forecaster(shelf: Shelf) -> Forecaster:
    """The accounts know 40 rows that took 2 s of a device each."""
    shelf.accept("known", 40)

    def row(number: int) -> Outcome:
        made = shelf.completed(number, usage=Usage(50, 0, 100, 2 * 10**9))
        return replace(made, receipt={**made.receipt, "device": "cpu"})

    shelf.write("known", [row(n) for n in range(40)])
    shelf.publish("known")
    return Forecaster(shelf.store, SETTINGS)


@pytest.fixture
def index(shelf: Shelf, forecaster: Forecaster) -> OutcomeIndex:
    """An open batch of 1,000 rows, which take 2,000 s of a worker."""
    index = OutcomeIndex(shelf.store, shelf.accept("night-1", 1000))
    index.refresh()
    return index


def end(forecaster: Forecaster, index: OutcomeIndex, seen: dict[str, LaneSnapshot], shelf: Shelf) -> Interval:
    found = forecaster(index, seen, shelf.now)
    assert found is not None
    return found


def test_it_ends_when_the_workers_that_are_there_have_done_the_work(
    forecaster: Forecaster, index: OutcomeIndex, shelf: Shelf
) -> None:
    one, two = (end(forecaster, index, lane(*[WORKER] * n), shelf) for n in (1, 2))
    assert one.expected == pytest.approx(2000, rel=0.02)
    assert one.low < 0.9 * 2000 < 1.1 * 2000 < one.high, "four rounds were not seen, so nobody knows how nights differ"
    assert two.expected == pytest.approx(1000, rel=0.02)


def test_workers_that_load_come_later_and_rows_under_way_are_partly_done(
    forecaster: Forecaster, index: OutcomeIndex, shelf: Shelf
) -> None:
    plain = end(forecaster, index, lane(WORKER), shelf).expected
    begun = replace(WORKER, begun=4, began_at=shelf.now.timestamp() - 6)
    assert end(forecaster, index, lane(begun), shelf).expected == pytest.approx(plain - 6, abs=2)


def test_other_batches_take_turns(forecaster: Forecaster, index: OutcomeIndex, shelf: Shelf) -> None:
    """The other batch has only 200 rows left, so it takes 400 s."""
    assert end(forecaster, index, lane(WORKER, others=200), shelf).expected == pytest.approx(2400, rel=0.02)
    assert end(forecaster, index, lane(WORKER, others=9000), shelf).expected == pytest.approx(4000, rel=0.02)


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param({}, id="the queue knows no lane"),
        pytest.param(lane(), id="no worker"),
        pytest.param(lane(replace(WORKER, silent_s=SILENT_S)), id="a worker that died"),
        pytest.param({"stub": replace(lane(WORKER)["stub"], paused=True)}, id="a paused lane"),
    ],
)
def test_a_batch_that_nobody_runs_has_no_end(
    seen: dict[str, LaneSnapshot], forecaster: Forecaster, index: OutcomeIndex, shelf: Shelf
) -> None:
    assert forecaster(index, seen, shelf.now) is None


def test_a_model_of_which_nothing_is_known_has_no_end(shelf: Shelf) -> None:
    index = OutcomeIndex(shelf.store, shelf.accept("night-1", 1000))
    index.refresh()
    assert Forecaster(shelf.store, SETTINGS)(index, lane(WORKER), shelf.now) is None


class Seen:
    """A queue whose only lane is as it was given."""

    def __init__(self, lanes: dict[str, LaneSnapshot]) -> None:
        self._lanes = lanes

    def lanes(self) -> list[str]:
        return list(self._lanes)

    def snapshot(self, name: str) -> LaneSnapshot:
        return self._lanes[name]


def test_status_shows_the_end_at_the_first_look_and_with_an_interval(
    forecaster: Forecaster, index: OutcomeIndex, shelf: Shelf
) -> None:
    schedule = BatchSchedule("night-1", 1, 9, False, False, 96, 0, 4, 1)
    seen = {"stub": replace(lane(WORKER)["stub"], leased=4, batches={"night-1": schedule})}
    reader = StatusReader(shelf.store, Seen(seen), clock=shelf.clock, forecaster=forecaster)  # type: ignore[arg-type]
    one = reader.batch("night-1")
    assert (one.state, one.rows_per_s) == ("running", None)
    assert one.expected_end is not None
    assert one.expected_end_low is not None
    assert one.expected_end_high is not None
    assert one.expected_end - shelf.now == pytest.approx(timedelta(seconds=2000), rel=0.02)
    assert shelf.now < one.expected_end_low < one.expected_end < one.expected_end_high

"""Shows jobs/accounts/experience.py: what published rounds tell of the lengths, the speed and the waste of each model."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from jobs.accounts.experience import LEAST_ROWS, Experience
from jobs.accounts.summaries import summaries
from jobs.batches.rounds import reopen
from jobs.batches.segments.line import Outcome
from jobs.planning.sketch import Sketch
from jobs.usage import Usage

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


def on(shelf: Shelf, device: str, row: int, seconds: int, **values: Any) -> Outcome:
    """A completed row of 100 completion tokens that took so many seconds of a device."""
    made = shelf.completed(row, usage=Usage(50, 0, 100, seconds * 10**9), **values)
    return replace(made, receipt={**made.receipt, "device": device, "templates": {"main": "a" * 64}})


def test_an_empty_store_tells_nothing(shelf: Shelf) -> None:
    known = Experience.read(shelf.store)
    assert (known.models, known.speeds("stub"), known.waste("stub")) == (set(), {}, 0.0)
    assert known.of_kinds("stub", {"chat"}) is None
    assert known.per_expected_token("stub") is None


def test_lengths_and_speeds_are_known_by_model_kind_template_and_device(shelf: Shelf) -> None:
    for night, device, seconds in (("a", "NVIDIA L4", 2), ("b", "NVIDIA L4", 2), ("c", "cpu", 50)):
        shelf.accept(night, 30, kinds=["chat", "article"])
        kinds = ["chat", "article"]
        shelf.write(night, [on(shelf, device, row, seconds, kind=kinds[row % 2]) for row in range(30)])
        shelf.publish(night)
        shelf.pass_s(24 * 3600)
    known = Experience.read(shelf.store)
    assert known.models == {"stub"}
    assert known.sizes("stub").completion == Sketch.of([100] * 90)
    assert known.sizes("stub", {"article"}).rows == 45
    assert known.sizes("stub", {"chat"}, {"a" * 12}).rows == 45
    assert known.sizes("stub", {"chat"}, {"b" * 12}).rows == 0
    speeds = known.speeds("stub")
    assert {device: (speed.rows, speed.nights) for device, speed in speeds.items()} == {
        "NVIDIA L4": (60, 2),
        "cpu": (30, 1),
    }
    assert speeds["NVIDIA L4"].rate("NVIDIA L4", 4).seconds(50, 100) == pytest.approx(2)
    assert known.speeds("other") == {}


def test_too_few_rows_of_a_kind_give_way_to_all_kinds_and_these_to_nothing(shelf: Shelf) -> None:
    few = LEAST_ROWS // 2
    shelf.accept("a", few)
    shelf.write("a", [on(shelf, "cpu", row, 1) for row in range(few)])
    shelf.publish("a")
    assert Experience.read(shelf.store).of_kinds("stub", {"chat"}) is None
    shelf.accept("b", LEAST_ROWS, kinds=["article"])
    shelf.write("b", [on(shelf, "cpu", row, 1, kind="article") for row in range(LEAST_ROWS)])
    shelf.publish("b")
    found = Experience.read(shelf.store).of_kinds("stub", {"chat"})
    assert found is not None
    assert found.rows == LEAST_ROWS + few


def lost(shelf: Shelf, row: int, worker: str, round_: int = 1) -> Outcome:
    """The line of a row whose worker died with it in hand."""
    made = replace(shelf.completed(row), round=round_, status="crashed", final=False, output=None, usage=Usage())
    return replace(made, receipt={"worker": worker})


def test_a_worker_that_dies_is_lost_once_however_many_rows_and_batches_it_held(shelf: Shelf) -> None:
    """Its leases have the claim ids of its life, and those of its next life are another worker's."""
    for night in ("a", "b"):
        shelf.accept(night, 3)
        shelf.write(night, [lost(shelf, 0, "w-1-7"), lost(shelf, 1, "w-1-8"), lost(shelf, 2, "no id")])
        shelf.write(night, [on(shelf, "cpu", row, 600) for row in range(3)])
        shelf.publish(night)
        shelf.pass_s(60)
    known = Experience.read(shelf.store)
    assert known.losses_per_hour("stub") == pytest.approx(1 / 2), "in an hour of devices, and one more"
    assert known.losses_per_hour("other") == 0
    shelf.accept("c", 1)
    shelf.write("c", [lost(shelf, 0, "w-1-9"), lost(shelf, 0, "w-2-0"), on(shelf, "cpu", 0, 3600)])
    shelf.publish("c")
    assert Experience.read(shelf.store).losses_per_hour("stub") == pytest.approx(2 / 3)


def test_a_later_round_names_only_the_workers_that_were_lost_in_it(shelf: Shelf) -> None:
    shelf.accept("a", 2)
    shelf.write("a", [lost(shelf, 0, "w-1-7"), on(shelf, "cpu", 0, 1), shelf.failed(1)])
    shelf.publish("a")
    reopen(shelf.store, "a")
    shelf.pass_s(60)
    shelf.write("a", [lost(shelf, 1, "w-2-7", 2), on(shelf, "cpu", 1, 1, round_=2)])
    shelf.publish("a")
    rounds = sorted(summaries(shelf.store, faults=[]), key=lambda one: one.round)
    assert [one.lost_workers for one in rounds] == [{"stub": ["w-1"]}, {"stub": ["w-2"]}]


def test_waste_is_the_share_of_device_time_without_an_outcome(shelf: Shelf) -> None:
    shelf.accept(rows=4)
    failed = replace(shelf.failed(3, final=False), usage=Usage(0, 0, 1, 10**9))
    shelf.write("night-1", [*(shelf.completed(row) for row in range(3)), failed, shelf.failed(3)])
    shelf.publish()
    assert Experience.read(shelf.store).waste("stub") == pytest.approx(0.25)


def test_a_later_round_adds_only_what_it_changed(shelf: Shelf) -> None:
    shelf.accept(rows=30)
    shelf.write("night-1", [*(on(shelf, "cpu", row, 1) for row in range(29)), shelf.failed(29)])
    shelf.publish()
    reopen(shelf.store, "night-1", [0, 29], clock=shelf.clock)
    shelf.write("night-1", [on(shelf, "cpu", row, 3, round_=2) for row in (0, 29)])
    shelf.publish()
    known = Experience.read(shelf.store)
    assert known.sizes("stub").device_ns == Sketch.of([10**9] * 28 + [3 * 10**9] * 2)
    speed = known.speeds("stub")["cpu"]
    assert speed.rows == 30
    assert 100 * speed.completion_s + 50 * speed.prompt_s == pytest.approx(34 / 30)

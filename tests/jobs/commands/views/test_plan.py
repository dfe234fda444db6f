"""Shows `nightpress plan`: its table and sentences at 80 columns, its JSON, and what it says where nothing is known."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fakeredis
import pytest

from jobs.batches.segments.line import Outcome
from jobs.lanes.protocol import WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from jobs.prices import Money
from jobs.usage import Usage
from tests.support.command_line import Ran

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any

Run = Callable[..., Ran]


@pytest.fixture
def known(shelf: Shelf) -> Shelf:
    """Six nights of 40 rows each, which took 2 s of an L4 and 100 completion tokens, and an open batch of 6,400 rows."""
    for night in range(6):
        name = f"known-{night}"
        shelf.accept(name, 40)

        def row(number: int) -> Outcome:
            made = shelf.completed(number, usage=Usage(50, 0, 100, 2 * 10**9))
            return replace(made, receipt={**made.receipt, "device": "NVIDIA L4"})

        shelf.write(name, [row(n) for n in range(40)])
        shelf.publish(name)
    shelf.accept("night-1", 6400)
    return shelf


def test_a_plan_fits_80_columns_and_names_the_least_number_of_workers(nightpress: Run, known: Shelf) -> None:
    """The rows are 12,800 s of a worker: with the tail, three workers take a bit more than 71 minutes."""
    ran = nightpress("plan", "--by", "+1h")
    assert (ran.status, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("stub: 6,400 rows in 1 batch, on NVIDIA L4, 64 rows at once by each worker")
    assert any(line.split()[:2] == ["4", "*"] and " yes " in line for line in lines), ran.out
    assert any(line.split()[:1] == ["3"] and " no " in line for line in lines)
    assert "with 4 workers" in ran.out
    assert "- 4 workers keep every deadline in 19 of 20 nights, and fewer do not." in lines
    assert "- The speed is known from 6 rounds, which differed by 0.0%." in lines
    assert "How long the model takes to load is not known" in ran.out


def test_the_json_has_the_same_in_whole_numbers(nightpress: Run, known: Shelf) -> None:
    found = nightpress("plan", "--by", "+1h", "--json").json()
    (lane,) = found["lanes"]
    assert (lane["lane"], lane["model"], lane["rows"], lane["device"]) == ("stub", "stub", 6400, "NVIDIA L4")
    assert lane["least_workers"] == 4
    steps = {step["workers"]: step for step in lane["steps"]}
    assert [steps[n]["in_time"] for n in (3, 4)] == [False, True]
    assert steps[1]["low"] <= steps[1]["end"] <= steps[1]["high"]
    assert steps[1]["device_ns"] == pytest.approx(12_800 * 10**9, rel=0.02)
    assert steps[1]["device_cost"] == pytest.approx(12_800 / 3600 * 700_000_000, rel=0.02)
    assert all(isinstance(step[name], int) for step in lane["steps"] for name in ("device_ns", "device_cost", "charge"))
    (batch,) = lane["batches"]
    assert (batch["batch"], batch["rows"], batch["in_time"]) == ("night-1", 6400, True)
    assert batch["charge"] == 6400 * (50 * 10 + 100 * 40)


@pytest.mark.parametrize(("amount", "ends"), [(6400 * 4500, False), (6400 * 4500 - 1, True)])
def test_a_plan_says_of_a_budget_that_it_ends_before_the_rows(
    nightpress: Run, known: Shelf, amount: int, ends: bool
) -> None:
    """A row is expected to be charged 50 * 10 + 100 * 40."""
    known.accept("night-2", 6400, budget=Money(amount=amount, currency="USD"))
    ran = nightpress("plan", "--json").json()
    (lane,) = ran["lanes"]
    assert ("The budget of night-2 ends before its rows." in lane["reasons"]) == ends
    assert not any("night-1" in reason for reason in lane["reasons"] if "budget" in reason)


def test_without_a_deadline_it_says_what_further_workers_bring(nightpress: Run, known: Shelf) -> None:
    ran = nightpress("plan")
    assert "- No batch has a deadline, so one worker is enough." in ran.out
    assert " * " not in ran.out


def test_the_deadline_of_a_batch_counts(nightpress: Run, known: Shelf) -> None:
    known.accept("night-2", 64, deadline=known.now + timedelta(minutes=5))
    (lane,) = nightpress("plan", "--json").json()["lanes"]
    assert [one["deadline"] is None for one in lane["batches"]] == [True, False]
    assert lane["least_workers"] >= 1


def test_limited_devices_are_divided_and_what_is_late_is_said(nightpress: Run, known: Shelf) -> None:
    ran = nightpress("plan", "--by", "+1h", "--gpus", "2")
    assert "- Even 2 workers may be late for night-1." in ran.out
    assert max(int(line.split()[0]) for line in ran.out.splitlines() if line.strip()[:1].isdigit()) == 2


def test_live_workers_tell_what_they_will_do(nightpress: Run, known: Shelf) -> None:
    queue = RedisQueue(fakeredis.FakeRedis())
    queue.claim("stub", "claim", 1, 60_000, WorkerRecord("w", 1, "n", "stub", 0, 8, device="NVIDIA L4", load_s=30.0))
    ran = nightpress("plan", given_queue=queue)
    assert "- With the 1 worker of now it is done " in ran.out
    assert "8 rows at once" in ran.out
    assert "How long the model takes to load" not in ran.out


def test_nothing_is_made_up_for_a_model_of_which_nothing_is_known(nightpress: Run, shelf: Shelf) -> None:
    shelf.accept("night-1", 100)
    ran = nightpress("plan", "--by", "+1h")
    assert ran.status == 0
    text = " ".join(ran.out.split())
    assert "stub: 100 rows in 1 batch" in text
    assert "Nothing is planned for stub: 20 published rows of it must tell how long its rows are" in text
    assert "and there are none. To learn it" in text
    assert "nightpress run FILE --limit 64" in text
    (lane,) = nightpress("plan", "--json").json()["lanes"]
    assert "steps" not in lane
    assert lane["unknown"]


def test_an_empty_store_has_nothing_to_plan(nightpress: Run, shelf: Shelf) -> None:
    ran = nightpress("plan")
    assert (ran.status, ran.out) == (0, "")
    assert "no row of an open batch waits" in ran.err


def test_a_file_is_planned_before_it_is_enqueued(nightpress: Run, known: Shelf, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"kind": "chat", "model": "stub", "prompt": "Hello"}\n' * 640)
    (lane,) = nightpress("plan", str(file), "--json").json()["lanes"]
    assert [(one["batch"], one["rows"]) for one in lane["batches"]] == [("night-1", 6400), ("the file", 640)]
    assert len(list(known.store.list("open"))) <= 1, "nothing was enqueued"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        pytest.param(["--by", "soon"], "soon", id="no time"),
        pytest.param(["--by", "2020-01-01"], "has passed", id="a time that has passed"),
        pytest.param(["--gpus", "0"], "--gpus", id="no device"),
        pytest.param(["nowhere.jsonl"], "nowhere.jsonl", id="no file"),
    ],
)
def test_a_wrong_request_is_refused_with_a_sentence(nightpress: Run, known: Shelf, wrong: list[str], said: str) -> None:
    ran = nightpress("plan", *wrong)
    assert ran.status == 2
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_a_budget_of_a_tenant_that_is_not_enough_stands_among_the_reasons(
    nightpress: Run, known: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTPRESS_PRICES", '{"models": {"stub": {"prompt": 1000000000, "completion": 1000000000}}}')
    for budget, says in (("1000USD", False), ("0.5USD", True)):
        monkeypatch.setenv("NIGHTPRESS_TENANTS", f'{{"default": {{"budget_a_month": "{budget}"}}}}')
        (lane,) = nightpress("plan", "--json").json()["lanes"]
        named = [reason for reason in lane["reasons"] if reason.startswith("The budget of the tenant default")]
        assert [reason.partition(", which")[0] for reason in named] == (
            ["The budget of the tenant default for 2026-11 has 0.5 USD left"] if says else []
        )

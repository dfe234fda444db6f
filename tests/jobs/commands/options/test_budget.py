"""Shows budgets on the command line: `enqueue --budget`, `status`, `resume --budget` and `usage`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.batches.budgets.granting import Granter
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.published import read_usage
from jobs.batches.rounds import close, latest_done, require_batch
from jobs.prices import Money, Prices
from jobs.usage import Usage
from tests.support.command_line import Ran

DOLLARS = Money(amount=20_000_000_000, currency="USD")
BILLION = 10**9


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"kind":"chat","prompt":"x"}\n' * 2)
    return str(path)


def granted(shelf: Any, batch_id: str) -> OutcomeIndex:
    index = OutcomeIndex(shelf.store, require_batch(shelf.store, batch_id))
    index.refresh()
    assert Granter(shelf.store, Prices(), clock=shelf.clock).grant(index, "stub", 1)
    return index


def stopped(shelf: Any) -> None:
    """Leave the batch night-1 with one row of two done, published because its budget of 20 USD was used up."""
    shelf.accept(rows=2, budget=DOLLARS)
    index = granted(shelf, "night-1")
    shelf.write("night-1", [shelf.completed(0, usage=Usage(1, 0, 1, 1, 0, 20 * BILLION))])
    index.refresh()
    close(shelf.store, "night-1", "over_budget", shelf.clock, budget_entry=1, stopped_by="its budget is used up")
    shelf.publish()


def test_a_budget_is_kept_with_the_batch(nightpress: Callable[..., Ran], shelf: Any, file: str) -> None:
    ran = nightpress("enqueue", file, "--model", "stub", "--budget", "20.5 usd")
    assert ran.status == 0, ran.err
    batch = require_batch(shelf.store, ran.out.strip())
    assert batch.budget == Money(amount=20_500_000_000, currency="USD")
    assert batch.options["budget"] == "20.5 USD"


@pytest.mark.parametrize(
    ("budget", "why"),
    [
        pytest.param("20EUR", "--budget 20 EUR: the prices are in USD", id="another currency"),
        pytest.param(
            "20", "--budget '20': give an amount with a point before its decimals, and its currency", id="bare"
        ),
        pytest.param("20,50EUR", "give an amount with a point", id="a comma"),
        pytest.param("-3USD", "give an amount with a point", id="negative"),
        pytest.param("0USD", "give more than 0", id="nothing"),
    ],
)
def test_a_wrong_budget_is_refused(nightpress: Callable[..., Ran], file: str, budget: str, why: str) -> None:
    ran = nightpress("enqueue", file, "--model", "stub", f"--budget={budget}")
    assert ran.status == 2
    assert why in ran.err


def test_status_says_what_is_used_and_reserved(nightpress: Callable[..., Ran], shelf: Any) -> None:
    shelf.accept(rows=2, budget=DOLLARS)
    index = granted(shelf, "night-1")
    assert index.book is not None
    reserved = index.book.reserved
    (one,) = json.loads(nightpress("status", "night-1", "--json").out)["batches"]
    assert one["budget"] == {
        "currency": "USD",
        "budget": 20 * BILLION,
        "used": 0,
        "reserved": reserved,
        "at_risk": 0,
        "stopped_by": None,
        "until": None,
    }
    shelf.write("night-1", [shelf.completed(0, usage=Usage(1, 0, 1, 1, 0, 7))])
    assert "budget: 0.000000007 USD of 20 USD used, 0 USD reserved, 19.999999993 USD left" in nightpress(
        "status", "night-1"
    ).out.replace("\n    ", " ")


def test_a_batch_that_its_budget_stopped_says_so_and_goes_on(nightpress: Callable[..., Ran], shelf: Any) -> None:
    stopped(shelf)
    done = latest_done(shelf.store, "night-1")
    assert done is not None
    assert read_usage(shelf.store, done, "night-1")["budget"] == {
        "currency": "USD",
        "budget": 20 * BILLION,
        "used": 20 * BILLION,
        "reserved": 0,
        "at_risk": 0,
    }
    to_go_on = "paused: its budget is used up; to go on: nightpress resume night-1 --budget +10USD"
    shown = nightpress("status", "night-1").out.replace("\n    ", " ")
    assert to_go_on in shown
    assert "budget: 20 USD of 20 USD used, 0 USD reserved, 0 USD left" in shown
    assert json.loads(nightpress("status", "night-1", "--json").out)["batches"][0]["state"] == "paused"
    ran = nightpress("wait", "night-1")
    assert (ran.status, to_go_on in ran.err) == (4, True)
    ran = nightpress("resume", "night-1")
    assert (ran.status, "its budget is used up; to go on" in ran.err) == (2, True)
    ran = nightpress("retry", "night-1")
    assert ran.status == 2
    ran = nightpress("resume", "night-1", "--budget", "+10.5USD")
    assert (ran.status, ran.err) == (0, "night-1 goes on, with a budget of 30.5 USD\n")
    assert json.loads(nightpress("status", "night-1", "--json").out)["batches"][0]["budget"]["budget"] == 30_500_000_000


@pytest.mark.parametrize(
    ("args", "why"),
    [
        pytest.param(["night-1", "--budget", "+10EUR"], "night-1 has a budget in USD: add USD to it", id="currency"),
        pytest.param(["free", "--budget", "+10USD"], "free was enqueued without a budget", id="no budget"),
        pytest.param(["stub", "--budget", "+10USD"], "--budget is for a batch, and 'stub' is a lane", id="lane"),
        pytest.param(["night-1", "--budget", "ten"], "--budget 'ten': give an amount", id="no amount"),
    ],
)
def test_a_wrong_addition_is_refused(nightpress: Callable[..., Ran], shelf: Any, args: list[str], why: str) -> None:
    shelf.accept(rows=2, budget=DOLLARS)
    shelf.accept("free", rows=2)
    ran = nightpress("resume", *args)
    assert ran.status == 2
    assert why in ran.err

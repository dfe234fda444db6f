"""Shows workers/fleet/staffing/deadlines.py: how many workers the deadlines of a lane need; the number does not waver."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.accounts.experience import Experience
from jobs.errors import StoreUnavailable
from jobs.planning.backlog import Lane, Lengths, Rate, Waiting
from jobs.planning.demand import Demand, Wanted
from jobs.planning.sketch import Sketch
from jobs.prices import Prices, TokenPrices
from jobs.settings import Settings
from workers.fleet.aside import in_line
from workers.fleet.staffing import deadlines as module
from workers.fleet.staffing.deadlines import READ_S, STEADY_S, Deadlines

SWEEPER: Any = SimpleNamespace(store=None, batches=(), clock=lambda: None)


class Forecast:
    """What the plan says at a time that a test moves, and how often the accounts were read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds, self.reads = 0.0, 0
        self.wanted: Mapping[str, Wanted] = {}
        monkeypatch.setattr(module, "backlogs", lambda *_: ())
        monkeypatch.setattr(module, "workers_wanted", lambda _: self.wanted)
        monkeypatch.setattr(Experience, "read", self._read)
        self.deadlines = Deadlines(Settings(), in_line, lambda: self.seconds)

    def say(self, least: int, *, has_deadlines: bool = True) -> int | None:
        self.wanted = {"a": Wanted(least, 99, True, "", has_deadlines)}
        self.deadlines.look(SWEEPER, {})
        return self.deadlines.least("a")

    def _read(self, store: object) -> Experience:
        self.reads += 1
        if self.reads == 1:
            raise StoreUnavailable("it does not answer")
        return Experience()


@pytest.fixture
def forecast(monkeypatch: pytest.MonkeyPatch) -> Forecast:
    return Forecast(monkeypatch)


def test_a_number_rises_at_once_and_falls_after_a_while(forecast: Forecast) -> None:
    assert forecast.say(3) == 3
    forecast.seconds = 10
    assert forecast.say(5) == 5
    forecast.seconds = 20
    assert forecast.say(2) == 5
    forecast.seconds = 9 + STEADY_S
    assert forecast.say(2) == 5
    forecast.seconds = 10 + STEADY_S
    assert forecast.say(2) == 2


def test_rows_without_a_deadline_are_left_to_the_rows(forecast: Forecast) -> None:
    assert forecast.say(3) == 3
    assert forecast.say(1, has_deadlines=False) is None
    assert forecast.deadlines.least("b") is None


def test_the_accounts_are_read_now_and_then_also_after_a_fault(forecast: Forecast) -> None:
    for forecast.seconds, reads in ((0, 1), (READ_S - 1, 1), (READ_S, 2), (READ_S + 1, 2)):
        forecast.say(1)
        assert forecast.reads == reads


def test_rows_that_no_budget_pays_for_need_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a budget 6,400 rows of 2 s need several workers for an hour; the budget pays for a tenth of them."""
    lengths = Lengths(Sketch.of([50] * 40), Sketch.of([100] * 40))
    prices = Prices(currency="EUR", device_hour={}, models={"m": TokenPrices(prompt=0, completion=1_000_000)})

    def least(budget: int | None) -> int | None:
        lane = Lane("m", lengths, (Waiting("night-1", 6_400, 3_600.0, budget=budget),))
        demand = Demand("a", lane, Rate("cpu", 1e9, 50.0, 8), 8)
        monkeypatch.setattr(module, "backlogs", lambda *_: [demand])
        deadlines = Deadlines(Settings(prices=prices), lambda _: None)
        deadlines.look(SWEEPER, {})
        return deadlines.least("a")

    without = least(None)
    assert without is not None
    assert without >= 4
    assert least(6_400 * 100) == without
    assert least(640 * 100) == 1

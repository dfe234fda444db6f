"""Shows jobs/batches/budgets/tenant_accounts.py: the rows of a tenant never cost more than its budget, over all batches."""

from datetime import UTC, datetime
from typing import Any, Final

import pytest
from pydantic import ValidationError

from jobs.batches.allowance import allowance
from jobs.batches.batch import Batch, Closed
from jobs.batches.budgets.granting import Granter
from jobs.batches.budgets.stopping import outlook
from jobs.batches.budgets.tenant_accounts import TenantAccounts
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.rounds import close, open_next_round, read_marker, read_round
from jobs.prices import Money
from jobs.publishing.publish import publish
from jobs.settings import Settings
from tests.jobs.batches.budgets.rows import LANE, PRICES, charged, reserved

DAY: Final = "news/2026-11-23"
MONTH: Final = "news/2026-11"


def settings(**tenant: Any) -> Settings:
    return Settings(model="stub", prices=PRICES, tenants={"news": tenant})


class Fleet:
    """Batches of the tenant news, and processes that grant their rows."""

    def __init__(self, shelf: Any, **tenant: Any) -> None:
        self.shelf = shelf
        self.settings = settings(**tenant)

    def granter(self) -> Granter:
        """A new process."""
        accounts = TenantAccounts(self.shelf.store, self.settings, self.shelf.clock)
        return Granter(self.shelf.store, PRICES, accounts, self.shelf.clock)

    def accept(self, name: str, rows: int = 10, tenant: str = "news") -> Batch:
        batch: Batch = self.shelf.accept(name, rows=rows, tenants=(tenant,))
        return batch

    def index(self, batch: Batch) -> OutcomeIndex:
        index = OutcomeIndex(self.shelf.store, batch)
        index.refresh()
        return index

    def grant(self, granter: Granter, index: OutcomeIndex) -> list[int]:
        """Grant until nothing is left, and return the rows that may be fed."""
        assert granter.limits(index)
        while granter.grant(index, LANE, 100):
            pass
        return [row for row in range(index.batch.rows) if allowance(index, LANE).allows(row)]

    def held(self) -> dict[str, int]:
        states = TenantAccounts(self.shelf.store, self.settings, self.shelf.clock).states()
        return {f"{one.tenant}/{one.period}": one.held for one in states}

    def write(self, index: OutcomeIndex, *lines: Any) -> None:
        self.shelf.write(index.batch.batch_id, lines)
        index.refresh()


def euros(amount: int) -> Money:
    return Money(amount=amount, currency="EUR")


def test_all_batches_of_a_tenant_share_its_budget(shelf: Any) -> None:
    fleet = Fleet(shelf, budget_a_day=euros(3 * reserved(0)))
    one, other = fleet.index(fleet.accept("one")), fleet.index(fleet.accept("other"))
    assert fleet.grant(fleet.granter(), one) == [0, 1, 2]
    assert fleet.grant(fleet.granter(), other) == []
    assert fleet.held() == {DAY: 3 * reserved(0)}


def test_another_tenant_is_not_limited(shelf: Any) -> None:
    fleet = Fleet(shelf, budget_a_day=euros(1))
    index = fleet.index(fleet.accept("one", tenant="others"))
    assert not fleet.granter().limits(index)


def test_the_smaller_of_two_budgets_holds(shelf: Any) -> None:
    fleet = Fleet(shelf, budget_a_day=euros(5 * reserved(0)), budget_a_month=euros(2 * reserved(0)))
    assert fleet.grant(fleet.granter(), fleet.index(fleet.accept("one"))) == [0, 1]
    assert fleet.held() == {DAY: 2 * reserved(0), MONTH: 2 * reserved(0)}


def test_what_rows_did_not_cost_pays_for_the_rows_of_another_batch(shelf: Any) -> None:
    fleet = Fleet(shelf, budget_a_day=euros(3 * reserved(0)))
    one, other = fleet.index(fleet.accept("one", rows=3)), fleet.index(fleet.accept("other"))
    granter = fleet.granter()
    fleet.grant(granter, one)
    fleet.write(one, *(charged(shelf, row, 1) for row in range(3)))
    granter.accounts.settle(one, at_end=False)
    assert fleet.held() == {DAY: 3}
    assert fleet.grant(fleet.granter(), other) == [0, 1]


def test_rows_that_failed_are_paid_back_once_the_round_is_published(shelf: Any) -> None:
    fleet = Fleet(shelf, budget_a_day=euros(3 * reserved(0)))
    one = fleet.index(fleet.accept("one", rows=2))
    granter = fleet.granter()
    fleet.grant(granter, one)
    fleet.write(one, shelf.failed(0), charged(shelf, 1, 5))
    granter.accounts.settle(one, at_end=False)
    assert fleet.held() == {DAY: reserved(0) + 5}, "a lost attempt may complete the row after all"
    publish(shelf.store, "one", prices=PRICES, clock=shelf.clock)
    granter.accounts.settle(one, at_end=True)
    assert fleet.held() == {DAY: 5}


def test_a_process_that_dies_between_both_logs_leaves_no_money_granted_twice(shelf: Any) -> None:
    fleet = Fleet(shelf, budget_a_day=euros(3 * reserved(0)))
    batch = fleet.accept("one")
    dead, index = fleet.granter(), fleet.index(batch)
    assert dead.limits(index)
    entry = dead._next(index, LANE, 2)
    assert entry is not None
    assert dead.accounts.hold(index, entry)
    assert fleet.held() == {DAY: reserved(0)}, "one row is more than a chunk"
    assert fleet.grant(fleet.granter(), fleet.index(batch)) == [0, 1, 2]
    assert fleet.held() == {DAY: 3 * reserved(0)}


def test_an_account_that_another_batch_has_emptied_meanwhile_holds_nothing_more(shelf: Any) -> None:
    fleet = Fleet(shelf, budget_a_day=euros(2 * reserved(0)))
    one, other = fleet.index(fleet.accept("one")), fleet.index(fleet.accept("other"))
    slow = fleet.granter()
    assert slow.limits(one)
    entry = slow._next(one, LANE, 1)
    assert entry is not None
    assert fleet.grant(fleet.granter(), other) == [0, 1]
    assert not slow.accounts.hold(one, entry)
    assert fleet.held() == {DAY: 2 * reserved(0)}


def test_what_a_dead_process_had_held_is_given_back_once_no_row_is_at_work(shelf: Any) -> None:
    fleet = Fleet(shelf, budget_a_day=euros(3 * reserved(0)))
    batch = fleet.accept("one")
    dead, index = fleet.granter(), fleet.index(batch)
    assert dead.limits(index)
    assert dead.grant(index, LANE, 1)
    entry = dead._next(index, LANE, 1)
    assert entry is not None
    assert dead.accounts.hold(index, entry)
    fleet.write(index, charged(shelf, 0, 2))
    fleet.granter().accounts.settle(index, at_end=False)
    assert fleet.held() == {DAY: 2}
    assert not dead.accounts.may_return(DAY, index)
    assert read_round(shelf.store, batch).budget_entries == 2, "the place of the grant that was not made is taken"


def test_an_entry_that_comes_late_does_not_lower_what_is_held(shelf: Any) -> None:
    fleet = Fleet(shelf, budget_a_day=euros(5 * reserved(0)))
    batch = fleet.accept("one")
    slow, old = fleet.granter(), fleet.index(batch)
    assert slow.limits(old)
    entry = slow._next(old, LANE, 1)
    assert entry is not None
    assert fleet.grant(fleet.granter(), fleet.index(batch)) == [0, 1, 2, 3, 4]
    slow.accounts.hold(old, entry)
    slow.accounts.settle(old, at_end=True)
    assert fleet.held() == {DAY: 5 * reserved(0)}


def test_a_batch_that_the_budget_stops_goes_on_in_the_next_period(shelf: Any) -> None:
    fleet = Fleet(shelf, budget_a_day=euros(reserved(0)), time_zone="Europe/Berlin")
    batch = fleet.accept("one", rows=2)
    granter, index = fleet.granter(), fleet.index(batch)
    assert fleet.grant(granter, index) == [0]
    assert outlook(granter, index) == (False, None), "a row is at work"
    fleet.write(index, charged(shelf, 0, reserved(0)))
    _, stop = outlook(granter, index)
    assert stop is not None
    assert stop.words == "the budget of tenant news for 2026-11-23 is used up"
    shelf.store.create("open/one", b"")
    close(
        shelf.store,
        "one",
        "over_budget",
        shelf.clock,
        budget_entry=stop.number,
        until=stop.until,
        stopped_by=stop.words,
    )
    publish(shelf.store, "one", prices=PRICES, clock=shelf.clock)
    closed = read_marker(shelf.store, "batches/one/closed-1.json", Closed)
    assert closed.until == datetime(2026, 11, 23, 23, 0, tzinfo=UTC), "midnight in Berlin"
    assert shelf.store.exists("open/one"), "fleets look at the batch again"
    assert read_round(shelf.store, batch).waits_for_period
    assert not open_next_round(shelf.store, batch, shelf.clock)
    shelf.now = closed.until
    assert open_next_round(shelf.store, batch, shelf.clock)
    assert fleet.grant(fleet.granter(), fleet.index(batch)) == [1]
    assert fleet.held() == {"news/2026-11-24": reserved(1)}


def test_a_batch_waits_while_another_may_give_money_back(shelf: Any) -> None:
    fleet = Fleet(shelf, budget_a_day=euros(reserved(0)))
    one, other = fleet.index(fleet.accept("one", rows=1)), fleet.index(fleet.accept("other", rows=1))
    fleet.grant(fleet.granter(), one)
    granter = fleet.granter()
    assert granter.limits(other)
    assert outlook(granter, other) == (True, None)
    fleet.write(one, charged(shelf, 0, reserved(0)))
    fleet.granter().accounts.settle(one, at_end=False)
    more, stop = outlook(granter, other)
    assert not more
    assert stop is not None


def test_money_of_a_batch_whose_publisher_died_is_given_back_when_another_needs_it(shelf: Any) -> None:
    fleet = Fleet(shelf, budget_a_day=euros(reserved(0)))
    one, other = fleet.index(fleet.accept("one", rows=1)), fleet.index(fleet.accept("other", rows=1))
    fleet.grant(fleet.granter(), one)
    fleet.write(one, charged(shelf, 0, 0))
    publish(shelf.store, "one", prices=PRICES, clock=shelf.clock)
    granter = fleet.granter()
    assert granter.limits(other)
    assert fleet.held() == {DAY: reserved(0)}
    assert outlook(granter, other) == (True, None)
    assert fleet.held() == {DAY: 0}
    assert fleet.grant(granter, other) == [0]


def test_the_end_of_a_month() -> None:
    shelf_free = TenantAccounts(None, settings(budget_a_month=euros(1)))  # type: ignore[arg-type]
    assert shelf_free.until("news/2026-12") == datetime(2027, 1, 1, tzinfo=UTC)
    assert shelf_free.until("news/2026-02") == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("tenant", "why"),
    [
        pytest.param(
            {"budget_a_day": "20"}, "give an amount with a point before its decimals, and its currency", id="bare"
        ),
        pytest.param({"budget_a_day": "0EUR"}, "give more than 0", id="nothing"),
        pytest.param({"budget_a_month": "20USD"}, "it is in USD, and the prices are in EUR", id="another currency"),
        pytest.param(
            {"budget_a_day": "1EUR", "time_zone": "Mars/North"}, "there is no time zone 'Mars/North'", id="zone"
        ),
    ],
)
def test_wrong_budgets_are_refused(tenant: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        settings(**tenant)


def test_amounts_are_typed_as_text() -> None:
    found = settings(budget_a_day="0.5 eur", budget_a_month="1_000EUR").tenants["news"]
    assert (found.budget_a_day, found.budget_a_month) == (euros(500_000_000), euros(1_000 * 10**9))

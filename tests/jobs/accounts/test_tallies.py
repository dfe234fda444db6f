"""Shows jobs/accounts/tallies.py: published rounds are added up by any of five keys, exactly."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from jobs.accounts.summary import Tally
from jobs.accounts.tallies import Key, tallies
from jobs.batches.rounds import reopen
from jobs.usage import Usage
from tests.support.accounts import sizes_of

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


def used(*rows: int) -> Tally:
    """The sum of what `Shelf.completed` uses for these rows."""
    return Tally(
        len(rows),
        Usage(
            sum(100 + row for row in rows),
            0,
            10 * len(rows),
            1_000_000_000 * len(rows),
            13_889 * len(rows),
            sum(1_400_000 + 10_000 * row for row in rows),
        ),
        sizes=sizes_of(Usage(100 + row, 0, 10, 1_000_000_000) for row in rows),
    )


@pytest.fixture
def two_batches(shelf: Shelf) -> Shelf:
    """A batch of four rows, each of another tenant: two completed, one failed, one refused. Three hours later another batch."""
    shelf.accept("first", 4, refused=[1], kinds=["chat", "article"], tenants=["acme", "none", "zeta", "best"])
    shelf.write("first", [shelf.completed(3, kind="article"), shelf.completed(0), shelf.failed(2)])
    shelf.publish("first")
    shelf.pass_s(3 * 3600)
    shelf.accept("second", 1)
    shelf.write("second", [shelf.completed(0)])
    shelf.publish("second")
    shelf.accept("open", 1)
    return shelf


@pytest.mark.parametrize(
    ("by", "sums"),
    [
        pytest.param("batch", {"first": used(0, 3), "second": used(0)}, id="batch"),
        pytest.param("day", {"2026-11-23": used(0, 3), "2026-11-24": used(0)}, id="day of publishing, in UTC"),
        pytest.param("model", {"stub": used(0, 3, 0)}, id="model"),
        pytest.param("kind", {"article": used(3), "chat": used(0, 0)}, id="kind"),
        pytest.param("tenant", {"acme": used(0), "best": used(3), "default": used(0)}, id="the tenant of each row"),
    ],
)
def test_rows_are_added_up_by_key(by: Key, sums: dict[str, Tally], two_batches: Shelf) -> None:
    assert tallies(two_batches.store, by) == {"USD": sums}


@pytest.mark.parametrize(
    ("since", "until", "batches"),
    [
        pytest.param(datetime(2026, 11, 24, tzinfo=UTC), None, ["second"], id="since"),
        pytest.param(None, datetime(2026, 11, 24, tzinfo=UTC), ["first"], id="until"),
        pytest.param(datetime(2026, 11, 23, 22, tzinfo=UTC), None, ["first", "second"], id="since is included"),
        pytest.param(None, datetime(2026, 11, 23, 22, tzinfo=UTC), [], id="until is excluded"),
    ],
)
def test_rounds_published_in_a_span_are_added_up(
    since: datetime | None, until: datetime | None, batches: list[str], two_batches: Shelf
) -> None:
    sums = tallies(two_batches.store, "batch", since=since, until=until)
    assert list(sums.get("USD", {})) == batches


def test_a_further_round_counts_once_and_on_its_own_day(shelf: Shelf) -> None:
    shelf.accept(rows=2)
    shelf.write("night-1", [shelf.completed(0), shelf.failed(1)])
    shelf.publish()
    shelf.pass_s(24 * 3600)
    reopen(shelf.store, "night-1", clock=shelf.clock)
    shelf.write("night-1", [shelf.completed(1, round_=2)])
    assert tallies(shelf.store, "day") == {"USD": {"2026-11-23": used(0)}}, "the open round is not counted"
    shelf.publish()
    assert tallies(shelf.store, "day") == {"USD": {"2026-11-23": used(0), "2026-11-24": used(1)}}
    assert tallies(shelf.store, "batch") == {"USD": {"night-1": used(0, 1)}}


def test_without_a_published_batch_the_sums_are_empty(shelf: Shelf) -> None:
    shelf.accept()
    assert tallies(shelf.store, "kind") == {}


def test_each_row_counts_in_the_currency_that_it_was_charged_in(shelf: Shelf) -> None:
    shelf.accept(rows=4)
    shelf.write("night-1", [shelf.priced(0, "EUR"), shelf.failed(1), shelf.failed(2)])
    shelf.write("night-1", [shelf.completed(3)])
    shelf.publish()
    assert tallies(shelf.store, "batch") == {"EUR": {"night-1": used(0, 3)}}
    reopen(shelf.store, "night-1", clock=shelf.clock)
    shelf.write("night-1", [shelf.priced(1, "EUR", round_=2)])
    shelf.write("night-1", [shelf.priced(2, "USD", round_=2)])
    shelf.publish()
    assert tallies(shelf.store, "batch") == {"EUR": {"night-1": used(0, 1, 3)}, "USD": {"night-1": used(2)}}


@pytest.mark.parametrize(
    ("by", "verdicts"),
    [
        pytest.param("batch", {"first": (4, 2, 1)}, id="batch"),
        pytest.param("day", {"2026-11-23": (3, 1, 1), "2026-11-24": (1, 1, 0)}, id="day"),
        pytest.param("model", {"stub": (4, 2, 1)}, id="model"),
        pytest.param("kind", {"article": (2, 1, 1), "chat": (2, 1, 0)}, id="kind"),
        pytest.param("tenant", {"acme": (2, 1, 0), "zeta": (2, 1, 1)}, id="tenant"),
    ],
)
def test_verdicts_are_added_up_by_key(by: Key, verdicts: dict[str, tuple[int, int, int]], shelf: Shelf) -> None:
    shelf.accept("first", 4, tenants=["acme", "zeta"])
    shelf.write("first", [shelf.completed(0, verdict="fit"), shelf.completed(1, verdict="review", kind="article")])
    shelf.write("first", [shelf.completed(2), shelf.failed(3)])
    shelf.publish("first")
    shelf.pass_s(24 * 3600)
    reopen(shelf.store, "first", clock=shelf.clock)
    shelf.write("first", [shelf.completed(3, verdict="fit", kind="article", round_=2)])
    shelf.publish("first")
    found = tallies(shelf.store, by)["USD"]
    assert {key: (one.rows, one.fit, one.review) for key, one in found.items()} == verdicts

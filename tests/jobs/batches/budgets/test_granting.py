"""Shows jobs/batches/budgets/ and jobs/batches/allowance.py: grants never exceed a budget, whoever makes them."""

from typing import Any

import pytest

from jobs.batches.allowance import allowance
from jobs.batches.batch import Batch, BatchPaths, Renewal
from jobs.batches.budgets.book import CHUNKS
from jobs.batches.budgets.granting import Granter
from jobs.batches.budgets.reservation import capped, most_tokens, reservation
from jobs.batches.budgets.stopping import outlook
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.request_row import RowRequest
from jobs.batches.rounds import add_to_budget, close, open_next_round, read_round, reopen, resume
from jobs.batches.segments.line import Outcome
from jobs.commands.views.row import lines
from jobs.errors import RequestError
from jobs.kinds.registry import load_kinds
from jobs.operations.row_history import row_history
from jobs.prices import Money, TokenPrices, formatted
from jobs.usage import Usage
from tests.jobs.batches.budgets.rows import LANE, PRICES, charged, reserved


def budget(amount: int) -> Money:
    return Money(amount=amount, currency="EUR")


class Feeders:
    """A batch of a shelf, and any number of processes that grant its rows."""

    def __init__(self, shelf: Any, rows: int, amount: int) -> None:
        self.shelf = shelf
        self.batch: Batch = shelf.accept(rows=rows, budget=budget(amount))
        self.granter = Granter(shelf.store, PRICES, clock=shelf.clock)

    def index(self) -> OutcomeIndex:
        index = OutcomeIndex(self.shelf.store, self.batch)
        index.refresh()
        return index

    def grant(self, index: OutcomeIndex, rows: int = 100) -> list[int]:
        """Grant until nothing is left, and return the rows that may be fed."""
        while self.granter.grant(index, LANE, rows):
            pass
        return self.fed(index)

    def fed(self, index: OutcomeIndex) -> list[int]:
        return [row for row in range(self.batch.rows) if allowance(index, LANE).allows(row)]

    def write(self, *outcomes: Outcome) -> None:
        self.shelf.write(self.batch.batch_id, outcomes)

    def entries(self) -> int:
        return read_round(self.shelf.store, self.batch).budget_entries


def test_a_row_shows_what_is_reserved_for_it(shelf: Any) -> None:
    feeders = Feeders(shelf, rows=3, amount=reserved(0) + reserved(1))
    feeders.grant(feeders.index())
    histories = [row_history(shelf.store, feeders.batch.batch_id, row, load_kinds()) for row in range(3)]
    assert [one.reserved for one in histories] == [
        {"amount": reserved(0), "currency": "EUR"},
        {"amount": reserved(1), "currency": "EUR"},
        None,
    ]
    shown = [[line for line in lines(one, "EUR") if line.startswith("reserved")] for one in histories]
    assert shown[0] == [f"reserved of the budget: at most {formatted(reserved(0), 'EUR')} are charged"]
    assert shown[2] == []


def test_rows_are_granted_in_their_order_as_far_as_the_budget_pays(shelf: Any) -> None:
    feeders = Feeders(shelf, rows=10, amount=sum(map(reserved, range(4))))
    index = feeders.index()
    assert feeders.fed(index) == []
    assert allowance(index, LANE).ends_at(0)
    assert feeders.grant(index) == [0, 1, 2, 3]
    assert index.limit().left == 0
    assert not allowance(index, LANE).ends_at(0)
    assert feeders.fed(feeders.index()) == [0, 1, 2, 3], "another process reads the same from storage"


def test_a_batch_without_a_budget_may_be_fed_as_a_whole(shelf: Any) -> None:
    batch = shelf.accept(rows=3)
    index = OutcomeIndex(shelf.store, batch)
    index.refresh()
    allowed = allowance(index, LANE)
    assert allowed.allows(2)
    assert not allowed.ends_at(1 << 40)


def test_what_a_row_did_not_cost_pays_for_the_next(shelf: Any) -> None:
    feeders = Feeders(shelf, rows=10, amount=2 * reserved(0))
    index = feeders.index()
    assert feeders.grant(index) == [0, 1]
    feeders.write(charged(shelf, 0, 5))
    index.refresh()
    assert (index.limit().used, index.limit().reserved) == (5, reserved(1))
    assert feeders.grant(index) == [1], "the charge of row 0 is more than is left for row 2"
    feeders.write(charged(shelf, 1, 0))
    index.refresh()
    assert feeders.grant(index) == [2]


def test_two_processes_never_grant_the_same_money(shelf: Any) -> None:
    feeders = Feeders(shelf, rows=10, amount=3 * reserved(0))
    one, other = feeders.index(), feeders.index()
    assert feeders.granter.grant(one, LANE, 1)
    feeders.grant(other)
    feeders.grant(one)
    one.refresh()
    assert feeders.fed(one) == feeders.fed(other) == [0, 1, 2]
    assert one.limit().reserved == 3 * reserved(0)


def test_a_grant_that_another_entry_forestalled_is_made_again(shelf: Any) -> None:
    feeders = Feeders(shelf, rows=10, amount=2 * reserved(0))
    slow = feeders.index()
    add_to_budget(shelf.store, feeders.batch, budget(reserved(0)), shelf.clock)
    assert feeders.grant(slow) == [0, 1, 2]
    assert feeders.fed(feeders.index()) == [0, 1, 2]


def test_an_old_state_of_the_segments_grants_too_little_and_never_too_much(shelf: Any) -> None:
    feeders = Feeders(shelf, rows=10, amount=2 * reserved(0))
    old = feeders.index()
    feeders.grant(old)
    feeders.write(charged(shelf, 0, 1), charged(shelf, 1, 1))
    assert feeders.grant(old) == [0, 1]
    assert feeders.grant(feeders.index()) == [2]


def test_a_grant_takes_one_chunk_of_the_budget(shelf: Any) -> None:
    feeders = Feeders(shelf, rows=300, amount=CHUNKS * 3 * reserved(299))
    index = feeders.index()
    assert feeders.granter.grant(index, LANE, 1000)
    assert feeders.fed(index) == [0, 1, 2]


def test_a_row_dearer_than_the_whole_budget_is_passed_over(shelf: Any) -> None:
    feeders = Feeders(shelf, rows=3, amount=reserved(0) - 1)
    index = feeders.index()
    assert feeders.grant(index) == []
    more, stop = outlook(feeders.granter, index)
    assert not more
    assert stop is not None
    assert stop.words.startswith("each of the rows that are left could cost more than the whole budget of 0.00000")
    close(shelf.store, feeders.batch.batch_id, "over_budget", shelf.clock, budget_entry=stop.number, stopped_by="x")
    assert shelf.publish().counts["expired"] == 3
    assert not open_next_round(shelf.store, feeders.batch, shelf.clock)
    assert add_to_budget(shelf.store, feeders.batch, budget(1), shelf.clock) == reserved(0)
    index = feeders.index()
    assert index.round == 2
    assert feeders.grant(index) == [0]


def test_no_row_is_granted_while_the_prices_are_in_another_currency(shelf: Any) -> None:
    batch = shelf.accept(rows=3, budget=Money(amount=10**9, currency="USD"))
    index = OutcomeIndex(shelf.store, batch)
    index.refresh()
    granter = Granter(shelf.store, PRICES)
    assert not granter.grant(index, LANE, 3)
    assert granter.fault(index.limit()) == (
        "its budget is in USD, and the prices of the workers are in EUR: give [prices] in USD"
    )
    assert outlook(granter, index) == (True, None), "the batch waits for other prices, and is not stopped"


def test_rows_are_charged_by_the_prices_of_the_first_grant(shelf: Any) -> None:
    feeders = Feeders(shelf, rows=10, amount=2 * reserved(0))
    feeders.grant(feeders.index())
    feeders.write(charged(shelf, 0, 1), charged(shelf, 1, 1))
    dearer = PRICES.model_copy(update={"models": {"stub": TokenPrices(prompt=10**9)}, "version": "later"})
    index = feeders.index()
    assert Granter(shelf.store, dearer).grant(index, LANE, 1)
    assert feeders.fed(index) == [2]
    assert feeders.index().limit().prices == PRICES


def test_a_row_is_charged_no_more_than_was_reserved_for_it() -> None:
    row = RowRequest(0, 1, "chat", "stub", {"prompt": "x"}, most=(10, 20))
    assert most_tokens(row) == (10, 20)
    assert reservation(row, PRICES) == 50
    assert capped(Usage(charge=50), row, PRICES).charge == 50
    assert capped(Usage(charge=51), row, PRICES).charge == 50


def test_the_cheaper_of_two_completed_lines_is_published_and_counted(shelf: Any) -> None:
    feeders = Feeders(shelf, rows=1, amount=reserved(0))
    feeders.grant(feeders.index())
    feeders.write(charged(shelf, 0, 7))
    feeders.write(charged(shelf, 0, 3, output={"text": "late"}))
    assert feeders.index().limit().used == 7
    done = shelf.publish()
    assert [(row["output"]["text"], row["usage"]["charge"]) for row in shelf.rows(done)] == [("late", 3)]


@pytest.mark.parametrize("failed", [0, 1, 2, 3, 9])
def test_of_rows_that_failed_and_may_complete_after_all_a_chunk_is_granted_again(shelf: Any, failed: int) -> None:
    amount = sum(map(reserved, range(100)))  # a chunk pays for two rows
    feeders = Feeders(shelf, rows=300, amount=amount)
    index = feeders.index()
    assert feeders.grant(index) == list(range(100))
    feeders.write(*map(shelf.failed, range(failed)))
    index.refresh()
    book = index.limit()
    assert book.at_risk == sum(map(reserved, range(failed)))
    assert book.left == min(book.at_risk, book.chunk)
    feeders.write(*(charged(shelf, row, 1) for row in range(failed)))
    index.refresh()
    assert (book.at_risk, book.used) == (0, failed)


def test_a_row_that_is_sent_back_is_paid_from_the_budget_again(shelf: Any) -> None:
    feeders = Feeders(shelf, rows=2, amount=3 * reserved(0))
    feeders.grant(feeders.index())
    feeders.write(charged(shelf, 0, 4), charged(shelf, 1, 6))
    shelf.publish()
    assert feeders.index().limit().used == 10
    reopen(shelf.store, feeders.batch.batch_id, [1], clock=shelf.clock)
    index = feeders.index()
    assert index.limit().used == 4, "what row 1 was charged is no longer charged"
    assert feeders.grant(index) == [1]
    feeders.write(charged(shelf, 1, 5, round_=2))
    assert feeders.index().limit().used == 9
    assert shelf.publish().round == 2


def test_a_renewed_row_may_keep_its_text_so_both_count(shelf: Any) -> None:
    feeders = Feeders(shelf, rows=1, amount=3 * reserved(0))
    feeders.grant(feeders.index())
    feeders.write(charged(shelf, 0, 4))
    shelf.publish()
    reopen(shelf.store, feeders.batch.batch_id, clock=shelf.clock, renews=[Renewal(rows=(0,))])
    index = feeders.index()
    assert index.limit().used == 4
    assert feeders.grant(index) == [0]
    assert index.limit().reserved == reserved(0)
    feeders.write(charged(shelf, 0, 5, round_=2))
    assert feeders.index().limit().used == 9


def test_money_is_added_while_the_batch_runs_and_after_it_stopped(shelf: Any) -> None:
    feeders = Feeders(shelf, rows=4, amount=reserved(0))
    index = feeders.index()
    feeders.grant(index)
    assert add_to_budget(shelf.store, feeders.batch, budget(reserved(1)), shelf.clock) == 2 * reserved(0)
    index.refresh()
    assert feeders.grant(index) == [0, 1]
    feeders.write(charged(shelf, 0, reserved(0)), charged(shelf, 1, reserved(1)))
    index.refresh()
    more, stop = outlook(feeders.granter, index)
    assert (more, stop is not None and stop.until) == (False, None)
    assert stop is not None
    close(shelf.store, feeders.batch.batch_id, "over_budget", shelf.clock, budget_entry=stop.number, stopped_by="it is")
    done = shelf.publish()
    assert (done.counts["completed"], done.counts["expired"]) == (2, 2)
    assert shelf.statuses(done)[3] == "over_budget"
    with pytest.raises(RequestError, match="is paused: it is; to go on: nightpress resume night-1 --budget"):
        resume(shelf.store, feeders.batch, shelf.clock)
    with pytest.raises(RequestError, match="nothing can be run again before there is more"):
        reopen(shelf.store, feeders.batch.batch_id, clock=shelf.clock)
    add_to_budget(shelf.store, feeders.batch, budget(reserved(2)), shelf.clock)
    assert feeders.grant(feeders.index()) == [2]


def test_money_that_is_added_between_the_stop_and_the_publishing_is_not_lost(shelf: Any) -> None:
    feeders = Feeders(shelf, rows=2, amount=reserved(0))
    index = feeders.index()
    feeders.grant(index)
    feeders.write(charged(shelf, 0, reserved(0)))
    index.refresh()
    _, stop = outlook(feeders.granter, index)
    assert stop is not None
    add_to_budget(shelf.store, feeders.batch, budget(reserved(1)), shelf.clock)
    close(shelf.store, feeders.batch.batch_id, "over_budget", shelf.clock, budget_entry=stop.number, stopped_by="")
    shelf.publish()
    assert feeders.grant(feeders.index()) == [1]


def test_a_stopped_batch_that_was_cancelled_does_not_go_on(shelf: Any) -> None:
    feeders = Feeders(shelf, rows=2, amount=1)
    close(shelf.store, feeders.batch.batch_id, "over_budget", shelf.clock, budget_entry=0, stopped_by="")
    close(shelf.store, feeders.batch.batch_id, "cancelled", shelf.clock)
    shelf.publish()
    with pytest.raises(RequestError, match="has ended"):
        add_to_budget(shelf.store, feeders.batch, budget(10**9), shelf.clock)
    assert not open_next_round(shelf.store, feeders.batch, shelf.clock)


def test_the_deadline_that_passed_while_the_batch_waited_does_not_end_it(shelf: Any) -> None:
    deadline = shelf.clock()
    batch = shelf.accept(rows=2, budget=budget(1), deadline=deadline)
    close(shelf.store, batch.batch_id, "over_budget", shelf.clock, budget_entry=0, stopped_by="")
    shelf.publish()
    shelf.pass_s(1)
    add_to_budget(shelf.store, batch, budget(10**9), shelf.clock)
    assert read_round(shelf.store, batch).deadline is None


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        pytest.param({}, "was enqueued without a budget", id="no budget"),
        pytest.param({"budget": budget(10**18 - 1)}, "more than a billion", id="too much"),
    ],
)
def test_money_is_refused_where_it_makes_no_sense(shelf: Any, fields: dict[str, Any], why: str) -> None:
    batch = shelf.accept(rows=1, **fields)
    with pytest.raises(RequestError, match=why):
        add_to_budget(shelf.store, batch, budget(2), shelf.clock)
    assert not shelf.store.exists(BatchPaths(batch.batch_id).budget(1))

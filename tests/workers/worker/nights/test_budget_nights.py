"""Nights with budgets: real workers charge by the prices of the first grant, and no more than was reserved."""

from collections.abc import Callable
from typing import Any, Final

from jobs.batches.published import USAGE, read_published
from jobs.batches.rounds import latest_done
from jobs.generation import Completion, GenerationRequest
from jobs.prices import Money, Prices, TokenPrices
from tests.support.engines import Scripted
from tests.support.worker_night import WorkerNight

PRICES: Final = Prices(
    version="cheap",
    currency="EUR",
    device_hour={},
    models={"stub": TokenPrices(prompt=1_000_000, completion=1_000_000)},
)


def answer(request: GenerationRequest) -> Completion:
    return Completion(request.request_id, "Well said.", "stop", 100, 0, 20, 1000)


def talkative(request: GenerationRequest) -> Completion:
    """Return a completion with far more tokens than any limit allows."""
    return Completion(request.request_id, "Well said.", "stop", 10**9, 0, 10**9, 1000)


def test_a_worker_with_other_prices_charges_by_those_of_the_first_grant(
    make_night: Callable[..., WorkerNight], until: Callable[..., Any]
) -> None:
    night = make_night(prices=PRICES)
    night.accept(3, budget=Money(amount=10**9, currency="EUR"))
    night.feed()
    dollars = Prices(version="dear", currency="USD", device_hour={}, models={"stub": TokenPrices(prompt=10**12)})
    night.change(prices=dollars)
    runner = night.start(Scripted(answer))
    output, errors = night.outputs(until)
    runner.stop(0.0)
    assert errors == []
    assert [(row["usage"]["charge"], row["usage"]["prices"], row["usage"]["currency"]) for row in output] == [
        (120, "cheap", "EUR")
    ] * 3
    done = latest_done(night.store, night.batch_id)
    assert done is not None
    (usage,) = read_published(night.store, done, night.batch_id, USAGE)
    assert (usage["charge"], usage["currency"]) == (360, "EUR")


def test_a_row_that_used_more_than_was_reserved_is_charged_the_reservation(
    make_night: Callable[..., WorkerNight], until: Callable[..., Any]
) -> None:
    night = make_night(prices=PRICES)
    night.accept(2, budget=Money(amount=20_000, currency="EUR"))
    runner = night.start(Scripted(talkative))
    output, _ = night.outputs(until)
    runner.stop(0.0)
    assert [row["usage"]["completion_tokens"] for row in output] == [10**9] * 2
    assert 0 < sum(row["usage"]["charge"] for row in output) <= 20_000

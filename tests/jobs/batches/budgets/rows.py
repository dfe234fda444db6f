"""Prices, reservations and charges for tests of budgets, over the batches of a `Shelf`."""

from typing import Any, Final

from jobs.batches.budgets.reservation import reservation
from jobs.batches.request_row import RowRequest
from jobs.batches.segments.line import Outcome
from jobs.prices import Prices, TokenPrices
from jobs.usage import Usage

LANE: Final = "stub"
PRICES: Final = Prices(
    currency="EUR", device_hour={}, models={"stub": TokenPrices(prompt=1_000_000, completion=2_000_000)}
)
"""A token of a prompt costs 1 billionth, and one of a completion 2."""


def reserved(row: int) -> int:
    request = {"prompt": f"Row {row}"}
    return reservation(RowRequest(row, row + 1, "chat", "stub", request), PRICES)


def charged(shelf: Any, row: int, charge: int, **values: Any) -> Outcome:
    done: Outcome = shelf.completed(row, usage=Usage(1, 0, 1, 1, 0, charge), **values)
    return done

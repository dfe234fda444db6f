"""Shows jobs/prices.py: the arithmetic that turns the counts of a usage into money."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.prices import BILLION, NS_PER_HOUR, Prices, TokenPrices, divided, formatted
from jobs.usage import Usage

PRICES = Prices(
    version="v1",
    currency="EUR",
    device_hour={"cpu": 36, "NVIDIA A100": 3 * BILLION, "NVIDIA A100-SXM4-80GB": 4 * BILLION},
    models={"writer": TokenPrices(prompt=3_000_000, cached_prompt=1_000_000, completion=7_000_000)},
)


@pytest.mark.parametrize(
    ("device", "price"),
    [
        pytest.param("cpu", 36, id="its name"),
        pytest.param("NVIDIA A100-PCIE-40GB", 3 * BILLION, id="the start of its name"),
        pytest.param("NVIDIA A100-SXM4-80GB", 4 * BILLION, id="the longest start"),
        pytest.param("nvidia a100", 3 * BILLION, id="in any case"),
        pytest.param("NVIDIA A10", 0, id="not the other way round"),
        pytest.param("", 0, id="no name"),
    ],
)
def test_a_device_has_the_price_of_its_kind(device: str, price: int) -> None:
    assert PRICES.of_device(device) == price


@pytest.mark.parametrize(
    ("usage", "charge"),
    [
        pytest.param(Usage(prompt_tokens=10), 30, id="prompt"),
        pytest.param(Usage(prompt_tokens=10, cached_prompt_tokens=4), 18 + 4, id="cached tokens are of the prompt"),
        pytest.param(Usage(completion_tokens=2), 14, id="completion"),
        pytest.param(Usage(prompt_tokens=1, cached_prompt_tokens=1, completion_tokens=1), 1 + 7, id="all cached"),
        pytest.param(Usage(device_ns=NS_PER_HOUR), 0, id="devices are not charged"),
    ],
)
def test_tokens_are_charged(usage: Usage, charge: int) -> None:
    assert PRICES.price(usage, model="writer", device="cpu").charge == charge


@pytest.mark.parametrize(
    ("device_ns", "cost"),
    [
        pytest.param(NS_PER_HOUR, 36, id="an hour"),
        pytest.param(NS_PER_HOUR // 72, 1, id="half a billionth is rounded up"),
        pytest.param(NS_PER_HOUR // 72 - 1, 0, id="less is rounded down"),
        pytest.param(0, 0, id="nothing"),
    ],
)
def test_devices_cost_by_the_hour(device_ns: int, cost: int) -> None:
    assert PRICES.price(Usage(device_ns=device_ns), model="writer", device="cpu").device_cost == cost


def test_pricing_keeps_the_counts_and_replaces_the_money() -> None:
    priced = PRICES.price(Usage(5, 2, 3, 4, 999, 999), model="unknown", device="unknown")
    assert priced == Usage(5, 2, 3, 4, 0, 0)


@given(st.integers(0, 10**30), st.integers(1, 10**15))
def test_a_division_is_the_nearest_integer(amount: int, by: int) -> None:
    exact = Fraction(amount, by)
    assert -Fraction(1, 2) < divided(amount, by) - exact <= Fraction(1, 2)


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**15)), max_size=5))
def test_the_sum_of_priced_rows_differs_from_the_price_of_the_sum_by_rounding_alone(
    rows: list[tuple[int, int, int]],
) -> None:
    """Each row is rounded once, so a published total is exactly the sum of its rows."""
    usages = [Usage(prompt_tokens=p, completion_tokens=c, device_ns=ns) for p, c, ns in rows]
    priced = [PRICES.price(usage, model="writer", device="NVIDIA A100") for usage in usages]
    together = PRICES.price(sum(usages, Usage()), model="writer", device="NVIDIA A100")
    for name in ("charge", "device_cost"):
        apart = sum(getattr(usage, name) for usage in priced)
        assert 2 * abs(apart - getattr(together, name)) <= len(rows) + 1


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_price_depends_on_counts_alone(prompt: int, completion: int) -> None:
    """Any amount can be computed again from the counts in a receipt."""
    once = PRICES.price(Usage(prompt, 0, completion, 5, 6, 7), model="writer", device="cpu")
    assert PRICES.price(once, model="writer", device="cpu") == once


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        pytest.param(0, "0.000000 EUR", id="nothing"),
        pytest.param(1_234_567, "0.001235 EUR", id="little"),
        pytest.param(99_999_999_999, "100.000000 EUR", id="just below a hundred"),
        pytest.param(1_234_567_890_123, "1,234.57 EUR", id="much"),
    ],
)
def test_an_amount_for_a_person(amount: int, text: str) -> None:
    assert formatted(amount, "EUR") == text


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"currency": "euro"}, id="currency"),
        pytest.param({"version": ""}, id="no version"),
        pytest.param({"models": {"writer": {"prompt": -1}}}, id="a negative price"),
        pytest.param({"models": {"writer": {"prompts": 1}}}, id="unknown name"),
        pytest.param({"device_hours": {}}, id="unknown field"),
    ],
)
def test_invalid_prices_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Prices.model_validate(values)


def test_the_shipped_prices_are_marked_as_dated_examples() -> None:
    shipped = Prices()
    assert shipped.version.startswith("example-20")
    assert all(price > 0 for price in shipped.device_hour.values())
    assert (
        shipped.of_device("NVIDIA H100 80GB HBM3") > shipped.of_device("NVIDIA L40S") > shipped.of_device("NVIDIA L4")
    )


@pytest.mark.parametrize(
    ("values", "free", "misnamed"),
    [
        pytest.param({}, [], False, id="the shipped prices"),
        pytest.param(
            {"version": "v1", "currency": "EUR", "device_hour": {}, "models": {}},
            ["smollm2-135m", "stub"],
            False,
            id="none",
        ),
        pytest.param({"version": "v1", "models": {"stub": {"prompt": 1}}}, ["smollm2-135m"], False, id="one of two"),
        pytest.param({"version": "v1", "models": {"stub": {}}}, ["smollm2-135m", "stub"], False, id="an empty entry"),
        pytest.param(
            {"version": "v1", "models": {"stub": {"prompt": 0}}}, ["smollm2-135m"], False, id="free on purpose"
        ),
        pytest.param({"models": {"stub": {"prompt": 1}}}, ["smollm2-135m"], True, id="no version"),
        pytest.param({"device_hour": {}}, [], True, id="no devices"),
    ],
)
def test_prices_say_what_they_leave_free(values: dict[str, Any], free: list[str], misnamed: bool) -> None:
    prices = Prices.model_validate(values)
    assert prices.without_price(["smollm2-135m", "stub"]) == free
    assert prices.bear_the_name_of_others is misnamed
    assert prices.are_own is bool(values)


@pytest.mark.parametrize("price", [-1, 10**17])
def test_a_price_below_nothing_or_beyond_our_numbers_is_refused(price: int) -> None:
    for values in ({"device_hour": {"cpu": price}}, {"models": {"stub": {"prompt": price}}}):
        with pytest.raises(ValidationError):
            Prices.model_validate(values)


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "give device_hour and models too"),
        ({"models": {}}, "give device_hour too"),
        ({"device_hour": {}}, "give models too"),
    ],
)
def test_the_shipped_figures_are_not_charged_in_another_currency(given: dict[str, Any], missing: str) -> None:
    with pytest.raises(ValidationError, match=f"the shipped prices are in USD, not in EUR: {missing}"):
        Prices.model_validate({"version": "mine", "currency": "EUR", **given})


def test_tokens_of_a_remote_model_are_bought_beside_its_device_time() -> None:
    bought = TokenPrices(prompt=2 * BILLION, cached_prompt=BILLION, completion=8 * BILLION)
    prices = PRICES.model_copy(update={"bought": {"writer": bought}})
    used = Usage(prompt_tokens=1_000_001, cached_prompt_tokens=1, completion_tokens=500_000)
    priced = prices.price(used, model="writer", device="remote")
    assert priced.device_cost == 2 * BILLION + 1_000 + 4 * BILLION
    assert priced.charge == PRICES.price(used, model="writer", device="remote").charge > 0
    assert prices.price(used, model="another", device="remote").device_cost == 0
    both = prices.price(Usage(device_ns=NS_PER_HOUR, completion_tokens=1_000_000), model="writer", device="cpu")
    assert both.device_cost == 36 + 8 * BILLION

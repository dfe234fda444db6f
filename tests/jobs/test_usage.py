"""Shows jobs/usage.py: sums that are exact in any order."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.usage import NAMES, Usage, total

COUNTS = st.integers(0, 10**24)  # far beyond what a float holds exactly
USAGES = st.builds(Usage, *[COUNTS] * len(NAMES))


def test_the_counts_have_the_order_of_an_output_row() -> None:
    names = ["prompt_tokens", "cached_prompt_tokens", "completion_tokens", "device_ns", "device_cost", "charge"]
    assert list(NAMES) == names
    assert list(Usage().as_dict()) == names
    assert Usage(1, 2, 3, 4, 5, 6).as_dict() == dict(zip(names, range(1, 7), strict=True))


def test_sums_and_differences_go_count_by_count() -> None:
    assert Usage(1, 2, 3, 4, 5, 6) + Usage(10, 20, 30, 40, 50, 60) == Usage(11, 22, 33, 44, 55, 66)
    assert Usage(10, 20, 30, 40, 50, 60) - Usage(1, 2, 3, 4, 5, 6) == Usage(9, 18, 27, 36, 45, 54)


@pytest.mark.parametrize(
    ("values", "usage"),
    [
        pytest.param({}, Usage(), id="nothing"),
        pytest.param({"charge": 7, "prices": "example", "rows": 3}, Usage(charge=7), id="names that are not ours"),
        pytest.param({"device_ns": "12"}, Usage(device_ns=12), id="a number as text"),
    ],
)
def test_counts_are_read_back(values: dict[str, Any], usage: Usage) -> None:
    assert Usage.from_dict(values) == usage


@pytest.mark.parametrize("value", [None, "many", [1]])
def test_a_value_that_is_not_a_count_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Usage.from_dict({"charge": value})


@given(USAGES)
def test_a_usage_survives_its_written_form(usage: Usage) -> None:
    assert Usage.from_dict(usage.as_dict()) == usage


@given(st.lists(USAGES, max_size=6), st.randoms())
def test_a_total_is_exact_in_any_order(usages: list[Usage], chance: Any) -> None:
    wanted = Usage(*(sum(getattr(usage, name) for usage in usages) for name in NAMES))
    assert total(usages) == wanted
    chance.shuffle(usages)
    assert total(iter(usages)) == wanted


@given(USAGES, USAGES)
def test_taking_away_undoes_adding(one: Usage, other: Usage) -> None:
    assert one + other - other == one
    assert one + Usage() == one

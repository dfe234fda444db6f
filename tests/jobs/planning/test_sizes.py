"""Shows jobs/planning/sizes.py: sizes are exact sums by device and length class, in any order, with products beyond 64 bits."""

import random

import orjson
import pytest

from jobs.planning.sizes import (
    Part,
    Sizes,
    SizesCounter,
    added,
    as_values,
    from_values,
    length_class,
    subtracted,
)
from jobs.usage import Usage
from tests.support.accounts import sizes_of

CHANCE = random.Random(3)
ROWS = [
    Usage(CHANCE.randint(0, 9000), 0, int(CHANCE.lognormvariate(5, 1)), int(CHANCE.lognormvariate(23, 1)))
    for _ in range(5000)
]


def counted(rows: list[Usage]) -> dict[Part, Sizes]:
    counter = SizesCounter()
    for row in rows:
        counter.add(row.prompt_tokens, row.completion_tokens, row.device_ns)
    return {Part("", number): sizes for number, sizes in counter.sizes().items()}


def test_a_counter_gives_what_single_rows_add_up_to() -> None:
    """There are more rows than are counted at once."""
    assert counted(ROWS) == sizes_of(ROWS)


def test_sizes_may_be_asked_for_before_all_rows_are_counted() -> None:
    counter = SizesCounter()
    counter.add(5, 6, 7)
    assert counter.sizes()[1].rows == 1
    counter.add(5, 6, 7)
    assert counter.sizes()[1].rows == 2


def test_differences_are_exact_and_nothing_is_left_of_equal_sizes() -> None:
    some, rest = sizes_of(ROWS[:900]), sizes_of(ROWS[900:])
    assert subtracted(sizes_of(ROWS), some) == rest
    assert added(subtracted(some, sizes_of(ROWS)), sizes_of(ROWS)) == some
    assert subtracted(some, some) == {}


def test_sizes_survive_json() -> None:
    huge = sizes_of([Usage(10**6, 0, 10**6, 10**15)] * 3, "NVIDIA H200")
    parts = {**sizes_of(ROWS, "cpu"), **huge, **subtracted({}, sizes_of(ROWS[:5]))}
    assert from_values(orjson.loads(orjson.dumps(as_values(parts)))) == parts


@pytest.mark.parametrize(
    ("prompt", "number"), [(0, 0), (1, 0), (3, 0), (4, 1), (15, 1), (16, 2), (1023, 4), (1024, 5), (10**6, 9)]
)
def test_the_length_class_goes_by_powers_of_four(prompt: int, number: int) -> None:
    assert length_class(prompt) == number


def test_sizes_without_three_products_are_refused() -> None:
    values = {**Sizes().as_dict(), "products": ["1", "2"]}
    with pytest.raises(ValueError, match="three products"):
        Sizes.from_dict(values)

"""Shows jobs/formats/columns/paths.py: values at a path, and rows without them."""

from typing import Any

import pytest

from jobs.formats.columns.paths import ABSENT, value_at, without_path

ROW = {"product": {"title": "Tea", "a.b": 1}, "variants": [{"price": 2}, None], "x.y": 3, "none": None, "Größe": 4}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("product.title", "Tea"),
        ("product.a.b", 1),
        ("variants.0.price", 2),
        ("x.y", 3),
        ("none", ABSENT),
        ("variants.1", ABSENT),
        ("variants.2", ABSENT),
        ("variants.-1", ABSENT),
        ("product.title.more", ABSENT),
        ("product..title", ABSENT),
        ("Product.title", ABSENT),
        ("", ABSENT),
    ],
)
def test_the_value_at_a_path(path: str, value: Any) -> None:
    assert value_at(ROW, path, is_table=False) == value


def test_names_of_a_table_may_be_in_other_spelling() -> None:
    assert value_at(ROW, "Product.title", is_table=True) == "Tea"
    assert value_at(ROW, "grösse", is_table=True) == 4


def test_a_row_without_a_path_lacks_the_value_and_objects_that_are_empty_then() -> None:
    row = {"a": {"b": {"c": 1}}, "d": {"e": 2, "f": 3}, "l": [1, 2]}
    assert without_path(row, "a.b.c", is_table=False) == {"d": {"e": 2, "f": 3}, "l": [1, 2]}
    assert without_path(row, "d.e", is_table=False) == {"a": {"b": {"c": 1}}, "d": {"f": 3}, "l": [1, 2]}
    assert without_path(row, "l.0", is_table=False) == row
    assert without_path(row, "zzz", is_table=False) == row

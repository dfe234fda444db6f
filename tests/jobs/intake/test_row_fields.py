"""Shows jobs/intake/row_fields.py: the values of a row by field."""

from typing import Any

import pytest

from jobs.intake.row_fields import ENVELOPE_FIELDS, RowValues, envelope_of, own_of, valid_custom_id
from jobs.kinds.registry import load_kinds

CHAT = load_kinds()["chat"]


def test_each_value_belongs_to_any_row_or_to_the_kind() -> None:
    row = {"custom_id": 7, "seed": None, "prompt": "Hi?", "n": None, "stop": ["x"]}
    assert envelope_of(row) == {"custom_id": "7"}
    assert own_of(CHAT, row) == {"prompt": "Hi?", "stop": ["x"]}
    assert {"custom_id", "seed"} <= ENVELOPE_FIELDS
    assert not ENVELOPE_FIELDS & {"prompt", "stop"}


def test_values_of_a_row_come_before_given_ones() -> None:
    row, given = RowValues({"seed": 1}, {"prompt": "a"}), RowValues({"seed": 2, "priority": 3}, {"prompt": "b", "n": 4})
    assert row.over(given) == ({"seed": 1, "priority": 3}, {"prompt": "a", "n": 4})
    assert row.over(RowValues({}, {})) is row


@pytest.mark.parametrize(
    ("given", "text"),
    [("a", "a"), (7, "7"), (7.0, "7"), (7.5, None), (True, None), ("", None), ("a" * 257, None), (None, None)],
)
def test_a_custom_id_is_a_text_or_a_whole_number(given: Any, text: str | None) -> None:
    assert valid_custom_id(given) == text

"""Shows jobs/formats/results/front_matter.py: YAML reads the same values that were written."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.formats.results.front_matter import front_matter

HOSTILE = [
    "", " ", "---", "...", "yes", "null", "~", "1e5", "0x1f", "2020-01-01", "12:30", "a: b", "# c", "- d", "? e", "{", "[", "*a",
    "&a", "!t", "%TAG", "@", "`", "'", '"', "\\", "\t x", "a\nb\n---\n", "\r", "\x00", "\x1b[2J", "\x7f", "\x85", "\u2028",
    "\u2029", "\ufeff", "\ufffe", "\uffff", "\ud800", "\U0001f600", "é" * 3000, "x" * 3000, "a " * 3000,
]  # fmt: skip
TEXTS = st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=()), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=100)
@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_yaml_reads_back_what_was_written(values: dict[str, Any]) -> None:
    text = front_matter(values)
    assert (yaml.safe_load(text) or {}) == values
    assert "---" not in text.split("\n")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_leaves_its_place(text: str) -> None:
    for values in ({"a": text}, {text: 1}, {"a": {text: text}}, {"a": [{text: [text]}]}):
        assert yaml.safe_load(front_matter(values)) == values


def test_our_keys_need_no_quotes() -> None:
    assert front_matter({"title": "Tea", "n": 1, "no": {"row": 7}}) == 'title: "Tea"\n"n": 1\n"no":\n  row: 7\n'

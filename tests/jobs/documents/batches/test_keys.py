"""Shows jobs/documents/batches/keys.py: which segments are one row, and that each row has a name of its own."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.documents.batches.keys import MOST_CHARACTERS, custom_id_of, key_of
from jobs.documents.document import Segment, State
from jobs.marks.mark import Mark, Role

SEGMENT = Segment("1", "Open %s", "message", (Mark(5, 7, "%s"),), "a button", most=20)


@pytest.mark.parametrize(
    "change",
    [
        {"text": "Open  %s"},
        {"marks": ()},
        {"marks": (Mark(5, 7, "%s", Role.ORDERED),)},
        {"context": ""},
        {"most": None},
    ],
)
def test_segments_that_differ_for_a_translator_are_rows_of_their_own(change: dict[str, Any]) -> None:
    assert key_of(replace(SEGMENT, **change), "fr") != key_of(SEGMENT, "fr")


def test_segments_that_differ_in_their_places_alone_are_one_row() -> None:
    other = replace(SEGMENT, id="9", kind="cell", target="Ouvre", state=State.FUZZY)
    assert key_of(other, "fr") == key_of(SEGMENT, "fr")
    assert key_of(SEGMENT, "fr") != key_of(SEGMENT, "fr-CA")


PARTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)


@given(PARTS, PARTS)
def test_a_custom_id_fits_and_can_be_printed(name: str, segment: str) -> None:
    made = custom_id_of(name, "fr", segment)
    assert 0 < len(made) <= MOST_CHARACTERS
    assert made.isprintable()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a:fr", "de", "1"), ("a", "fr", "de:1")),
        (("a", "fr", "x" * 400 + "1"), ("a", "fr", "x" * 400 + "2")),
        (("a", "fr", "x\n1"), ("a", "fr", "x\r1")),
        (("a", "fr", "1"), ("a", "de", "1")),
    ],
)
def test_no_two_segments_have_one_custom_id(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert custom_id_of(*one) != custom_id_of(*other)

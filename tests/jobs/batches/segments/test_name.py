"""Shows jobs/batches/segments/name.py: the name of a segment, written and read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.batches.segments.name import SegmentName

SHA256 = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param(SegmentName("w", "3f2a", 1, SHA256), f"w-3f2a-1-{SHA256}.jsonl", id="a worker"),
        pytest.param(
            SegmentName("w-stub-0", "3f2a", 12, SHA256), f"w-stub-0-3f2a-12-{SHA256}.jsonl", id="hyphens in its name"
        ),
    ],
)
def test_a_name_is_written_and_read(name: SegmentName, text: str) -> None:
    assert str(name) == text
    assert SegmentName.parse(text) == name
    assert SegmentName.parse(f"batches/night-1/segments/{text}") == name


@given(st.from_regex(r"[^/]*", fullmatch=True), st.from_regex(r"[^-/]+", fullmatch=True), st.integers(0))
def test_every_name_survives_its_written_form(worker: str, incarnation: str, n: int) -> None:
    name = SegmentName(worker, incarnation, n, SHA256)
    assert SegmentName.parse(str(name)) == name


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param(f"w-3f2a-1-{SHA256}", id="no ending"),
        pytest.param(f"w-1-{SHA256}.jsonl", id="no incarnation"),
        pytest.param(f"w-3f2a-one-{SHA256}.jsonl", id="no number"),
        pytest.param(f"w--1-{SHA256}.jsonl", id="an empty incarnation"),
    ],
)
def test_no_name(text: str) -> None:
    with pytest.raises(ValueError, match="no name of a segment"):
        SegmentName.parse(text)


@pytest.mark.parametrize("incarnation", ["", "3f-2a"])
def test_an_incarnation_that_could_not_be_read_back_is_refused(incarnation: str) -> None:
    with pytest.raises(ValueError, match="without hyphens"):
        SegmentName("w", incarnation, 1, SHA256)

"""Shows jobs/publishing/winners.py: each tie of the winner rule, and that lines in scratch files give the same winners."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.batches.segments.head import HeadRow
from jobs.errors import StoreUnavailable
from jobs.publishing.winners import Winners

Line = tuple[HeadRow, int, int]
"""A line: its entry in the head, the place of its segment among all segments, and its number in the segment."""


def chosen(lines: list[Line], rows: int, scratch: Path, buckets: int = 1) -> dict[int, int]:
    """The winner of each row, as its place in `lines`."""
    winners = Winners(rows, expected_bytes=buckets * 10, scratch=scratch, bucket_bytes=10)
    for place, (row, segment, number) in enumerate(lines):
        winners.add(row, segment, number, b"%d" % place)
    result: dict[int, int] = {}
    seen: list[int] = []
    for part, best in winners.ranges():
        seen += part
        assert set(best) <= set(part)
        result |= {row: int(winner.text) for row, winner in best.items()}
    assert seen == list(range(rows))
    return result


@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        pytest.param(
            (HeadRow(0, "c", True, 1, 9), 9, 9), (HeadRow(0, "f", True, 1, 1), 0, 0), id="completed over failed"
        ),
        pytest.param((HeadRow(0, "c", True, 1, 1), 9, 9), (HeadRow(0, "c", True, 1, 2), 0, 0), id="lowest fence"),
        pytest.param((HeadRow(0, "c", True, 1, 9), 9, 9), (HeadRow(0, "c", True, 1, 10), 0, 0), id="fences as numbers"),
        pytest.param((HeadRow(0, "c", True, 1, 1), 9, 9), (HeadRow(0, "c", True, 1, 1), 10, 0), id="first segment"),
        pytest.param((HeadRow(0, "c", True, 1, 1), 5, 9), (HeadRow(0, "c", True, 1, 1), 5, 10), id="first line"),
        pytest.param((HeadRow(0, "f", True, 2, 1), 5, 9), (HeadRow(0, "f", True, 2, 2), 5, 1), id="failures tie alike"),
        pytest.param(
            (HeadRow(0, "c", True, 2, 1), 5, 9), (HeadRow(0, "c", True, 1, 2), 5, 1), id="rounds do not order"
        ),
    ],
)
def test_which_line_wins(winner: Line, loser: Line, tmp_path: Path) -> None:
    assert chosen([winner, loser], 1, tmp_path) == {0: 0}
    assert chosen([loser, winner], 1, tmp_path) == {0: 1}


line_of = st.tuples(
    st.builds(HeadRow, st.integers(0, 19), st.sampled_from("cf"), st.just(True), st.just(1), st.integers(0, 12)),
    st.integers(0, 12),
    st.integers(0, 12),
)


@given(st.lists(line_of, max_size=60, unique_by=lambda line: (line[0].row, line[1], line[2])), st.integers(1, 30))
def test_winners_are_those_of_a_plain_sort(
    tmp_path_factory: pytest.TempPathFactory, lines: list[Line], buckets: int
) -> None:
    naive: dict[int, int] = {}
    order = sorted(range(len(lines)), key=lambda n: (lines[n][0].status != "c", lines[n][0].fence, *lines[n][1:]))
    for place in order:
        naive.setdefault(lines[place][0].row, place)
    scratch = tmp_path_factory.mktemp("scratch")
    assert chosen(lines, 20, scratch, buckets) == naive
    assert list(scratch.iterdir()) == []


def test_what_fits_into_memory_is_not_spilled(tmp_path: Path) -> None:
    winners = Winners(2, expected_bytes=10, scratch=tmp_path / "missing", bucket_bytes=10)
    winners.add(HeadRow(0, "c", True, 1, 1), 0, 0, b"longer than\nwas expected", (3, 1, 2, 3, 4, 5, 2**62))
    ((_, best),) = winners.ranges()
    assert {row: (bytes(text), entry) for row, (text, entry) in best.items()} == {
        0: (b"longer than\nwas expected", (3, 1, 2, 3, 4, 5, 2**62, 0, 0, 0, 0))
    }


def test_no_more_than_a_range_waits_in_memory(tmp_path: Path) -> None:
    winners = Winners(100, expected_bytes=1000, scratch=tmp_path, bucket_bytes=100)
    for row in range(100):
        winners.add(HeadRow(row, "c", True, 1, 1), 0, row, b"123456789\n")
        assert sum(len(records) for records in winners._waiting.values()) <= 2 * 10
    assert sum(len(best) for _, best in winners.ranges()) == 100


def test_a_full_scratch_folder_is_reported_in_one_line(tmp_path: Path) -> None:
    winners = Winners(2, expected_bytes=20, scratch=tmp_path / "missing", bucket_bytes=10)
    with pytest.raises(StoreUnavailable, match="Set TMPDIR to a larger disk"):
        winners.add(HeadRow(0, "c", True, 1, 1), 0, 0, b"123456789\n")


def test_a_batch_without_rows(tmp_path: Path) -> None:
    assert chosen([], 0, tmp_path) == {}

"""Shows workers/engines/causal/time_shares.py."""

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")
pytest.importorskip("transformers", reason="the extra `workers` is not installed")

from jobs.generation import GenerationRequest, Prompt
from workers.engines.causal.runtime.runtime import Spent
from workers.engines.causal.sequences import Piece, Text
from workers.engines.causal.time_shares import NOTHING_MEASURED, split, weights_of


def piece(start: int, size: int, *, last: bool = True) -> Piece:
    return Piece(Text(GenerationRequest("r", Prompt(text="x")), [1] * (start + size)), start, size, last)


def test_split_adds_up() -> None:
    assert split(10, [1, 1, 1]) == [3, 3, 4]
    assert sum(split(1_000_003, [7, 0, 13, 999])) == 1_000_003


@pytest.mark.parametrize(
    ("spent", "expected"),
    [
        pytest.param(Spent(1000, 0, 0), [101, 900, 2], id="attention by what was read"),
        pytest.param(Spent(0, 400, 0), [101, 201, 101], id="layers by what was computed"),
        pytest.param(Spent(0, 0, 600), [301, 1, 301], id="choosing by who chose"),
        pytest.param(NOTHING_MEASURED, [1, 1, 1], id="nothing is known"),
    ],
)
def test_each_part_of_a_step_goes_to_those_who_made_it(spent: Spent, expected: list[int]) -> None:
    """A token after 99, two after 448 of a prompt that goes on, and a prompt of one: 100, 899 and 1 tokens read."""
    pieces = [piece(99, 1), piece(448, 2, last=False), piece(0, 1)]
    assert weights_of(pieces, spent) == expected

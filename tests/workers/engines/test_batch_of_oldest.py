"""Shows `batch_of_oldest` of workers/engines/batching.py: which waiting rows make a batch."""

import random

import pytest

from workers.engines.batching import batch_of_oldest


def batch(waiting: list[list[int]], rows: int, tokens: int) -> list[list[int]]:
    return batch_of_oldest(waiting, len, rows, tokens)


def of_lengths(lengths: list[int]) -> list[list[int]]:
    return [[n] * size for n, size in enumerate(lengths)]


@pytest.mark.parametrize(
    ("lengths", "rows", "tokens", "wanted"),
    [
        pytest.param([5], 4, 100, [5], id="one"),
        pytest.param([9, 1, 8, 2], 2, 100, [8, 9], id="the longest"),
        pytest.param([5, 4, 6, 40], 3, 120, [5, 6, 40], id="from the longest down"),
        pytest.param([4, 5, 6, 40], 3, 120, [4], id="what is left"),
        pytest.param([1, 10, 1, 1], 4, 39, [1, 1, 10], id="as many tokens as the longest has, for each"),
        pytest.param([10, 30, 9], 4, 50, [9, 10], id="a longer one would be too much"),
        pytest.param([70, 3], 4, 50, [70], id="too long for a batch, so alone"),
        pytest.param([3, 3, 3], 8, 6, [3, 3], id="no more than the tokens"),
    ],
)
def test_the_batch(lengths: list[int], rows: int, tokens: int, wanted: list[int]) -> None:
    waiting = of_lengths(lengths)
    found = batch(waiting, rows, tokens)
    assert [len(one) for one in found] == wanted
    assert any(one is waiting[0] for one in found)


def test_the_same_rows_make_the_same_batches_whichever_came_first() -> None:
    """So all batches but the one of the shortest rows are full, in whatever order they run."""
    chance = random.Random(5)
    rows = of_lengths([chance.randint(1, 400) for _ in range(200)])
    made = set()
    for _ in range(3):
        chance.shuffle(rows)
        waiting, batches = list(rows), []
        while waiting:
            found = batch(waiting, 16, 2_000)
            batches.append(tuple(len(one) for one in found))
            waiting = [one for one in waiting if not any(one is other for other in found)]
        made.add(tuple(sorted(batches)))
    assert len(made) == 1


def test_no_row_waits_for_ever() -> None:
    """However many rows of another length arrive, the one that has waited longest is in the next batch."""
    chance = random.Random(0)
    waiting = of_lengths([chance.randint(1, 400) for _ in range(100)])
    for _ in range(300):
        oldest = waiting[0]
        found = batch(waiting, 16, 2_000)
        assert any(one is oldest for one in found)
        assert len(found) <= 16
        assert len(found) * max(map(len, found)) <= 2_000
        waiting = [one for one in waiting if not any(one is other for other in found)]
        waiting += of_lengths([200] * len(found))

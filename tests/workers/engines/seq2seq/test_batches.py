"""Shows workers/engines/seq2seq/batches.py: which waiting requests make a batch."""

import random

import pytest

from jobs.generation import GenerationRequest, Prompt
from workers.engines.families.family import TranslationInput
from workers.engines.seq2seq.batches import next_batch


def of_length(number: int, size: int) -> TranslationInput:
    return TranslationInput(GenerationRequest(str(number), Prompt(text="x")), [5] * size, 0, (), "")


@pytest.mark.parametrize(
    ("lengths", "slots", "most_tokens", "wanted"),
    [
        pytest.param([5], 4, 100, [5], id="one"),
        pytest.param([9, 1, 8, 2], 2, 100, [8, 9], id="the nearest in length"),
        pytest.param([5, 4, 6, 40], 3, 100, [4, 5, 6], id="on both sides"),
        pytest.param([10, 1, 1, 1], 4, 39, [1, 1, 10], id="as many tokens as the longest has, for each"),
        pytest.param([10, 30, 9], 4, 50, [9, 10], id="a longer one would be too much"),
        pytest.param([70, 3], 4, 50, [70], id="too long for a batch, so alone"),
        pytest.param([3, 3, 3], 8, 6, [3, 3], id="no more than the tokens"),
    ],
)
def test_the_batch(lengths: list[int], slots: int, most_tokens: int, wanted: list[int]) -> None:
    waiting = [of_length(n, size) for n, size in enumerate(lengths)]
    assert [len(one.tokens) for one in next_batch(waiting, slots, most_tokens)] == wanted


def test_no_request_waits_for_ever() -> None:
    """However many requests of another length arrive, the one that has waited longest is in the next batch."""
    chance = random.Random(0)
    waiting = [of_length(n, chance.randint(1, 400)) for n in range(100)]
    for number in range(100, 400):
        oldest = waiting[0]
        batch = next_batch(waiting, 16, 2_000)
        assert any(one is oldest for one in batch)
        assert len(batch) <= 16
        assert len(batch) * max(len(one.tokens) for one in batch) <= 2_000
        waiting = [one for one in waiting if not any(one is other for other in batch)]
        waiting += [of_length(number * 1_000 + n, 200) for n in range(len(batch))]

"""`workers/engines/causal/decode_kernel.py`: one query a text, beside the same attention written out in fp64."""

from typing import NamedTuple

import pytest
import torch

from workers.engines.causal.decode_kernel import attend_each, is_fit, most_likely, put_each


class Heads(NamedTuple):
    """Texts, key heads, queries a key head, size of keys, size of values."""

    texts: int
    groups: int
    queries: int
    size: int
    value_size: int


def expected(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, slots: torch.Tensor, lengths: torch.Tensor,
             softcap: float | None, window: int | None) -> torch.Tensor:  # fmt: skip
    out = []
    for asked, slot, end in zip(query.double(), slots.tolist(), lengths.tolist(), strict=True):
        start = max(0, end - window) if window else 0
        scores = asked @ keys[slot, :, start:end].double().transpose(1, 2)
        if softcap:
            scores = torch.tanh(scores / softcap) * softcap
        out.append(scores.softmax(-1) @ values[slot, :, start:end].double())
    return torch.stack(out)


@pytest.mark.parametrize(
    ("softcap", "window"),
    [
        pytest.param(None, None, id="plain"),
        pytest.param(1.5, None, id="capped scores"),
        pytest.param(None, 7, id="a sliding window"),
        pytest.param(0.5, 3, id="both"),
    ],
)
@pytest.mark.parametrize(
    "heads",
    [
        pytest.param(Heads(9, 3, 3, 64, 64), id="grouped heads"),
        pytest.param(Heads(5, 4, 1, 80, 80), id="a head each"),
        pytest.param(Heads(3, 1, 8, 16, 24), id="values of another size"),
        pytest.param(Heads(1, 2, 2, 6, 5), id="sizes that fill no line of memory"),
    ],
)
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 2e-6), (torch.bfloat16, 0.02)], ids=str)
def test_it_is_the_same_attention(
    heads: Heads, softcap: float | None, window: int | None, dtype: torch.dtype, near: float
) -> None:
    made = torch.Generator().manual_seed(7)
    keys = torch.randn(12, heads.groups, 40, heads.size, generator=made).to(dtype)
    values = torch.randn(12, heads.groups, 40, heads.value_size, generator=made).to(dtype)
    query = torch.randn(heads.texts, heads.groups, heads.queries, heads.size, generator=made) * heads.size**-0.5
    slots = torch.randperm(12, generator=made)[: heads.texts]
    lengths = torch.randint(1, 41, (heads.texts,), generator=made)
    lengths[0] = 40  # a slot that is full
    lengths[-1] = 1 if heads.texts > 1 else 40  # and one with its first token
    for slot, end in zip(slots.tolist(), lengths.tolist(), strict=True):
        keys[slot, :, end:] = values[slot, :, end:] = torch.nan  # what is not there yet must not matter
    got = attend_each(query, keys, values, slots, lengths, softcap=softcap, window=window)
    assert got.dtype == dtype
    torch.testing.assert_close(
        got.double(), expected(query, keys, values, slots, lengths, softcap, window), atol=near, rtol=0
    )


def test_large_scores_neither_overflow_nor_vanish() -> None:
    keys = torch.tensor([300.0, -300.0, 299.0, 300.0, -1e4]).reshape(1, 1, 5, 1)
    values = torch.eye(5)[None, None]
    got = attend_each(
        torch.ones(1, 1, 1, 1), keys, values, torch.tensor([0]), torch.tensor([5]), softcap=None, window=None
    )
    torch.testing.assert_close(got.flatten(), keys.flatten().softmax(0), atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_new_tokens_stand_in_their_own_slots(dtype: torch.dtype) -> None:
    block, states = torch.zeros(4, 2, 5, 3, dtype=dtype), torch.randn(2, 3, 3).to(dtype)
    slots, positions = torch.tensor([3, 0, 1]), torch.tensor([4, 0, 2])
    put_each(block, states, slots, positions)
    wanted = torch.zeros_like(block)
    wanted[slots, :, positions] = states.transpose(0, 1)
    assert torch.equal(block, wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_most_likely_is_the_first_of_the_highest(dtype: torch.dtype) -> None:
    scores = torch.randn(6, 1000).to(dtype)
    scores[0, [700, 300]] = 9.0
    scores[1] = -torch.inf
    scores[2, 999] = 9.0
    scores[3, :] = -1.0
    assert most_likely(scores).tolist()[:4] == [300, 0, 999, 0]
    assert torch.equal(most_likely(scores), scores.float().argmax(-1))


def test_other_formats_are_left_to_torch() -> None:
    formats = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    assert [dtype for dtype in formats if is_fit(torch.empty(1, dtype=dtype))] == [torch.float32, torch.bfloat16]

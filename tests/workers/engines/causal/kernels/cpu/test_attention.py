"""Shows workers/engines/causal/kernels/cpu/attention.py and vectors.py: decode attention agrees with the reference in float64."""

from typing import NamedTuple

import pytest
import torch

from workers.engines.causal.kernels.cpu.attention import decode_attention
from workers.engines.causal.kernels.cpu.tiles import TiledBlocks
from workers.engines.causal.kernels.gpu.attention import reference_attention


class Heads(NamedTuple):
    """The sizes of a case: sequences, KV heads, queries a KV head, size of keys, size of values."""

    sequences: int
    kv_heads: int
    queries: int
    size: int
    value_size: int


def tiled(keys: torch.Tensor, values: torch.Tensor) -> TiledBlocks:
    """Blocks of a cache that hold these keys and values [slots, KV heads, length, size]."""
    slots, _, length, _ = keys.shape
    blocks = TiledBlocks(keys[0], values[0], slots, length)
    for slot in range(slots):
        blocks.write(keys[slot], values[slot], torch.full((length,), slot), torch.arange(length))
    return blocks


def expected(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, slots: torch.Tensor, lengths: torch.Tensor,
             softcap: float | None, window: int | None) -> torch.Tensor:  # fmt: skip
    _, sequences, size = query.shape
    grouped = query.reshape(keys.shape[1], -1, sequences, size).permute(2, 0, 1, 3)
    options = {"scale": size**-0.5, "softcap": softcap, "window": window}
    return reference_attention(grouped, keys, values, slots, lengths, **options).flatten(1, 2)


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
        pytest.param(Heads(5, 4, 1, 80, 80), id="a KV head for each query"),
        pytest.param(Heads(3, 1, 8, 16, 24), id="values of another size"),
        pytest.param(Heads(1, 2, 2, 6, 5), id="sizes that fill no line of memory"),
        pytest.param(Heads(2, 1, 33, 32, 48), id="more queries than registers"),
        pytest.param(Heads(3, 2, 4, 128, 256), id="values that do not fit the registers at once"),
    ],
)
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 2e-6), (torch.bfloat16, 0.02)], ids=str)
def test_decode_attention_agrees_with_the_reference(
    heads: Heads, softcap: float | None, window: int | None, dtype: torch.dtype, near: float
) -> None:
    generator = torch.Generator().manual_seed(7)
    keys = torch.randn(12, heads.kv_heads, 40, heads.size, generator=generator).to(dtype)
    values = torch.randn(12, heads.kv_heads, 40, heads.value_size, generator=generator).to(dtype)
    query = torch.randn(heads.kv_heads * heads.queries, heads.sequences, heads.size, generator=generator).to(dtype)
    slots = torch.randperm(12, generator=generator)[: heads.sequences]
    lengths = torch.randint(1, 41, (heads.sequences,), generator=generator)
    lengths[0] = 40  # one slot is full
    lengths[-1] = 1 if heads.sequences > 1 else 40  # one slot has a single token
    for slot, end in zip(slots.tolist(), lengths.tolist(), strict=True):
        keys[slot, :, end:] = values[slot, :, end:] = torch.nan  # numbers after the end of a sequence must not matter
    blocks, scale = tiled(keys, values), heads.size**-0.5
    got = decode_attention(
        query, blocks.keys, blocks.values, slots, lengths, scale=scale, softcap=softcap, window=window
    )
    assert got.dtype == dtype
    torch.testing.assert_close(
        got.double(), expected(query, keys, values, slots, lengths, softcap, window), atol=near, rtol=0
    )


def test_large_scores_neither_overflow_nor_vanish() -> None:
    scores = torch.tensor([300.0, -300.0, 299.0, 300.0, -1e4])
    blocks = tiled(torch.stack([scores, torch.zeros(5)], 1)[None, None], torch.eye(5)[None, None])
    one, all_of_it = torch.tensor([0]), torch.tensor([5])
    got = decode_attention(
        torch.ones(1, 1, 2), blocks.keys, blocks.values, one, all_of_it, scale=1.0, softcap=None, window=None
    )
    torch.testing.assert_close(got.flatten(), scores.softmax(0), atol=1e-6, rtol=0)

"""Shows workers/engines/causal/runtime/attention.py: each token attends to its own slot, up to itself, in tiles and without."""

import pytest
import torch

from workers.engines.causal.kernels.cpu.tiles import TiledBlocks
from workers.engines.causal.kernels.gpu.attention import reference_attention
from workers.engines.causal.runtime.attention import LAYOUT, Chunk, Layout, slot_attention
from workers.engines.causal.runtime.kv_cache import PlainBlocks

HEADS, KV_HEADS, SIZE = 4, 2, 8


def layout_of(chunks: list[tuple[int, int, int]]) -> Layout:
    """Two decode tokens, in slots 1 and 4, and chunks of (slot, start, size)."""
    found, first = [], 2
    for slot, start, size in chunks:
        found.append(Chunk(slot, first, start, size))
        first += size
    return Layout(torch.tensor([1, 4]), torch.tensor([30, 0]), tuple(found), covered_slots=5, max_length=31)


@pytest.mark.parametrize(("softcap", "window"), [(None, None), (2.0, None), (None, 9)])
@pytest.mark.parametrize("blocks", [TiledBlocks, PlainBlocks])
@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([(0, 3, 5), (2, 0, 6), (3, 7, 40)], id="short ones first"),
        pytest.param([(0, 3, 5), (3, 7, 40), (2, 0, 6)], id="a short one behind a long one"),
        pytest.param([(3, 0, 40), (0, 0, 33)], id="long ones from the beginning"),
        pytest.param([], id="none"),
    ],
)
def test_each_token_attends_to_the_tokens_before_it_in_its_sequence(
    chunks: list[tuple[int, int, int]],
    blocks: type[TiledBlocks | PlainBlocks],
    softcap: float | None,
    window: int | None,
) -> None:
    generator = torch.Generator().manual_seed(4)
    keys, values = (torch.randn(5, KV_HEADS, 50, SIZE, generator=generator) for _ in range(2))
    held = blocks(keys[0], values[0], 5, 50)
    for slot in range(5):
        held.write(keys[slot], values[slot], torch.full((50,), slot), torch.arange(50))
    layout = layout_of(chunks)
    slots, positions = layout.slots_and_positions
    query = torch.randn(1, HEADS, len(slots), SIZE, generator=generator)
    token = LAYOUT.set(layout)
    try:
        got, _ = slot_attention(
            torch.nn.Module(), query, held.keys, held.values, None, softcap=softcap, sliding_window=window
        )
    finally:
        LAYOUT.reset(token)
    grouped = query[0].reshape(KV_HEADS, -1, len(slots), SIZE).permute(2, 0, 1, 3)
    wanted = reference_attention(
        grouped, keys, values, slots, positions + 1, scale=SIZE**-0.5, softcap=softcap, window=window
    ).flatten(1, 2)
    torch.testing.assert_close(got[0].double(), wanted, atol=2e-6, rtol=1e-5)

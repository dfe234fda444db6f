"""Shows workers/engines/causal/kernels/cpu/tiles.py: keys and values are read from tiles as they were written."""

import pytest
import torch

from workers.engines.causal.kernels.cpu.tiles import TILE, TiledBlocks, can_tile, is_tiled, keys_of

FORMATS = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)


def blocks_of(dtype: torch.dtype, slots: int = 3, length: int = 40) -> tuple[TiledBlocks, torch.Tensor, torch.Tensor]:
    """Full blocks, their keys and their values [slots, KV heads, length, size], written in random order."""
    keys, values = torch.randn(slots, 2, length, 6).to(dtype), torch.randn(slots, 2, length, 5).to(dtype)
    blocks = TiledBlocks(keys[0], values[0], slots, length)
    at = [(slot, position) for slot in range(slots) for position in range(length)]
    order = torch.randperm(len(at))
    places = torch.tensor(at)[order]
    key_states, value_states = (states.transpose(0, 1).flatten(1, 2)[:, order] for states in (keys, values))
    blocks.write(key_states, value_states, places[:, 0], places[:, 1])
    return blocks, keys, values


def held(blocks: TiledBlocks, slot: int, end: int) -> tuple[torch.Tensor, torch.Tensor]:
    return keys_of(blocks.keys, slot, end), blocks.values[slot, :end].transpose(0, 1)


@FORMATS
def test_tokens_stand_where_they_were_written(dtype: torch.dtype) -> None:
    blocks, keys, values = blocks_of(dtype)
    assert is_tiled(blocks.keys)
    for slot in range(3):
        for end in (1, TILE - 1, TILE, TILE + 1, 40):
            assert torch.equal(held(blocks, slot, end)[0], keys[slot, :, :end])
            assert torch.equal(held(blocks, slot, end)[1], values[slot, :, :end])


@FORMATS
@pytest.mark.parametrize("tokens", [1, TILE, TILE + 5, 40])
def test_a_prefix_is_copied(dtype: torch.dtype, tokens: int) -> None:
    blocks, keys, values = blocks_of(dtype)
    blocks.copy(2, 0, tokens)
    assert torch.equal(held(blocks, 0, tokens)[0], keys[2, :, :tokens])
    assert torch.equal(held(blocks, 0, tokens)[1], values[2, :, :tokens])
    assert torch.equal(held(blocks, 1, 40)[0], keys[1])


@FORMATS
@pytest.mark.parametrize(("slots", "length"), [(5, 40), (2, 40), (3, 90), (3, 17), (1, 8)])
def test_tokens_that_still_fit_stay_when_sizes_change(dtype: torch.dtype, slots: int, length: int) -> None:
    blocks, keys, values = blocks_of(dtype)
    blocks.resize(slots, length)
    for slot in range(min(slots, 3)):
        end = min(length, 40)
        assert torch.equal(held(blocks, slot, end)[0], keys[slot, :, :end])
        assert torch.equal(held(blocks, slot, end)[1], values[slot, :, :end])


def test_a_token_takes_the_bytes_of_its_keys_and_values() -> None:
    blocks, _, _ = blocks_of(torch.bfloat16)
    assert blocks.token_bytes == 2 * (6 + 5) * 2


def test_other_formats_and_odd_sizes_cannot_be_tiled() -> None:
    formats = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    assert [dtype for dtype in formats if can_tile(torch.empty(1, 2, dtype=dtype))] == [torch.float32, torch.bfloat16]
    assert not can_tile(torch.empty(1, 3))

"""Tiles are the order in which keys lie in memory on a CPU. Decode attention reads each number once, in this order.

A slot's keys lie in tiles of 16 tokens. For each KV head, a tile holds the 16 numbers of the first dimension, one for each token,
followed by the 16 numbers of the second dimension, and so on. So a vector register holds the scores of 16 tokens, and the numbers
in one register never have to be added up. With bfloat16, two dimensions of a token stand together, in 32 bits. Values lie token
by token. All KV heads of a tile or a token are next to each other, so the keys of a slot are one stretch of memory, and so are
its values.
"""

from functools import cache
from typing import Any, Final

import torch
from numba import types

from workers.engines.causal.kernels.cpu.loops import Loops, compiled

TILE: Final = 16
"""The number of tokens in a tile. A vector register of 512 bits holds as many float32 numbers."""

NUMPY_FORMATS: Final = {torch.float32: torch.float32, torch.bfloat16: torch.uint16}
"""The number formats that a tiled cache may have, each with the format in which numpy gets the same bits. numpy has no
bfloat16."""

PAIR: Final = {torch.float32: 1, torch.bfloat16: 2}
"""For each number format: how many dimensions of a key stand together in a tile. They fill 32 bits."""


def can_tile(keys: torch.Tensor) -> bool:
    """Whether keys [..., size] can lie in tiles. They must be on a CPU, in a format of `NUMPY_FORMATS`, and of an even size."""
    return keys.device.type == "cpu" and keys.dtype in NUMPY_FORMATS and keys.shape[-1] % 2 == 0


def as_numpy(tensor: torch.Tensor) -> Any:
    """Return a numpy array in the same memory as a tensor, whose format must be one of `NUMPY_FORMATS`."""
    return tensor.view(NUMPY_FORMATS[tensor.dtype]).numpy()


def is_tiled(keys: torch.Tensor) -> bool:
    """Whether the keys of a cache lie in tiles. If so, they are [slots, tiles, KV heads, size / pair, TILE, pair]."""
    return keys.dim() == 6


class TiledBlocks:
    """The keys and values of one layer in the KV cache: keys in tiles, values token by token.

    Args:
        key_states: Keys [KV heads, tokens, size] of any tokens. Only their sizes and their format are used.
        value_states: Values [KV heads, tokens, value size] of any tokens. Only their sizes and their format are used.
        slots: The number of slots.
        length: The length of a slot, in tokens. It is rounded up to whole tiles.
    """

    def __init__(self, key_states: torch.Tensor, value_states: torch.Tensor, slots: int, length: int) -> None:
        heads, _, size = key_states.shape
        tiles, pair = -(-length // TILE), PAIR[key_states.dtype]
        self.keys = key_states.new_zeros(slots, tiles, heads, size // pair, TILE, pair)
        self.values = value_states.new_zeros(slots, tiles * TILE, heads, value_states.shape[2])

    @property
    def token_bytes(self) -> int:
        """The memory that one token of one slot takes, in bytes."""
        heads, parts, _, pair = self.keys.shape[2:]
        return heads * (parts * pair + self.values.shape[3]) * self.values.element_size()

    def write(
        self, key_states: torch.Tensor, value_states: torch.Tensor, slots: torch.Tensor, positions: torch.Tensor
    ) -> None:
        """Write the keys and values [KV heads, tokens, size] of tokens to the tokens' slots and positions [tokens]."""
        _make_write(bf16=self.keys.dtype == torch.bfloat16)(
            as_numpy(self.keys),
            as_numpy(self.values),
            as_numpy(key_states),
            as_numpy(value_states),
            slots.numpy(),
            positions.numpy(),
        )

    def indices(self, slots: torch.Tensor, positions: torch.Tensor) -> list[tuple[torch.Tensor, tuple[Any, ...]]]:
        """Return two pairs, one for the keys and one for the values.

        A pair holds a tensor, and the index that selects the tokens at these slots and positions.
        """
        tile, row = positions // TILE, positions % TILE
        return [(self.keys, (slots, tile, slice(None), slice(None), row)), (self.values, (slots, positions))]

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Copy the keys and values of the first `tokens` tokens of slot `source` to slot `target`.

        Keys are copied in whole tiles.
        """
        tiles = -(-tokens // TILE)
        self.keys[target, :tiles] = self.keys[source, :tiles]
        self.values[target, :tokens] = self.values[source, :tokens]

    def resize(self, slots: int, length: int) -> None:
        """Change the number of slots or the length of each slot. Tokens that fit the new sizes are kept."""
        tiles = -(-length // TILE)
        self.keys = resized(self.keys, slots, tiles, *self.keys.shape[2:])
        self.values = resized(self.values, slots, tiles * TILE, *self.values.shape[2:])


def keys_of(keys: torch.Tensor, slot: int, end: int) -> torch.Tensor:
    """Return the first `end` keys of a slot in the order of tokens: [KV heads, end, size]."""
    heads, parts, _, pair = keys.shape[2:]
    tiles = keys[slot, : -(-end // TILE)].permute(1, 0, 3, 2, 4)
    return tiles.reshape(heads, -1, parts * pair)[:, :end]


def resized(block: torch.Tensor, *shape: int) -> torch.Tensor:
    """Return a new tensor of this shape with the numbers of `block` that fit in it. All other numbers are zero."""
    new = block.new_zeros(shape)
    fits = tuple(slice(min(sizes)) for sizes in zip(block.shape, shape, strict=True))
    new[fits] = block[fits]
    return new


@cache
def _make_write(*, bf16: bool) -> Loops:
    """Compile the loops that write keys and values.

    The arguments' types are fixed, so that numba can cache the compiled loops.
    """
    number = types.uint16 if bf16 else types.float32
    blocks = [types.Array(number, dimensions, "C") for dimensions in (6, 4)]
    states, indices_type = types.Array(number, 3, "A"), types.Array(types.int64, 1, "A")

    def write(keys: Any, values: Any, key_states: Any, value_states: Any, slots: Any, positions: Any) -> None:
        heads, parts, pair, value_size = keys.shape[2], keys.shape[3], keys.shape[5], values.shape[3]
        for n in range(len(slots)):
            slot, position = slots[n], positions[n]
            tile, row = position // TILE, position % TILE
            for head in range(heads):
                for part in range(parts):
                    for p in range(pair):
                        keys[slot, tile, head, part, row, p] = key_states[head, n, part * pair + p]
                for d in range(value_size):
                    values[slot, position, head, d] = value_states[head, n, d]

    signature = types.void(*blocks, states, states, indices_type, indices_type)
    return compiled(signature)(write)

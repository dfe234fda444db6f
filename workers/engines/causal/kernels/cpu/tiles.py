"""Keys and values on a CPU, as `decode_kernel` reads them: each number once, in the order in which it lies in memory.

A text's keys lie in tiles of 16 tokens. Within a tile and a head the same part of all 16 keys stands together, so that a
vector register holds 16 scores and is never summed up across; of bfloat16 two parts stand together, which is one word a
token. Values lie token by token. All heads of a token or a tile stand next to each other: a text is one run of memory.
"""

from functools import cache
from typing import Any, Final

import torch
from numba import types

from workers.engines.causal.kernels.cpu.loops import Loops, compiled

TILE: Final = 16
"""Tokens whose keys are interleaved: the float32 of a vector register of 512 bits."""

FORMATS: Final = {torch.float32: torch.float32, torch.bfloat16: torch.uint16}
"""Number formats of the cache, and how numpy, which knows no bfloat16, is shown them."""

PAIR: Final = {torch.float32: 1, torch.bfloat16: 2}
"""How many parts of a key stand together in a tile: 32 bits."""


def is_fit(keys: torch.Tensor) -> bool:
    """Whether keys [..., size] can lie in tiles here: the loops take two parts of a key at once."""
    return keys.device.type == "cpu" and keys.dtype in FORMATS and keys.shape[-1] % 2 == 0


def shown(tensor: torch.Tensor) -> Any:
    """A tensor of one of the formats as numpy sees it, in the same memory."""
    return tensor.view(FORMATS[tensor.dtype]).numpy()


def is_tiled(keys: torch.Tensor) -> bool:
    """Whether keys of a cache lie in tiles: [slots, tiles, key heads, size / pair, TILE, pair]."""
    return keys.dim() == 6


class TiledBlocks:
    """The keys and values of a layer.

    Args:
        key_states: Keys [key heads, tokens, size] of any tokens, for their sizes and format.
        value_states: Values [key heads, tokens, value size], likewise.
        slots: How many texts there is room for.
        length: How many tokens each has at least.
    """

    def __init__(self, key_states: torch.Tensor, value_states: torch.Tensor, slots: int, length: int) -> None:
        heads, _, size = key_states.shape
        tiles, pair = -(-length // TILE), PAIR[key_states.dtype]
        self.keys = key_states.new_zeros(slots, tiles, heads, size // pair, TILE, pair)
        self.values = value_states.new_zeros(slots, tiles * TILE, heads, value_states.shape[2])

    @property
    def token_bytes(self) -> int:
        """What one token of one slot takes."""
        heads, parts, _, pair = self.keys.shape[2:]
        return heads * (parts * pair + self.values.shape[3]) * self.values.element_size()

    def put(
        self, key_states: torch.Tensor, value_states: torch.Tensor, slots: torch.Tensor, positions: torch.Tensor
    ) -> None:
        """Put keys and values [key heads, tokens, size] where the tokens stand: their slots and positions [tokens]."""
        _putter(halves=self.keys.dtype == torch.bfloat16)(
            shown(self.keys),
            shown(self.values),
            shown(key_states),
            shown(value_states),
            slots.numpy(),
            positions.numpy(),
        )

    def spots(self, slots: torch.Tensor, positions: torch.Tensor) -> list[tuple[torch.Tensor, tuple[Any, ...]]]:
        """Where tokens stand: each block, and its index of them."""
        tile, row = positions // TILE, positions % TILE
        return [(self.keys, (slots, tile, slice(None), slice(None), row)), (self.values, (slots, positions))]

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Let slot `target` begin with the first tokens of slot `source`. Whole tiles go; what follows in them is not read."""
        tiles = -(-tokens // TILE)
        self.keys[target, :tiles] = self.keys[source, :tiles]
        self.values[target, :tokens] = self.values[source, :tokens]

    def resize(self, slots: int, length: int) -> None:
        """Another number of slots or tokens. What fits stays."""
        tiles = -(-length // TILE)
        self.keys = moved(self.keys, slots, tiles, *self.keys.shape[2:])
        self.values = moved(self.values, slots, tiles * TILE, *self.values.shape[2:])


def keys_of(keys: torch.Tensor, slot: int, end: int) -> torch.Tensor:
    """The first keys of a slot as they are elsewhere: [key heads, end, size]."""
    heads, parts, _, pair = keys.shape[2:]
    tiles = keys[slot, : -(-end // TILE)].permute(1, 0, 3, 2, 4)
    return tiles.reshape(heads, -1, parts * pair)[:, :end]


def moved(block: torch.Tensor, *shape: int) -> torch.Tensor:
    """A block of another shape. What fits stays, and all else is zero."""
    new = block.new_zeros(shape)
    fits = tuple(slice(min(sizes)) for sizes in zip(block.shape, shape, strict=True))
    new[fits] = block[fits]
    return new


@cache
def _putter(*, halves: bool) -> Loops:
    """The loops, for a number format. What they take is fixed, so that they are compiled once, and found in a cache."""
    number = types.uint16 if halves else types.float32
    blocks = [types.Array(number, dimensions, "C") for dimensions in (6, 4)]
    states, places = types.Array(number, 3, "A"), types.Array(types.int64, 1, "A")

    def put(keys: Any, values: Any, key_states: Any, value_states: Any, slots: Any, positions: Any) -> None:
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

    signature = types.void(*blocks, states, states, places, places)
    return compiled(signature)(put)

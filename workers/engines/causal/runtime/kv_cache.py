"""The KV cache: for each layer, one block of memory with the keys of all slots, and one with the values of all slots.

A block [slots, KV heads, length, size] is allocated when its layer first runs, because its sizes are not known earlier. It is
allocated anew when the number or the length of slots changes. This module knows no requests.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin

from workers.engines.causal.kernels.cpu.tiles import TiledBlocks, can_tile, resized
from workers.engines.causal.runtime.attention import LAYOUT


class PlainBlocks:
    """The two blocks of a layer, for keys and for values: [slots, KV heads, length, size]. `TiledBlocks` has the same methods."""

    def __init__(self, key_states: torch.Tensor, value_states: torch.Tensor, slots: int, length: int) -> None:
        """Allocate zeros. Masked values are still multiplied (by 0), so they must not be NaN."""
        self.keys, self.values = (
            states.new_zeros(slots, states.shape[0], length, states.shape[2]) for states in (key_states, value_states)
        )

    @property
    def token_bytes(self) -> int:
        """The memory that one token of one slot takes, in bytes."""
        return sum(block.shape[1] * block.shape[3] * block.element_size() for block in (self.keys, self.values))

    def write(
        self, key_states: torch.Tensor, value_states: torch.Tensor, slots: torch.Tensor, positions: torch.Tensor
    ) -> None:
        """Write keys and values [KV heads, tokens, size] to the slots and positions [tokens] of their tokens."""
        for block, states in ((self.keys, key_states), (self.values, value_states)):
            block[slots, :, positions] = states.transpose(0, 1)

    def indices(self, slots: torch.Tensor, positions: torch.Tensor) -> list[tuple[torch.Tensor, tuple[Any, ...]]]:
        """Return two pairs, for keys and for values: a block, and the index of the tokens at these slots and positions in it."""
        return [(block, (slots, slice(None), positions)) for block in (self.keys, self.values)]

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Copy the keys and values of the first tokens of slot `source` to slot `target`."""
        for block in (self.keys, self.values):
            block[target, :, :tokens] = block[source, :, :tokens]

    def resize(self, slots: int, length: int) -> None:
        """Change the number of slots or their length. Tokens that still fit stay."""
        self.keys, self.values = (
            resized(block, slots, block.shape[1], length, block.shape[3]) for block in (self.keys, self.values)
        )


class SlotLayer(CacheLayerMixin):  # type: ignore[misc]  # transformers has no types
    """The cache of one layer.

    `update` writes a step's keys and values to the slots and positions that `LAYOUT` gives, and returns the whole blocks.
    """

    is_sliding = False
    is_compileable = False

    def __init__(self, slots: int, length: int) -> None:
        super().__init__()
        self.blocks: PlainBlocks | TiledBlocks | None = None
        self.slots = slots
        self.length = length

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        self.dtype, self.device = key_states.dtype, key_states.device
        kind = TiledBlocks if can_tile(key_states) else PlainBlocks
        self.blocks = kind(key_states[0], value_states[0], self.slots, self.length)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.blocks is None:
            self.lazy_initialization(key_states, value_states)
        blocks = cast("PlainBlocks | TiledBlocks", self.blocks)
        blocks.write(key_states[0], value_states[0], *LAYOUT.get().slots_and_positions)
        return blocks.keys, blocks.values

    def resize(self, slots: int, length: int) -> None:
        """Change the number of slots or their length. Tokens that still fit stay."""
        self.slots, self.length = slots, length
        if self.blocks is not None:
            self.blocks.resize(slots, length)

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Copy the keys and values of the first tokens of slot `source` to slot `target`."""
        if self.blocks is not None:
            self.blocks.copy(source, target, tokens)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return query_length, 0

    def get_seq_length(self) -> int:
        return 0

    def get_max_length(self) -> int:
        return self.length


class SlotCache(Cache):  # type: ignore[misc]  # transformers has no types
    """The cache of all layers of a model. Pass it to the model's forward as `past_key_values`, with `LAYOUT` set."""

    def __init__(self, layers: int, slots: int, length: int) -> None:
        self._slot_layers: Sequence[SlotLayer] = [SlotLayer(slots, length) for _ in range(layers)]
        super().__init__(layers=list(self._slot_layers))
        self.before_reallocation: Callable[[], None] = lambda: None
        """Called before blocks are freed or allocated anew, so that nothing reads their old memory."""

    @property
    def slots(self) -> int:
        """The number of slots."""
        return self._slot_layers[0].slots

    @property
    def length(self) -> int:
        """The length of a slot, in tokens."""
        return self._slot_layers[0].length

    @property
    def token_bytes(self) -> int:
        """The memory that one token of one slot takes in all layers, in bytes; 0 before the first step."""
        return sum(layer.blocks.token_bytes for layer in self._slot_layers if layer.blocks is not None)

    @torch.inference_mode()
    def resize(self, slots: int, length: int) -> None:
        """Change the number of slots or their length. Tokens that still fit stay.

        If an allocation fails, its exception is raised, and the cache can still be cleared or resized.
        """
        self.before_reallocation()
        for layer in self._slot_layers:
            layer.resize(slots, length)

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Copy the keys and values of the first tokens of slot `source` to slot `target`."""
        for layer in self._slot_layers:
            layer.copy(source, target, tokens)

    @contextmanager
    def keeping_first_token(self, slot: int) -> Iterator[None]:
        """At the end of the `with` block, restore the keys and values that the slot's first token had at the beginning."""
        indices = self._indices(torch.tensor([slot]), torch.tensor([0]))
        saved = [block[index].clone() for block, index in indices]
        try:
            yield
        finally:
            for (block, index), values_before in zip(indices, saved, strict=True):
                block[index] = values_before

    def poison(self, slots: torch.Tensor, positions: torch.Tensor) -> None:
        """Set the keys and values at these slots [n] and positions [n] to NaN, so that reading them gives NaN."""
        for block, index in self._indices(slots, positions):
            block[index] = torch.nan

    def is_poisoned(self, slots: torch.Tensor, positions: torch.Tensor) -> bool:
        """Whether any key or value at these slots [n] and positions [n] is NaN."""
        return any(bool(block[index].isnan().any()) for block, index in self._indices(slots, positions))

    def _indices(self, slots: torch.Tensor, positions: torch.Tensor) -> list[tuple[torch.Tensor, tuple[Any, ...]]]:
        made = [layer.blocks for layer in self._slot_layers if layer.blocks is not None]
        return [
            index
            for blocks in made
            for index in blocks.indices(slots.to(blocks.keys.device), positions.to(blocks.keys.device))
        ]

    def clear(self, slots: int, length: int) -> None:
        """Forget everything and free the memory. The next step allocates blocks with `slots` slots of `length` tokens."""
        self.before_reallocation()
        for layer in self._slot_layers:
            layer.blocks = None
            layer.is_initialized = False
            layer.slots, layer.length = slots, length

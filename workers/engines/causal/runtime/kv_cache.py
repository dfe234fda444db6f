"""The cache: keys and values of the tokens of each slot, in one block a layer.

A block [slots, key heads, length, size] is made when a layer first runs, since only then are its sizes known, and anew
when slots or length change. Nothing here knows requests.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from transformers import Cache
from transformers.cache_utils import CacheLayerMixin

from workers.engines.causal.kernels.cpu.tiles import TiledBlocks, is_fit, moved
from workers.engines.causal.runtime.attention import LAYOUT


class PlainBlocks:
    """The keys and values of a layer, [slots, key heads, length, size] each; see `TiledBlocks`, for its arguments too."""

    def __init__(self, key_states: torch.Tensor, value_states: torch.Tensor, slots: int, length: int) -> None:
        """Zeros, since what is masked is still multiplied, and must be a number."""
        self.keys, self.values = (
            states.new_zeros(slots, states.shape[0], length, states.shape[2]) for states in (key_states, value_states)
        )

    @property
    def token_bytes(self) -> int:
        """What one token of one slot takes."""
        return sum(block.shape[1] * block.shape[3] * block.element_size() for block in (self.keys, self.values))

    def put(
        self, key_states: torch.Tensor, value_states: torch.Tensor, slots: torch.Tensor, positions: torch.Tensor
    ) -> None:
        """Put keys and values [key heads, tokens, size] where the tokens stand: their slots and positions [tokens]."""
        for block, states in ((self.keys, key_states), (self.values, value_states)):
            block[slots, :, positions] = states.transpose(0, 1)

    def spots(self, slots: torch.Tensor, positions: torch.Tensor) -> list[tuple[torch.Tensor, tuple[Any, ...]]]:
        """Where tokens stand: each block, and its index of them."""
        return [(block, (slots, slice(None), positions)) for block in (self.keys, self.values)]

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Let slot `target` begin with the first tokens of slot `source`."""
        for block in (self.keys, self.values):
            block[target, :, :tokens] = block[source, :, :tokens]

    def resize(self, slots: int, length: int) -> None:
        """Another number of slots or tokens. What fits stays."""
        self.keys, self.values = (
            moved(block, slots, block.shape[1], length, block.shape[3]) for block in (self.keys, self.values)
        )


class SlotLayer(CacheLayerMixin):  # type: ignore[misc]  # transformers tells no types
    """The keys and values of one layer. `update` puts a step's tokens where the layout says, and returns the whole blocks."""

    is_sliding = False
    is_compileable = False

    def __init__(self, slots: int, length: int) -> None:
        super().__init__()
        self.blocks: PlainBlocks | TiledBlocks | None = None
        self.slots = slots
        self.length = length

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        self.dtype, self.device = key_states.dtype, key_states.device
        kind = TiledBlocks if is_fit(key_states) else PlainBlocks
        self.blocks = kind(key_states[0], value_states[0], self.slots, self.length)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.blocks is None:
            self.lazy_initialization(key_states, value_states)
        blocks = cast("PlainBlocks | TiledBlocks", self.blocks)
        blocks.put(key_states[0], value_states[0], *LAYOUT.get().places)
        return blocks.keys, blocks.values

    def resize(self, slots: int, length: int) -> None:
        """Another number of slots or tokens. What fits stays."""
        self.slots, self.length = slots, length
        if self.blocks is not None:
            self.blocks.resize(slots, length)

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Let slot `target` begin with the first tokens of slot `source`."""
        if self.blocks is not None:
            self.blocks.copy(source, target, tokens)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return query_length, 0

    def get_seq_length(self) -> int:
        return 0

    def get_max_length(self) -> int:
        return self.length


class SlotCache(Cache):  # type: ignore[misc]  # transformers tells no types
    """The layers of a model. Give it to the model's forward as `past_key_values`, with a layout set."""

    def __init__(self, layers: int, slots: int, length: int) -> None:
        self._slot_layers: Sequence[SlotLayer] = [SlotLayer(slots, length) for _ in range(layers)]
        super().__init__(layers=list(self._slot_layers))
        self.before_moving: Callable[[], None] = lambda: None
        """Called before the blocks are made anew elsewhere."""

    @property
    def slots(self) -> int:
        """How many texts it holds."""
        return self._slot_layers[0].slots

    @property
    def length(self) -> int:
        """How many tokens of each."""
        return self._slot_layers[0].length

    @property
    def token_bytes(self) -> int:
        """What one token of one slot takes in all layers; 0 before the first step."""
        return sum(layer.blocks.token_bytes for layer in self._slot_layers if layer.blocks is not None)

    @torch.inference_mode()
    def resize(self, slots: int, length: int) -> None:
        """Another number of slots or tokens. What fits stays. Raises what an allocator raises, and is whole even then."""
        self.before_moving()
        for layer in self._slot_layers:
            layer.resize(slots, length)

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Let slot `target` begin with the first tokens of slot `source`."""
        for layer in self._slot_layers:
            layer.copy(source, target, tokens)

    @contextmanager
    def lent(self, slot: int) -> Iterator[None]:
        """The first token of a slot may be overwritten meanwhile."""
        spots = self._spots(torch.tensor([slot]), torch.tensor([0]))
        kept = [block[index].clone() for block, index in spots]
        try:
            yield
        finally:
            for (block, index), was in zip(spots, kept, strict=True):
                block[index] = was

    def spoil(self, slots: torch.Tensor, positions: torch.Tensor) -> None:
        """Make tokens [n] of slots [n] such that whoever reads them gets no number."""
        for block, index in self._spots(slots, positions):
            block[index] = torch.nan

    def is_spoilt(self, slots: torch.Tensor, positions: torch.Tensor) -> bool:
        """Whether any of these is still so."""
        return any(bool(block[index].isnan().any()) for block, index in self._spots(slots, positions))

    def _spots(self, slots: torch.Tensor, positions: torch.Tensor) -> list[tuple[torch.Tensor, tuple[Any, ...]]]:
        made = [layer.blocks for layer in self._slot_layers if layer.blocks is not None]
        return [
            spot
            for blocks in made
            for spot in blocks.spots(slots.to(blocks.keys.device), positions.to(blocks.keys.device))
        ]

    def clear(self, slots: int, length: int) -> None:
        """Forget everything and give the memory back; blocks are made anew at the next step."""
        self.before_moving()
        for layer in self._slot_layers:
            layer.blocks = None
            layer.is_initialized = False
            layer.slots, layer.length = slots, length

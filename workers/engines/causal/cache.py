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

from workers.engines.causal.attention import LAYOUT
from workers.engines.causal.decode_kernel import is_fit, put_each


class SlotLayer(CacheLayerMixin):  # type: ignore[misc]  # transformers tells no types
    """The keys and values of one layer. `update` puts a step's tokens where the layout says, and returns the whole block."""

    is_sliding = False
    is_compileable = False

    def __init__(self, slots: int, length: int) -> None:
        super().__init__()
        self.keys: torch.Tensor | None = None
        self.values: torch.Tensor | None = None
        self.slots = slots
        self.length = length

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        self.dtype, self.device = key_states.dtype, key_states.device
        self.keys = self._block(key_states)
        self.values = self._block(value_states)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.keys is None or self.values is None:
            self.lazy_initialization(key_states, value_states)
        keys, values = cast("torch.Tensor", self.keys), cast("torch.Tensor", self.values)
        layout = LAYOUT.get()
        for block, states in ((keys, key_states[0]), (values, value_states[0])):
            if n := layout.singles:
                if is_fit(block):
                    put_each(block, states[:, :n], layout.slots, layout.positions)
                else:
                    block[layout.slots, :, layout.positions] = states[:, :n].transpose(0, 1)
            for chunk in layout.chunks:
                block[chunk.slot, :, chunk.start : chunk.end] = states[:, chunk.first : chunk.first + chunk.size]
        return keys, values

    def resize(self, slots: int, length: int) -> None:
        """Another number of slots or tokens. What fits stays."""
        self.slots, self.length = slots, length
        if self.keys is not None and self.values is not None:
            self.keys, self.values = self._moved(self.keys), self._moved(self.values)

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Let slot `target` begin with the first tokens of slot `source`."""
        for block in (self.keys, self.values):
            if block is not None:
                block[target, :, :tokens] = block[source, :, :tokens]

    def spoil(self, slots: torch.Tensor, positions: torch.Tensor) -> None:
        """Make tokens [n] of slots [n] such that whoever reads them gets no number."""
        for block in (self.keys, self.values):
            if block is not None:
                block[slots, :, positions] = torch.nan

    def is_spoilt(self, slots: torch.Tensor, positions: torch.Tensor) -> bool:
        """Whether any of these is still so."""
        blocks = [block for block in (self.keys, self.values) if block is not None]
        return any(bool(block[slots, :, positions].isnan().any()) for block in blocks)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return query_length, 0

    def get_seq_length(self) -> int:
        return 0

    def get_max_length(self) -> int:
        return self.length

    def _block(self, states: torch.Tensor) -> torch.Tensor:
        """Zeros, since what is masked is still multiplied, and must be a number."""
        return states.new_zeros(self.slots, states.shape[1], self.length, states.shape[3])

    def _moved(self, block: torch.Tensor) -> torch.Tensor:
        new = block.new_zeros(self.slots, block.shape[1], self.length, block.shape[3])
        slots, length = min(len(block), self.slots), min(block.shape[2], self.length)
        new[:slots, :, :length] = block[:slots, :, :length]
        return new


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
        blocks = [block for layer in self._slot_layers for block in (layer.keys, layer.values) if block is not None]
        return sum(block.shape[1] * block.shape[3] * block.element_size() for block in blocks)

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
        blocks = [block for layer in self._slot_layers for block in (layer.keys, layer.values) if block is not None]
        kept = [block[slot, :, 0].clone() for block in blocks]
        try:
            yield
        finally:
            for block, was in zip(blocks, kept, strict=True):
                block[slot, :, 0] = was

    def spoil(self, slots: torch.Tensor, positions: torch.Tensor) -> None:
        """Make tokens [n] of slots [n] such that whoever reads them gets no number."""
        for layer in self._slot_layers:
            layer.spoil(slots, positions)

    def is_spoilt(self, slots: torch.Tensor, positions: torch.Tensor) -> bool:
        """Whether any of these is still so."""
        return any(layer.is_spoilt(slots, positions) for layer in self._slot_layers)

    def clear(self, slots: int, length: int) -> None:
        """Forget everything and give the memory back; blocks are made anew at the next step."""
        self.before_moving()
        for layer in self._slot_layers:
            layer.keys = layer.values = None
            layer.is_initialized = False
            layer.slots, layer.length = slots, length

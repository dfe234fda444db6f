"""Attention over a flat step: tokens of many texts stand in one row, and each reads its own slot of the cache.

Registered with transformers as an attention implementation, so that any model that takes one can be run in slots. What it
cannot compute exactly, it refuses; `probe` then finds the model unfit.
"""

import time
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from workers.engines.causal.kernels.cpu.attention import attend_each
from workers.engines.causal.kernels.cpu.tiles import is_tiled, keys_of
from workers.engines.causal.kernels.gpu import attention as gpu_attention

NAME: Final = "nightpress"
SHORT: Final = 32
"""A chunk of so many tokens at most is read token by token on a CPU: a product of so few would take longer to set up."""

REFUSED: Final = ("s_aux", "position_bias", "alibi", "indices")
"""Arguments that change what is attended to in ways that are not known here."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Tokens of one text, next to each other in the step's row.

    `first` is the place of the first in the row, `start` its position in the text, `size` how many there are.
    """

    slot: int
    first: int
    start: int
    size: int

    @property
    def end(self) -> int:
        """How many tokens the slot holds afterwards."""
        return self.start + self.size


@dataclass
class Layout:
    """Where each token of a step stands: first one token for each text that is being written, then chunks of prompts.

    Args:
        slots: Of the single tokens [n], ascending.
        positions: Of the single tokens [n].
        chunks: The others, short ones first.
        rows: How many slots of the cache the single tokens' attention covers: all up to the highest of them.
        reach: How many tokens of a slot it covers.
        repeats: Whether a slot may come several times among the single tokens, with the same token.
    """

    slots: torch.Tensor
    positions: torch.Tensor
    chunks: tuple[Chunk, ...]
    rows: int
    reach: int
    repeats: bool = False
    attention_ns: int = 0
    _masks: dict[int | None, torch.Tensor] = field(default_factory=dict)

    @property
    def singles(self) -> int:
        """How many single tokens there are."""
        return len(self.slots)

    @cached_property
    def short(self) -> int:
        """How many of the first chunks are short."""
        return next((n for n, chunk in enumerate(self.chunks) if chunk.size > SHORT), len(self.chunks))

    @cached_property
    def alone(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Slots of the tokens that are read one by one on a CPU, and how much of them each sees, itself included.

        They are the first of the row: single tokens, then those of the first chunks while they are short.
        """
        slots, positions = self.places
        count = self.singles + sum(chunk.size for chunk in self.chunks[: self.short])
        return slots[:count], positions[:count] + 1

    @cached_property
    def lengths(self) -> torch.Tensor:
        """How many tokens the slots of the single tokens hold, these included [n]."""
        return self.positions + 1

    @cached_property
    def places(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Slot and position of each token of the row."""
        if not self.chunks:
            return self.slots, self.positions
        slots, positions = [self.slots], [self.positions]
        for chunk in self.chunks:
            positions.append(torch.arange(chunk.start, chunk.end, device=self.slots.device))
            slots.append(torch.full_like(positions[-1], chunk.slot))
        return torch.cat(slots), torch.cat(positions)

    def mask(self, window: int | None, dtype: torch.dtype) -> torch.Tensor:
        """What the single tokens may not see [rows, 1, 1, reach], as -inf to be added. Rows without one see position 0."""
        if window not in self._masks:
            device = self.slots.device
            last = torch.zeros(self.rows, dtype=torch.long, device=device)
            last[self.slots] = self.positions
            places = torch.arange(self.reach, device=device)
            hidden = places > last[:, None]
            if window is not None:
                hidden |= places <= last[:, None] - window
            mask = torch.zeros(hidden.shape, dtype=dtype, device=device).masked_fill_(hidden, -torch.inf)
            self._masks[window] = mask[:, None, None, :]
        return self._masks[window]


LAYOUT: ContextVar[Layout] = ContextVar("LAYOUT")


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers calls in each layer. `key` and `value` are the whole cache of the layer, this step's tokens included.

    Args:
        module: The layer's attention.
        query: [1, heads, tokens, size].
        key: [slots, key heads, length, size], or in tiles.
        value: [slots, key heads, length, value size], or beside tiles [slots, length, key heads, value size].
        attention_mask: None: the layout says what sees what.
        scaling: Of the scores; None is the usual one.
        dropout: 0: nothing is trained here.
        softcap: The scores are kept within it (Gemma 2: arXiv 2408.00118).
        sliding_window: How many tokens back a token sees, itself included.
        others: What models pass besides; those of `REFUSED` must be unset.

    Returns:
        [1, tokens, heads, value size], and None in place of the weights.

    Raises:
        NotImplementedError: The model asks for an attention that is not this one.
    """
    if attention_mask is not None or not getattr(module, "is_causal", True):
        raise NotImplementedError("attention that is not causal")
    if refused := [name for name in REFUSED if others.get(name) is not None]:
        raise NotImplementedError(f"attention with {refused[0]}")
    began_ns = time.perf_counter_ns()
    layout = LAYOUT.get()
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    parts = []
    chunks: Sequence[Chunk] = layout.chunks
    if is_tiled(key):
        slots, lengths = layout.alone
        chunks = chunks[layout.short :]
        if count := len(slots):
            asked = query[0, :, :count]
            parts.append(
                attend_each(asked, key, value, slots, lengths, scale=scale, softcap=softcap, window=sliding_window)
            )
    elif layout.singles:
        parts.append(_attend_singles(layout, query[0, :, : layout.singles], key, value, scale, softcap, sliding_window))
    for chunk in chunks:
        asked = query[:, :, chunk.first : chunk.first + chunk.size]
        parts.append(_attend_chunk(chunk, asked, key, value, scale, softcap, sliding_window))
    layout.attention_ns += time.perf_counter_ns() - began_ns
    return (parts[0] if len(parts) == 1 else torch.cat(parts))[None], None


def _attend_singles(
    layout: Layout,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
    softcap: float | None,
    window: int | None,
) -> torch.Tensor:
    """[singles, heads, value size] for query [heads, singles, size]."""
    heads, singles, size = query.shape
    groups = key.shape[1]
    asked = query.transpose(0, 1).reshape(singles, groups, heads // groups, size)
    if gpu_attention.is_fit(key, value, heads // groups, softcap=softcap, window=window):
        each = gpu_attention.attend_each(
            asked, key, value, layout.slots, layout.lengths,
            scale=scale, reach=layout.reach, softcap=softcap, window=window,
        )  # fmt: skip
        return each.reshape(singles, heads, value.shape[-1])
    return _attend_covered(layout, asked, key, value, scale, softcap, window)


def _attend_covered(
    layout: Layout,
    asked: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
    softcap: float | None,
    window: int | None,
) -> torch.Tensor:
    """[singles, heads, value size] for [singles, key heads, queries, size]: two products over all covered slots at once."""
    singles, groups, queries = asked.shape[:3]
    spread = layout.repeats or singles < layout.rows  # slots between them have no single token in this step
    if spread:
        asked = asked.new_zeros(layout.rows, *asked.shape[1:]).index_copy_(0, layout.slots, asked)
    keys, values = key[: layout.rows, :, : layout.reach], value[: layout.rows, :, : layout.reach]
    scores = torch.matmul(asked * scale, keys.transpose(2, 3))
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    scores = scores.add_(layout.mask(window, scores.dtype))
    weights = scores.softmax(-1, dtype=torch.float32).to(value.dtype)
    out = torch.matmul(weights, values)
    return (out.index_select(0, layout.slots) if spread else out).reshape(singles, groups * queries, value.shape[-1])


def _attend_chunk(
    chunk: Chunk,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
    softcap: float | None,
    window: int | None,
) -> torch.Tensor:
    """[size, heads, value size] for query [1, heads, size, head size] of one chunk."""
    if is_tiled(key):
        keys = keys_of(key, chunk.slot, chunk.end)[None]
        values = value[chunk.slot : chunk.slot + 1, : chunk.end].transpose(1, 2)
    else:
        keys = key[chunk.slot : chunk.slot + 1, :, : chunk.end]
        values = value[chunk.slot : chunk.slot + 1, :, : chunk.end]
    groups = keys.shape[1]
    grouped = query.shape[1] != groups
    if chunk.start == 0 and softcap is None and (window is None or chunk.end <= window):
        out = scaled_dot_product_attention(query, keys, values, is_causal=True, scale=scale, enable_gqa=grouped)
        return out[0].transpose(0, 1)
    places = torch.arange(chunk.end, device=query.device)
    at = torch.arange(chunk.start, chunk.end, device=query.device)[:, None]
    seen = places <= at
    if window is not None:
        seen &= places > at - window
    if softcap is None:
        out = scaled_dot_product_attention(query, keys, values, attn_mask=seen, scale=scale, enable_gqa=grouped)
        return out[0].transpose(0, 1)
    asked = query.reshape(1, groups, -1, *query.shape[2:])
    scores = torch.matmul(asked * scale, keys.transpose(2, 3)[:, :, None])
    scores = (torch.tanh(scores / softcap) * softcap).masked_fill_(~seen, -torch.inf)
    weights = scores.softmax(-1, dtype=torch.float32).to(value.dtype)
    return torch.matmul(weights, values[:, :, None]).flatten(1, 2)[0].transpose(0, 1)


AttentionInterface.register(NAME, attend)

"""The attention of slots: a step computes tokens of many sequences, and each token attends to the slot of its own sequence.

This attention is registered with transformers, so that any model whose attention can be replaced can run in slots. Variants of
attention that this module cannot compute exactly are refused. `probe` then finds the model unfit.
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

from workers.engines.causal.kernels.cpu.attention import decode_attention
from workers.engines.causal.kernels.cpu.tiles import is_tiled, keys_of
from workers.engines.causal.kernels.gpu import attention as gpu_attention

ATTENTION_NAME: Final = "nightpress"
"""The name under which transformers knows this attention."""

MAX_SHORT_CHUNK: Final = 32
"""A chunk of at most this many tokens is short. If keys are in tiles (on a CPU), a short chunk's attention is computed token by
token, because setting up matrix products would take longer for so few tokens."""

REFUSED_ARGUMENTS: Final = ("s_aux", "position_bias", "alibi", "indices")
"""Arguments that ask for variants of attention that this module does not compute. A model that gives one of them is refused."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Successive tokens of one sequence that a step computes.

    `row_start` is the index of the chunk's first token among all tokens of the step. `start` is that token's position in the
    sequence. `size` is the number of tokens.
    """

    slot: int
    row_start: int
    start: int
    size: int

    @property
    def end(self) -> int:
        """How many tokens the slot holds after the step."""
        return self.start + self.size


@dataclass
class Layout:
    """Says to which slot and position each token of a step belongs: first the decode tokens, then chunks of prefills.

    Args:
        slots: The slots of the decode tokens [n], ascending.
        positions: The positions of the decode tokens in their sequences [n].
        chunks: The chunks, short ones first.
        covered_slots: A number of slots, counted from slot 0, that includes the slots of all decode tokens.
        max_length: A decode token attends to at most this many tokens, itself included.
        repeats: Whether `slots` and `positions` may name the same decode token several times.
        attention_ns: The time spent in attention so far, in nanoseconds.
        in_long_text: The value of `rotary.IN_LONG_TEXT` during the step.
    """

    slots: torch.Tensor
    positions: torch.Tensor
    chunks: tuple[Chunk, ...]
    covered_slots: int
    max_length: int
    repeats: bool = False
    attention_ns: int = 0
    in_long_text: torch.Tensor | bool = False
    _masks: dict[int | None, torch.Tensor] = field(default_factory=dict)

    @property
    def decode_tokens(self) -> int:
        """The number of decode tokens."""
        return len(self.slots)

    @cached_property
    def short_chunks(self) -> int:
        """The number of short chunks (`MAX_SHORT_CHUNK`). They come first."""
        return next((n for n, chunk in enumerate(self.chunks) if chunk.size > MAX_SHORT_CHUNK), len(self.chunks))

    @cached_property
    def token_by_token(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Two tensors [n] for the tokens that attend one by one on a CPU: their slots, and how many tokens each of them sees.

        These are the first tokens of the step: the decode tokens, then the tokens of the short chunks. Each also sees itself.
        """
        slots, positions = self.slots_and_positions
        count = self.decode_tokens + sum(chunk.size for chunk in self.chunks[: self.short_chunks])
        return slots[:count], positions[:count] + 1

    @cached_property
    def lengths(self) -> torch.Tensor:
        """A tensor [n]: how many tokens each decode token attends to, itself included."""
        return self.positions + 1

    @cached_property
    def slots_and_positions(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Two tensors: the slot of each token of the step, and the position of each token."""
        if not self.chunks:
            return self.slots, self.positions
        slots, positions = [self.slots], [self.positions]
        for chunk in self.chunks:
            positions.append(torch.arange(chunk.start, chunk.end, device=self.slots.device))
            slots.append(torch.full_like(positions[-1], chunk.slot))
        return torch.cat(slots), torch.cat(positions)

    def mask(self, window: int | None, dtype: torch.dtype) -> torch.Tensor:
        """Return the mask [covered slots, 1, 1, max length]: 0 for tokens that a slot's decode token sees, -inf for all others.

        A covered slot without a decode token sees position 0: if it saw nothing, its softmax would be NaN.
        """
        if window not in self._masks:
            device = self.slots.device
            last = torch.zeros(self.covered_slots, dtype=torch.long, device=device)
            last[self.slots] = self.positions
            positions = torch.arange(self.max_length, device=device)
            hidden = positions > last[:, None]
            if window is not None:
                hidden |= positions <= last[:, None] - window
            mask = torch.zeros(hidden.shape, dtype=dtype, device=device).masked_fill_(hidden, -torch.inf)
            self._masks[window] = mask[:, None, None, :]
        return self._masks[window]


LAYOUT: ContextVar[Layout] = ContextVar("LAYOUT")
"""The layout of the step that is being computed."""


def slot_attention(
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
    """Compute the attention of one layer; transformers calls this.

    Args:
        module: The layer's attention module.
        query: The queries [1, heads, tokens, size].
        key: The layer's cached keys, those of this step included: [slots, KV heads, length, size], or in tiles
            (`kernels/cpu/tiles`).
        value: The layer's cached values: [slots, KV heads, length, value size]; if keys are in tiles, [slots, length, KV heads,
            value size].
        attention_mask: Must be None: `LAYOUT` says which tokens a token sees.
        scaling: The factor of the scores; None is 1 / sqrt(size).
        dropout: Ignored, since nothing is trained here.
        softcap: The scores are squashed into (-softcap, softcap) by tanh (Gemma 2: arXiv 2408.00118). None: the scores stay as
            they are.
        sliding_window: A token sees only this many of the last tokens, itself included. None: all of them.
        others: Further arguments of models. Those of `REFUSED_ARGUMENTS` must be None.

    Returns:
        The outputs [1, tokens, heads, value size], and None in place of the attention weights.

    Raises:
        NotImplementedError: The model asks for a variant of attention that this module does not compute.
    """
    if attention_mask is not None or not getattr(module, "is_causal", True):
        raise NotImplementedError("attention that is not causal")
    if refused := [name for name in REFUSED_ARGUMENTS if others.get(name) is not None]:
        raise NotImplementedError(f"attention with {refused[0]}")
    began_ns = time.perf_counter_ns()
    layout = LAYOUT.get()
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    parts = []
    chunks: Sequence[Chunk] = layout.chunks
    if is_tiled(key):
        slots, lengths = layout.token_by_token
        chunks = chunks[layout.short_chunks :]
        if count := len(slots):
            part = query[0, :, :count]
            parts.append(
                decode_attention(part, key, value, slots, lengths, scale=scale, softcap=softcap, window=sliding_window)
            )
    elif layout.decode_tokens:
        parts.append(
            _attend_decodes(layout, query[0, :, : layout.decode_tokens], key, value, scale, softcap, sliding_window)
        )
    for chunk in chunks:
        part = query[:, :, chunk.row_start : chunk.row_start + chunk.size]
        parts.append(_attend_chunk(chunk, part, key, value, scale, softcap, sliding_window))
    layout.attention_ns += time.perf_counter_ns() - began_ns
    return (parts[0] if len(parts) == 1 else torch.cat(parts))[None], None


def _attend_decodes(
    layout: Layout,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
    softcap: float | None,
    window: int | None,
) -> torch.Tensor:
    """Return the outputs [decode tokens, heads, value size] for queries [heads, decode tokens, size]."""
    heads, tokens, size = query.shape
    kv_heads = key.shape[1]
    grouped = query.transpose(0, 1).reshape(tokens, kv_heads, heads // kv_heads, size)
    if gpu_attention.is_supported(key, value, heads // kv_heads, softcap=softcap, window=window):
        each = gpu_attention.decode_attention(
            grouped, key, value, layout.slots, layout.lengths,
            scale=scale, max_length=layout.max_length, softcap=softcap, window=window,
        )  # fmt: skip
        return each.reshape(tokens, heads, value.shape[-1])
    return _attend_covered(layout, grouped, key, value, scale, softcap, window)


def _attend_covered(
    layout: Layout,
    grouped: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
    softcap: float | None,
    window: int | None,
) -> torch.Tensor:
    """Return the outputs [tokens, heads, value size] for queries [tokens, KV heads, queries a KV head, size].

    Each of the two matrix products is computed for all covered slots at once.
    """
    tokens, kv_heads, group_size = grouped.shape[:3]
    scattered = layout.repeats or tokens < layout.covered_slots  # covered slots may lack a decode token in this step
    if scattered:
        grouped = grouped.new_zeros(layout.covered_slots, *grouped.shape[1:]).index_copy_(0, layout.slots, grouped)
    keys, values = (
        key[: layout.covered_slots, :, : layout.max_length],
        value[: layout.covered_slots, :, : layout.max_length],
    )
    scores = torch.matmul(grouped * scale, keys.transpose(2, 3))
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    scores = scores.add_(layout.mask(window, scores.dtype))
    weights = scores.softmax(-1, dtype=torch.float32).to(value.dtype)
    out = torch.matmul(weights, values)
    return (out.index_select(0, layout.slots) if scattered else out).reshape(
        tokens, kv_heads * group_size, value.shape[-1]
    )


def _attend_chunk(
    chunk: Chunk,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
    softcap: float | None,
    window: int | None,
) -> torch.Tensor:
    """Return the outputs [tokens, heads, value size] of one chunk for its queries [1, heads, tokens, size]."""
    if is_tiled(key):
        keys = keys_of(key, chunk.slot, chunk.end)[None]
        values = value[chunk.slot : chunk.slot + 1, : chunk.end].transpose(1, 2)
    else:
        keys = key[chunk.slot : chunk.slot + 1, :, : chunk.end]
        values = value[chunk.slot : chunk.slot + 1, :, : chunk.end]
    kv_heads = keys.shape[1]
    gqa = query.shape[1] != kv_heads
    if chunk.start == 0 and softcap is None and (window is None or chunk.end <= window):
        out = scaled_dot_product_attention(query, keys, values, is_causal=True, scale=scale, enable_gqa=gqa)
        return out[0].transpose(0, 1)
    positions = torch.arange(chunk.end, device=query.device)
    query_positions = torch.arange(chunk.start, chunk.end, device=query.device)[:, None]
    visible = positions <= query_positions
    if window is not None:
        visible &= positions > query_positions - window
    if softcap is None:
        out = scaled_dot_product_attention(query, keys, values, attn_mask=visible, scale=scale, enable_gqa=gqa)
        return out[0].transpose(0, 1)
    grouped = query.reshape(1, kv_heads, -1, *query.shape[2:])
    scores = torch.matmul(grouped * scale, keys.transpose(2, 3)[:, :, None])
    scores = (torch.tanh(scores / softcap) * softcap).masked_fill_(~visible, -torch.inf)
    weights = scores.softmax(-1, dtype=torch.float32).to(value.dtype)
    return torch.matmul(weights, values[:, :, None]).flatten(1, 2)[0].transpose(0, 1)


AttentionInterface.register(ATTENTION_NAME, slot_attention)

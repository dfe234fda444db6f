"""Decode attention on a CPU: each sequence has one query, which attends to the filled part of its own slot of the KV cache.

Batched matrix products would cost more: they compute every sequence up to the length of the longest one, write scores and
weights to memory, and are slow for one query. This kernel reads every key and value once, in the order in which `tiles` stores
them. The kernel is compiled when a model first runs. The sizes of the model's heads are constants in it, so that the sums stay
in registers. All sums are in float32.
"""

from functools import cache
from typing import Any

import numpy as np
import torch
from numba import types

from workers.engines.causal.kernels.cpu.attention_loops import make_score, make_weigh
from workers.engines.causal.kernels.cpu.loops import Loops, compiled, compiled_uncached, exp, from_float32, to_float32
from workers.engines.causal.kernels.cpu.tiles import TILE, as_numpy


def decode_attention(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    slots: torch.Tensor,
    lengths: torch.Tensor,
    *,
    scale: float,
    softcap: float | None,
    window: int | None,
) -> torch.Tensor:
    """Compute the attention of one query for each sequence.

    Args:
        query: The queries [heads, sequences, size], in the number format of the keys. The query heads of one KV head are next
            to each other.
        keys: The tiles of the cache [slots, tiles, KV heads, size / pair, TILE, pair].
        values: The values of the cache [slots, length, KV heads, value size], in the number format of the keys.
        slots: The slot of each sequence [sequences].
        lengths: How many tokens each query attends to, its own included [sequences]; at least 1.
        scale: The factor of the scores.
        softcap: The scores are squashed into (-softcap, softcap) by tanh. None: the scores stay as they are.
        window: A query attends to at most this many of the last tokens, its own included. None: to all tokens.

    Returns:
        The outputs [sequences, heads, value size], in the number format of the keys.
    """
    heads, sequences, size = query.shape
    kv_heads, value_size = values.shape[2:]
    out = values.new_empty(sequences, heads, value_size)
    _kernel(kv_heads, heads // kv_heads, size, value_size, values.dtype == torch.bfloat16)(
        as_numpy(query),
        as_numpy(keys),
        as_numpy(values),
        slots.numpy(),
        lengths.numpy(),
        np.float32(scale),
        np.float32(softcap or 0.0),
        window or 0,
        as_numpy(out),
    )
    return out


def _signature(*, bf16: bool) -> Any:
    """Return the types of the kernel's arguments.

    The types are fixed, so that numba compiles the kernel once, and not once for each memory layout of `query`.
    """
    number = types.uint16 if bf16 else types.float32
    query, keys, values, out = (
        types.Array(number, dimensions, order) for dimensions, order in ((3, "A"), (6, "C"), (4, "C"), (3, "C"))
    )
    indices = types.Array(types.int64, 1, "A")
    return types.void(query, keys, values, indices, indices, types.float32, types.float32, types.int64, out)


@cache
def _kernel(kv_heads: int, queries: int, size: int, value_size: int, bf16: bool) -> Loops:  # noqa: C901 - loops in loops
    """Compile the kernel for these sizes: `kv_heads` KV heads, each with `queries` query heads."""
    item_bytes = 2 if bf16 else 4
    tile_bytes, token_bytes = TILE * size * item_bytes, kv_heads * value_size * item_bytes
    score = make_score(queries, size, bf16=bf16)
    weigh = make_weigh(queries, value_size, token_bytes, bf16=bf16)

    @compiled_uncached(_signature(bf16=bf16))
    def kernel(
        query: Any,
        keys: Any,
        values: Any,
        slots: Any,
        lengths: Any,
        scale: Any,
        softcap: Any,
        window: Any,
        out: Any,
    ) -> None:
        tiles, length = keys.shape[1], values.shape[1]
        scaled = np.empty((kv_heads * queries, size), np.float32)
        scores = np.empty((kv_heads * queries, tiles * TILE), np.float32)
        sums = np.empty((kv_heads * queries, value_size), np.float32)
        factors = np.empty(kv_heads * queries, np.float32)
        query_address, score_address, sum_address = scaled.ctypes.data, scores.ctypes.data, sums.ctypes.data
        row_bytes = tiles * TILE * 4
        for sequence in range(len(slots)):
            end = lengths[sequence]
            start = max(0, end - window) if window > 0 else 0
            for head in range(kv_heads * queries):
                for d in range(size):
                    scaled[head, d] = to_float32(query[head, sequence, d], bf16) * scale
            for tile in range(start // TILE, (end + TILE - 1) // TILE):
                key_address = keys.ctypes.data + (slots[sequence] * tiles + tile) * kv_heads * tile_bytes
                for kv_head in range(kv_heads):
                    first = kv_head * queries
                    score(
                        query_address + first * size * 4,
                        key_address + kv_head * tile_bytes,
                        score_address + first * row_bytes + tile * TILE * 4,
                        row_bytes,
                    )
            _softmax(scores, start, end, softcap, factors)
            sums[:] = 0
            for token in range(start, end, TILE):
                value_address = values.ctypes.data + (slots[sequence] * length + token) * token_bytes
                for kv_head in range(kv_heads):
                    first = kv_head * queries
                    weigh(
                        score_address + first * row_bytes + token * 4,
                        value_address + kv_head * value_size * item_bytes,
                        sum_address + first * value_size * 4,
                        min(TILE, end - token),
                        row_bytes,
                    )
            for head in range(kv_heads * queries):
                for d in range(value_size):
                    out[sequence, head, d] = from_float32(sums[head, d] * factors[head], bf16)

    return kernel


@compiled()
def _softmax(scores: Any, start: Any, end: Any, softcap: Any, factors: Any) -> None:
    """Replace each query's scores [start:end] by exponentials, and write the query's factor to `factors`.

    The exponentials times the factor are the softmax of the scores.
    """
    one, two = np.float32(1.0), np.float32(2.0)
    for q in range(len(scores)):
        row = scores[q, start:end]
        if softcap > 0:
            for t in range(len(row)):
                row[t] = softcap * (one - two / (one + exp(two * row[t] / softcap)))
        highest = np.float32(-3.4e38)
        for t in range(len(row)):
            highest = max(highest, row[t])
        total = np.float32(0.0)
        for t in range(len(row)):
            row[t] = exp(row[t] - highest)
            total += row[t]
        factors[q] = one / total

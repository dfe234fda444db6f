"""Attention of one new token for each of many texts, on a CPU: each reads its own slot of the cache, as far as it is filled.

Batched products pay for the longest text of the step, for scores and weights that go through memory, and for the small
sizes of one query. This reads every key and value once, in the order in which `tiles` laid them. It is compiled when a
model is loaded, for the sizes of its heads, since they must be constants for the sums to stay in registers. All sums are
in fp32.
"""

from functools import cache
from typing import Any

import numpy as np
import torch
from numba import types

from workers.engines.causal.kernels.cpu.attention_loops import scorer, weigher
from workers.engines.causal.kernels.cpu.loops import Loops, compiled, compiled_here, exp, narrow, wide
from workers.engines.causal.kernels.cpu.tiles import TILE, shown


def attend_each(
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
    """Attend with one query a text.

    Args:
        query: [heads, texts, size], in the format of the keys; heads that share keys are next to each other.
        keys: The tiles [slots, tiles, key heads, size / pair, TILE, pair] of a cache.
        values: [slots, length, key heads, value size], in the same format.
        slots: Of the texts [texts].
        lengths: How many tokens each slot holds, the new one included [texts]; at least 1.
        scale: What scores are multiplied by.
        softcap: The scores are kept within it.
        window: How many tokens back a token sees, itself included.

    Returns:
        [texts, heads, value size], in the same format.
    """
    heads, texts, size = query.shape
    groups, value_size = values.shape[2:]
    out = values.new_empty(texts, heads, value_size)
    _kernel(groups, heads // groups, size, value_size, values.dtype == torch.bfloat16)(
        shown(query),
        shown(keys),
        shown(values),
        slots.numpy(),
        lengths.numpy(),
        np.float32(scale),
        np.float32(softcap or 0.0),
        window or 0,
        shown(out),
    )
    return out


def _signature(*, halves: bool) -> Any:
    """What the loops take, so that they are compiled once, and not for each order in which a query can lie in memory."""
    number = types.uint16 if halves else types.float32
    query, keys, values, out = (
        types.Array(number, dimensions, order) for dimensions, order in ((3, "A"), (6, "C"), (4, "C"), (3, "C"))
    )
    places = types.Array(types.int64, 1, "A")
    return types.void(query, keys, values, places, places, types.float32, types.float32, types.int64, out)


@cache
def _kernel(groups: int, queries: int, size: int, value_size: int, halves: bool) -> Loops:  # noqa: C901 - loops in loops
    """The loops, for heads of these sizes: `groups` of keys, each with so many `queries`."""
    number = 2 if halves else 4
    tile_bytes, token_bytes = TILE * size * number, groups * value_size * number
    score = scorer(queries, size, halves=halves)
    weigh = weigher(queries, value_size, token_bytes, halves=halves)

    @compiled_here(_signature(halves=halves))
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
        asked = np.empty((groups * queries, size), np.float32)
        scores = np.empty((groups * queries, tiles * TILE), np.float32)
        sums = np.empty((groups * queries, value_size), np.float32)
        parts = np.empty(groups * queries, np.float32)
        ask_at, score_at, sum_at = asked.ctypes.data, scores.ctypes.data, sums.ctypes.data
        row = tiles * TILE * 4
        for text in range(len(slots)):
            end = lengths[text]
            start = max(0, end - window) if window > 0 else 0
            for head in range(groups * queries):
                for d in range(size):
                    asked[head, d] = wide(query[head, text, d], halves) * scale
            for tile in range(start // TILE, (end + TILE - 1) // TILE):
                key_at = keys.ctypes.data + (slots[text] * tiles + tile) * groups * tile_bytes
                for group in range(groups):
                    first = group * queries
                    score(
                        ask_at + first * size * 4,
                        key_at + group * tile_bytes,
                        score_at + first * row + tile * TILE * 4,
                        row,
                    )
            _soften(scores, start, end, softcap, parts)
            sums[:] = 0
            for token in range(start, end, TILE):
                value_at = values.ctypes.data + (slots[text] * length + token) * token_bytes
                for group in range(groups):
                    first = group * queries
                    weigh(
                        score_at + first * row + token * 4,
                        value_at + group * value_size * number,
                        sum_at + first * value_size * 4,
                        min(TILE, end - token),
                        row,
                    )
            for head in range(groups * queries):
                for d in range(value_size):
                    out[text, head, d] = narrow(sums[head, d] * parts[head], halves)

    return kernel


@compiled()
def _soften(scores: Any, start: Any, end: Any, softcap: Any, parts: Any) -> None:
    """The softmax of some scores of each query, in place, but for a factor of each query, which goes to `parts`."""
    one, two = np.float32(1.0), np.float32(2.0)
    for q in range(len(scores)):
        row = scores[q, start:end]
        if softcap > 0:
            for t in range(len(row)):
                row[t] = softcap * (one - two / (one + exp(two * row[t] / softcap)))
        most = np.float32(-3.4e38)
        for t in range(len(row)):
            most = max(most, row[t])
        whole = np.float32(0.0)
        for t in range(len(row)):
            row[t] = exp(row[t] - most)
            whole += row[t]
        parts[q] = one / whole

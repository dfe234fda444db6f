"""Attention of one new token for each of many texts, on a CPU: each reads its own slot of the cache, as far as it is filled.

Batched products pay for the longest text of the step, for scores and weights that go through memory, and for the small
sizes of one query. This reads every key and value once, and asks for what it reads next while it computes: slots lie far
apart, so the processor cannot guess it, and waits for memory half of the time. It is compiled when a model is loaded, for the
sizes of its heads, since they must be constants for the sums to stay in registers. All sums are in fp32.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Final, cast

import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

FORMATS: Final = {torch.float32: torch.float32, torch.bfloat16: torch.uint16}
"""Number formats of the cache, and how numpy, which knows no bfloat16, is shown them."""

LINE: Final = 64
"""Bytes that memory is read by."""

Kernel = Callable[..., None]

# Sums may be taken in any order, but infinities must stay what they are.
_LOOSE: Final = {"reassoc", "contract", "nsz", "arcp", "nnan"}
_OPTIONS: Final = {"fastmath": _LOOSE, "nogil": True, "error_model": "numpy"}
_compiled: Final = cast("Callable[[Kernel], Kernel]", njit(**_OPTIONS, cache=True))
_compiled_here: Final = cast(
    "Callable[[Kernel], Kernel]", njit(**_OPTIONS)
)  # what calls others is never found in a cache
_inlined: Final = cast(
    "Callable[[Callable[..., Any]], Callable[..., Any]]", njit(fastmath=_LOOSE, inline="always", error_model="numpy")
)


def is_fit(tensor: torch.Tensor) -> bool:
    """Whether this module can compute with it."""
    return tensor.device.type == "cpu" and tensor.dtype in FORMATS


def attend_each(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    slots: torch.Tensor,
    lengths: torch.Tensor,
    *,
    softcap: float | None,
    window: int | None,
) -> torch.Tensor:
    """Attend with one query a text.

    Args:
        query: [texts, key heads, queries a key head, size], scaled.
        keys: [slots, key heads, length, size], in a format of `FORMATS`.
        values: [slots, key heads, length, value size], likewise.
        slots: Of the texts [texts].
        lengths: How many tokens each slot holds, the new one included [texts]; at least 1.
        softcap: The scores are kept within it.
        window: How many tokens back a token sees, itself included.

    Returns:
        [texts, key heads, queries a key head, value size], in the format of the values.
    """
    texts, groups, queries, size = query.shape
    out = torch.empty(texts, groups, queries, values.shape[3])
    shown = FORMATS[keys.dtype]
    _kernel(queries, size, values.shape[3], shown != keys.dtype)(
        query.float().contiguous().numpy(),
        keys.view(shown).numpy(),
        values.view(shown).numpy(),
        slots.numpy(),
        lengths.numpy(),
        np.float32(softcap or 0.0),
        np.int64(window or 0),
        out.numpy(),
    )
    return out.to(values.dtype)


def put_each(block: torch.Tensor, states: torch.Tensor, slots: torch.Tensor, positions: torch.Tensor) -> None:
    """Put the keys or values [key heads, texts, size] of one new token a text into the cache [slots, key heads, length, size]."""
    shown = FORMATS[block.dtype]
    _put(block.view(shown).numpy(), states.view(shown).numpy(), slots.numpy(), positions.numpy())


def most_likely(scores: torch.Tensor) -> torch.Tensor:
    """The first place of the highest score [texts] of scores [texts, vocabulary], in a format of `FORMATS`."""
    places = torch.empty(len(scores), dtype=torch.long)
    shown = FORMATS[scores.dtype]
    _most_likely(scores.dtype == torch.bfloat16)(scores.contiguous().view(shown).numpy(), places.numpy())
    return places


@_compiled
def _put(block: Any, states: Any, slots: Any, positions: Any) -> None:
    groups, texts, size = states.shape
    for text in range(texts):
        slot, position = slots[text], positions[text]
        for group in range(groups):
            for d in range(size):
                block[slot, group, position, d] = states[group, text, d]


@cache
def _most_likely(halves: bool) -> Kernel:
    """The loops, for a number format: the highest first, since only that is vectorised, then its place."""

    @_compiled
    def kernel(scores: Any, places: Any) -> None:
        texts, vocabulary = scores.shape
        for text in range(texts):
            most = _wide(scores[text, 0], halves)
            for token in range(1, vocabulary):
                most = max(most, _wide(scores[text, token], halves))
            place = 0
            while place < vocabulary - 1 and _wide(scores[text, place], halves) != most:
                place += 1
            places[text] = place

    return kernel


@intrinsic  # type: ignore[untyped-decorator]  # numba tells no types
def _fetch(_typing: Any, _address: Any) -> Any:
    """Ask for the line of memory at an address, so that it is near when it is read. Any address will do."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        takes = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [pointer], takes)
        builder.call(fetch, [builder.inttoptr(arguments[0], pointer), number(0), number(2), number(1)])
        return context.get_dummy_value()

    return types.void(types.intp), generate


@_inlined
def _wide(number: Any, halves: Any) -> Any:
    """The float32 of a number of the cache. A bfloat16 is the upper half of the float32 that it stands for."""
    if halves:
        return np.uint32(np.uint32(number) << np.uint32(16)).view(np.float32)
    return np.float32(number)


@_inlined
def _exp(x: Any) -> Any:
    """Within 2e-7 of e**x, for x in [-87, 87], beyond which it stays what it is there; without calls, so that it is vectorised.

    2**n is made of its bits, and 2**f, f in [0, 1), by a polynomial (the first terms of its series, the last one fitted).
    """
    z = min(max(x, np.float32(-87.0)), np.float32(87.0)) * np.float32(1.4426950408889634)
    n = np.floor(z)
    f = (z - n) * np.float32(0.6931471805599453)
    p = np.float32(1.0 / 5040.0)
    p = p * f + np.float32(1.0 / 720.0)
    p = p * f + np.float32(1.0 / 120.0)
    p = p * f + np.float32(1.0 / 24.0)
    p = p * f + np.float32(1.0 / 6.0)
    p = p * f + np.float32(0.5)
    p = p * f + np.float32(1.0)
    p = p * f + np.float32(1.0)
    return p * np.uint32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@cache
def _kernel(queries: int, size: int, value_size: int, halves: bool) -> Kernel:
    """The loops, for heads of these sizes."""
    key_bytes, value_bytes = (n * (2 if halves else 4) for n in (size, value_size))
    score, weigh = _score(queries, size, halves, value_bytes), _weigh(queries, value_size, halves, key_bytes)

    @_compiled_here
    def kernel(
        query: Any, keys: Any, values: Any, slots: Any, lengths: Any, softcap: Any, window: Any, out: Any
    ) -> None:
        texts, groups, length = query.shape[0], query.shape[1], keys.shape[2]
        scores = np.empty((queries, length), np.float32)
        for text in range(texts):
            slot, end = slots[text], lengths[text]
            start = max(0, end - window) if window > 0 else 0
            for group in range(groups):
                soon_value = values.ctypes.data + ((slot * groups + group) * length + start) * value_bytes
                soon_key = keys.ctypes.data + ((slot * groups + group + 1) * length + start) * key_bytes
                if group + 1 == groups and text + 1 < texts:
                    after = max(0, lengths[text + 1] - window) if window > 0 else 0
                    soon_key = keys.ctypes.data + (slots[text + 1] * groups * length + after) * key_bytes
                score(query[text, group], keys[slot, group, start:end], scores, soon_value)
                _soften(scores, end - start, softcap)
                weigh(scores, values[slot, group, start:end], out[text, group], soon_key)

    return kernel


@cache
def _score(queries: int, size: int, halves: bool, soon_bytes: int) -> Kernel:
    """The loops that multiply queries [queries, size] and keys [tokens, size]; meanwhile rows of `soon_bytes` are asked for."""
    lines = -(-soon_bytes // LINE)

    @_compiled
    def kernel(asked: Any, key: Any, scores: Any, soon: Any) -> None:
        row = np.empty(size, np.float32)
        for t in range(len(key)):
            for line in range(lines):
                _fetch(soon + t * soon_bytes + line * LINE)
            for d in range(size):
                row[d] = _wide(key[t, d], halves)
            for q in range(queries):
                product = np.float32(0.0)
                for d in range(size):
                    product += asked[q, d] * row[d]
                scores[q, t] = product

    return kernel


@_compiled
def _soften(scores: Any, count: Any, softcap: Any) -> None:
    """The softmax of the first `count` scores of each query, in place."""
    one, two = np.float32(1.0), np.float32(2.0)
    for q in range(len(scores)):
        if softcap > 0:
            for t in range(count):
                scores[q, t] = softcap * (one - two / (one + _exp(two * scores[q, t] / softcap)))
        most = np.float32(-3.4e38)
        for t in range(count):
            most = max(most, scores[q, t])
        whole = np.float32(0.0)
        for t in range(count):
            scores[q, t] = _exp(scores[q, t] - most)
            whole += scores[q, t]
        part = one / whole
        for t in range(count):
            scores[q, t] *= part


@cache
def _weigh(queries: int, size: int, halves: bool, soon_bytes: int) -> Kernel:  # noqa: C901 - loops in loops, and one branch
    """The loops that add up values [tokens, size] by their weights, four at once, so that sums are stored a fourth as often."""
    lines = -(-soon_bytes // LINE)

    @_compiled
    def kernel(weights: Any, value: Any, total: Any, soon: Any) -> None:
        rows = np.empty((4, size), np.float32)
        total[:] = 0
        fours = len(value) // 4 * 4
        for t in range(0, fours, 4):
            for n in range(4):
                for line in range(lines):
                    _fetch(soon + (t + n) * soon_bytes + line * LINE)
                for d in range(size):
                    rows[n, d] = _wide(value[t + n, d], halves)
            for q in range(queries):
                a, b, c, e = weights[q, t], weights[q, t + 1], weights[q, t + 2], weights[q, t + 3]
                for d in range(size):
                    total[q, d] += (a * rows[0, d] + b * rows[1, d]) + (c * rows[2, d] + e * rows[3, d])
        for t in range(fours, len(value)):
            for q in range(queries):
                for d in range(size):
                    total[q, d] += weights[q, t] * _wide(value[t, d], halves)

    return kernel

"""This module makes the two inner loops of decode attention for given sizes. numba calls each loop as a function of addresses."""

from typing import Any, Final

from numba import types
from numba.extending import intrinsic

from workers.engines.causal.kernels.cpu.tiles import TILE
from workers.engines.causal.kernels.cpu.vectors import (
    CACHE_LINE,
    FLOAT,
    HALF,
    LONG,
    WORD,
    InnerLoop,
    Loop,
    code_generator,
    constant,
    load,
    multiply_add,
    prefetch,
    splat,
    store,
    vector,
    zeros,
)

PREFETCH_BYTES: Final = 6144
"""A loop prefetches the memory that is this many bytes after the place that it reads. It reads about this many bytes while the
prefetched memory arrives.
"""

MAX_SUMS: Final = 20
"""A loop keeps at most this many vectors of sums, so that sums and operands fit in the 32 vector registers."""


def make_score(queries: int, size: int, *, bf16: bool) -> InnerLoop:
    """Make `score(scaled, tile, scores, stride)`, which multiplies queries by the keys of one tile.

    Args of the function:
        scaled: The address of scaled queries, float32 [queries, size].
        tile: The address of keys, float32 [size, TILE] or bfloat16 [size / 2, TILE, 2].
        scores: The address of the results, float32 [queries, TILE].
        stride: The bytes from one query's scores to the next query's scores.
    """

    def make(build: Any, scaled: Any, tile: Any, scores: Any, stride: Any) -> None:
        for first in range(0, queries, MAX_SUMS // 2):
            some = range(first, min(first + MAX_SUMS // 2, queries))
            with Loop(build, LONG(size // 2), [zeros(TILE)] * (2 * len(some))) as loop:
                both = _two_dimensions(build, tile, loop.index, bf16=bf16)
                for n, query in enumerate(some):
                    at = build.add(scaled, build.add(build.mul(loop.index, LONG(8)), LONG(query * size * 4)))
                    for part, keys in enumerate(both):
                        one = splat(build, load(build, at, FLOAT, 4 * part), TILE)
                        loop.sums[2 * n + part] = multiply_add(build, loop.sums[2 * n + part], keys, one)
            for n, query in enumerate(some):
                total = build.fadd(loop.sums[2 * n], loop.sums[2 * n + 1])
                store(build, build.add(scores, build.mul(stride, LONG(query))), total)

    @intrinsic  # type: ignore[untyped-decorator]  # numba has no types
    def score(_typing: Any, _scaled: Any, _tile: Any, _scores: Any, _stride: Any) -> Any:
        return types.void(*[types.intp] * 4), code_generator(make)

    inner: InnerLoop = score
    return inner


def make_weigh(queries: int, size: int, value_stride: int, *, bf16: bool) -> InnerLoop:
    """Make `weigh(weights, values, sums, count, stride)`, which adds values, each times its weight, to the sums of queries.

    Args:
        queries: The number of queries.
        size: How many numbers a value has.
        value_stride: The bytes from one value to the next.
        bf16: Whether values are bfloat16; else they are float32.

    Args of the function:
        weights: The address of weights, float32 [queries, count].
        values: The address of values [count, size].
        sums: The address of the sums, float32 [queries, size], to which the function adds.
        count: The number of values.
        stride: The bytes from one query's weights to the next query's weights.
    """
    lanes = next(n for n in (TILE, 8, 4, 2, 1) if size % n == 0)
    vectors_at_once = max(1, MAX_SUMS // queries)
    item_bytes = 2 if bf16 else 4

    def make(build: Any, weights: Any, values: Any, sums: Any, count: Any, stride: Any) -> None:
        for first in range(0, size // lanes, vectors_at_once):
            parts = range(first, min(first + vectors_at_once, size // lanes))
            places = [
                build.add(sums, LONG((query * size + part * lanes) * 4)) for query in range(queries) for part in parts
            ]
            with Loop(build, count, [load(build, place, vector(FLOAT, lanes)) for place in places]) as loop:
                value = build.add(values, build.mul(loop.index, LONG(value_stride)))
                for line in range(0, len(parts) * lanes * item_bytes, CACHE_LINE):
                    prefetch(build, build.add(value, LONG(first * lanes * item_bytes + line)), PREFETCH_BYTES)
                vectors = [_to_float32(build, value, part * lanes * item_bytes, lanes, bf16=bf16) for part in parts]
                weight = build.add(weights, build.mul(loop.index, LONG(4)))
                for query in range(queries):
                    place = build.add(weight, build.mul(stride, LONG(query)))
                    one = splat(build, load(build, place, FLOAT), lanes)
                    for n, some in enumerate(vectors, start=query * len(vectors)):
                        loop.sums[n] = multiply_add(build, loop.sums[n], some, one)
            for place, sum_ in zip(places, loop.sums, strict=True):
                store(build, place, sum_)

    @intrinsic  # type: ignore[untyped-decorator]  # numba has no types
    def weigh(_typing: Any, _weights: Any, _values: Any, _sums: Any, _count: Any, _stride: Any) -> Any:
        return types.void(*[types.intp] * 5), code_generator(make)

    inner: InnerLoop = weigh
    return inner


def _two_dimensions(build: Any, tile: Any, index: Any, *, bf16: bool) -> list[Any]:
    """Load pair number `index` of the dimensions of a tile's keys. Returns two vectors, each float32 [TILE]."""
    words = vector(WORD, TILE)
    if bf16:
        at = build.add(tile, build.mul(index, LONG(CACHE_LINE)))
        prefetch(build, at, PREFETCH_BYTES)
        word = load(build, at, words)
        high = build.and_(word, constant(WORD, TILE, 0xFFFF0000))
        low = build.shl(word, constant(WORD, TILE, 16))
        return [build.bitcast(part, vector(FLOAT, TILE)) for part in (low, high)]
    at = build.add(tile, build.mul(index, LONG(2 * CACHE_LINE)))
    prefetch(build, at, PREFETCH_BYTES)
    prefetch(build, build.add(at, LONG(CACHE_LINE)), PREFETCH_BYTES)
    return [load(build, at, vector(FLOAT, TILE), offset) for offset in (0, CACHE_LINE)]


def _to_float32(build: Any, address: Any, offset: int, lanes: int, *, bf16: bool) -> Any:
    """Load `lanes` numbers of the cache as float32. A bfloat16 is the upper half of the float32 with the same value."""
    if not bf16:
        return load(build, address, vector(FLOAT, lanes), offset)
    half = load(build, address, vector(HALF, lanes), offset)
    word = build.shl(build.zext(half, vector(WORD, lanes)), constant(WORD, lanes, 16))
    return build.bitcast(word, vector(FLOAT, lanes))

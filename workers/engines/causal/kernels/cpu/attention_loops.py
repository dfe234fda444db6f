"""The two inner loops of attention at one query, for given sizes, as functions that numba calls with addresses."""

from typing import Any, Final

from numba import types
from numba.extending import intrinsic

from workers.engines.causal.kernels.cpu.tiles import TILE
from workers.engines.causal.kernels.cpu.vectors import (
    FLOAT,
    HALF,
    LINE,
    LONG,
    WORD,
    Inner,
    Loop,
    add_product,
    ask,
    constant,
    generator,
    load,
    splat,
    store,
    vector,
    zeros,
)

AHEAD: Final = 6144
"""How many bytes ahead memory is asked for: about what is computed while it comes."""

SUMS: Final = 20
"""Vectors that are summed up at once at most, so that they and what is added fit in 32 registers."""


def scorer(queries: int, size: int, *, halves: bool) -> Inner:
    """`score(asked, tile, scores, stride)`: the products of some queries and the keys of one tile.

    Args of the function, addresses and bytes:
        asked: Of float32 [queries, size].
        tile: Of the keys [size, TILE] of float32, or [size / 2, TILE, 2] of bfloat16.
        scores: Of float32 [queries, TILE], whose rows lie `stride` bytes apart.
    """

    def make(build: Any, asked: Any, tile: Any, scores: Any, stride: Any) -> None:
        for first in range(0, queries, SUMS // 2):
            some = range(first, min(first + SUMS // 2, queries))
            with Loop(build, LONG(size // 2), [zeros(TILE)] * (2 * len(some))) as loop:
                both = _two_parts(build, tile, loop.index, halves=halves)
                for n, query in enumerate(some):
                    at = build.add(asked, build.add(build.mul(loop.index, LONG(8)), LONG(query * size * 4)))
                    for part, keys in enumerate(both):
                        one = splat(build, load(build, at, FLOAT, 4 * part), TILE)
                        loop.sums[2 * n + part] = add_product(build, loop.sums[2 * n + part], keys, one)
            for n, query in enumerate(some):
                whole = build.fadd(loop.sums[2 * n], loop.sums[2 * n + 1])
                store(build, build.add(scores, build.mul(stride, LONG(query))), whole)

    @intrinsic  # type: ignore[untyped-decorator]  # numba tells no types
    def score(_typing: Any, _asked: Any, _tile: Any, _scores: Any, _stride: Any) -> Any:
        return types.void(*[types.intp] * 4), generator(make)

    made: Inner = score
    return made


def weigher(queries: int, size: int, apart: int, *, halves: bool) -> Inner:
    """`weigh(weights, values, sums, count, stride)`: add up values by their weights, for some queries.

    Args:
        queries: How many.
        size: Of a value.
        apart: How many bytes lie from one value to the next.
        halves: Whether values are of bfloat16, else of float32.

    Args of the function, addresses and bytes:
        weights: Of float32 [queries, count], whose rows lie `stride` bytes apart.
        values: Of [count, size].
        sums: Of float32 [queries, size], which are added to.
    """
    lanes = next(n for n in (TILE, 8, 4, 2, 1) if size % n == 0)
    at_once = max(1, SUMS // queries)
    number = 2 if halves else 4

    def make(build: Any, weights: Any, values: Any, sums: Any, count: Any, stride: Any) -> None:
        for first in range(0, size // lanes, at_once):
            parts = range(first, min(first + at_once, size // lanes))
            places = [
                build.add(sums, LONG((query * size + part * lanes) * 4)) for query in range(queries) for part in parts
            ]
            with Loop(build, count, [load(build, place, vector(FLOAT, lanes)) for place in places]) as loop:
                value = build.add(values, build.mul(loop.index, LONG(apart)))
                for line in range(0, len(parts) * lanes * number, LINE):
                    ask(build, build.add(value, LONG(first * lanes * number + line)), AHEAD)
                read = [_wide(build, value, part * lanes * number, lanes, halves=halves) for part in parts]
                weight = build.add(weights, build.mul(loop.index, LONG(4)))
                for query in range(queries):
                    place = build.add(weight, build.mul(stride, LONG(query)))
                    one = splat(build, load(build, place, FLOAT), lanes)
                    for n, some in enumerate(read, start=query * len(read)):
                        loop.sums[n] = add_product(build, loop.sums[n], some, one)
            for place, sum_ in zip(places, loop.sums, strict=True):
                store(build, place, sum_)

    @intrinsic  # type: ignore[untyped-decorator]  # numba tells no types
    def weigh(_typing: Any, _weights: Any, _values: Any, _sums: Any, _count: Any, _stride: Any) -> Any:
        return types.void(*[types.intp] * 5), generator(make)

    made: Inner = weigh
    return made


def _two_parts(build: Any, tile: Any, index: Any, *, halves: bool) -> list[Any]:
    """Two parts of the keys of a tile, [TILE] float32 each."""
    words = vector(WORD, TILE)
    if halves:
        at = build.add(tile, build.mul(index, LONG(LINE)))
        ask(build, at, AHEAD)
        word = load(build, at, words)
        high = build.and_(word, constant(WORD, TILE, 0xFFFF0000))
        low = build.shl(word, constant(WORD, TILE, 16))
        return [build.bitcast(part, vector(FLOAT, TILE)) for part in (low, high)]
    at = build.add(tile, build.mul(index, LONG(2 * LINE)))
    ask(build, at, AHEAD)
    ask(build, build.add(at, LONG(LINE)), AHEAD)
    return [load(build, at, vector(FLOAT, TILE), offset) for offset in (0, LINE)]


def _wide(build: Any, address: Any, offset: int, lanes: int, *, halves: bool) -> Any:
    """Numbers of the cache as float32. A bfloat16 is the upper half of the float32 that it stands for."""
    if not halves:
        return load(build, address, vector(FLOAT, lanes), offset)
    half = load(build, address, vector(HALF, lanes), offset)
    word = build.shl(build.zext(half, vector(WORD, lanes)), constant(WORD, lanes, 16))
    return build.bitcast(word, vector(FLOAT, lanes))

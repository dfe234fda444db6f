"""The two inner loops of attention at one query, in LLVM's vectors: numba's own compiler does not keep their sums in registers.

Both are functions that numba calls with addresses, made for given sizes. LLVM turns vectors of 16 into what the processor
has. While they compute they ask for memory that is read soon: slots lie far apart, so the processor cannot guess it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from workers.engines.causal.tiles import TILE

AHEAD: Final = 6144
"""How many bytes ahead memory is asked for: about what is computed while it comes."""

LINE: Final = 64
"""Bytes that memory is read by."""

SUMS: Final = 20
"""Vectors that are summed up at once at most, so that they and what is added fit in 32 registers."""

_FLOAT, _HALF, _WORD, _LONG, _BYTE = ir.FloatType(), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.IntType(8)

Inner = Callable[..., None]


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
            with _Loop(build, _LONG(size // 2), [_zeros(TILE)] * (2 * len(some))) as loop:
                both = _two_parts(build, tile, loop.index, halves=halves)
                for n, query in enumerate(some):
                    at = build.add(asked, build.add(build.mul(loop.index, _LONG(8)), _LONG(query * size * 4)))
                    for part, keys in enumerate(both):
                        one = _splat(build, _load(build, at, _FLOAT, 4 * part), TILE)
                        loop.sums[2 * n + part] = _add_product(build, loop.sums[2 * n + part], keys, one)
            for n, query in enumerate(some):
                whole = build.fadd(loop.sums[2 * n], loop.sums[2 * n + 1])
                _store(build, build.add(scores, build.mul(stride, _LONG(query))), whole)

    @intrinsic  # type: ignore[untyped-decorator]  # numba tells no types
    def score(_typing: Any, _asked: Any, _tile: Any, _scores: Any, _stride: Any) -> Any:
        return types.void(*[types.intp] * 4), _generator(make)

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
                build.add(sums, _LONG((query * size + part * lanes) * 4)) for query in range(queries) for part in parts
            ]
            with _Loop(build, count, [_load(build, place, _vector(_FLOAT, lanes)) for place in places]) as loop:
                value = build.add(values, build.mul(loop.index, _LONG(apart)))
                for line in range(0, len(parts) * lanes * number, LINE):
                    _ask(build, build.add(value, _LONG(first * lanes * number + line)))
                read = [_wide(build, value, part * lanes * number, lanes, halves=halves) for part in parts]
                weight = build.add(weights, build.mul(loop.index, _LONG(4)))
                for query in range(queries):
                    place = build.add(weight, build.mul(stride, _LONG(query)))
                    one = _splat(build, _load(build, place, _FLOAT), lanes)
                    for n, some in enumerate(read, start=query * len(read)):
                        loop.sums[n] = _add_product(build, loop.sums[n], some, one)
            for place, sum_ in zip(places, loop.sums, strict=True):
                _store(build, place, sum_)

    @intrinsic  # type: ignore[untyped-decorator]  # numba tells no types
    def weigh(_typing: Any, _weights: Any, _values: Any, _sums: Any, _count: Any, _stride: Any) -> Any:
        return types.void(*[types.intp] * 5), _generator(make)

    made: Inner = weigh
    return made


def _generator(make: Inner) -> Callable[..., Any]:
    """What numba calls to have the code made: it gives the arguments, and wants a value that stands for nothing."""

    def generate(context: Any, build: Any, _signature: Any, given: Sequence[Any]) -> Any:
        make(build, *given)
        return context.get_dummy_value()

    return generate


class _Loop:
    """Code that runs `count` times. In it `index` counts from 0, and `sums`, to be replaced, are what they were before.

    Afterwards `sums` are those of the last time.
    """

    def __init__(self, build: Any, count: Any, sums: Sequence[Any]) -> None:
        self._build, self._count, self._start = build, count, list(sums)
        self.sums: list[Any] = []

    def __enter__(self) -> "_Loop":
        build, before = self._build, self._build.block
        self._head, body, self._end = (build.function.append_basic_block() for _ in range(3))
        build.branch(self._head)
        build.position_at_end(self._head)
        self.index = build.phi(_LONG)
        self.index.add_incoming(_LONG(0), before)
        self._phis = [build.phi(sum_.type) for sum_ in self._start]
        for phi, sum_ in zip(self._phis, self._start, strict=True):
            phi.add_incoming(sum_, before)
        build.cbranch(build.icmp_signed("<", self.index, self._count), body, self._end)
        build.position_at_end(body)
        self.sums = list(self._phis)
        return self

    def __exit__(self, *_error: object) -> None:
        build = self._build
        self.index.add_incoming(build.add(self.index, _LONG(1)), build.block)
        for phi, sum_ in zip(self._phis, self.sums, strict=True):
            phi.add_incoming(sum_, build.block)
        build.branch(self._head)
        build.position_at_end(self._end)
        self.sums = self._phis


def _two_parts(build: Any, tile: Any, index: Any, *, halves: bool) -> list[Any]:
    """Two parts of the keys of a tile, [TILE] float32 each."""
    words = _vector(_WORD, TILE)
    if halves:
        at = build.add(tile, build.mul(index, _LONG(LINE)))
        _ask(build, at)
        word = _load(build, at, words)
        high = build.and_(word, _constant(_WORD, TILE, 0xFFFF0000))
        low = build.shl(word, _constant(_WORD, TILE, 16))
        return [build.bitcast(part, _vector(_FLOAT, TILE)) for part in (low, high)]
    at = build.add(tile, build.mul(index, _LONG(2 * LINE)))
    _ask(build, at)
    _ask(build, build.add(at, _LONG(LINE)))
    return [_load(build, at, _vector(_FLOAT, TILE), offset) for offset in (0, LINE)]


def _wide(build: Any, address: Any, offset: int, lanes: int, *, halves: bool) -> Any:
    """Numbers of the cache as float32. A bfloat16 is the upper half of the float32 that it stands for."""
    if not halves:
        return _load(build, address, _vector(_FLOAT, lanes), offset)
    half = _load(build, address, _vector(_HALF, lanes), offset)
    word = build.shl(build.zext(half, _vector(_WORD, lanes)), _constant(_WORD, lanes, 16))
    return build.bitcast(word, _vector(_FLOAT, lanes))


def _ask(build: Any, address: Any) -> None:
    """Ask for the line of memory that is `AHEAD` bytes after an address. Any address will do."""
    pointer = _BYTE.as_pointer()
    takes = ir.FunctionType(ir.VoidType(), [pointer, _WORD, _WORD, _WORD])
    fetch = build.module.declare_intrinsic("llvm.prefetch", [pointer], takes)
    place = build.inttoptr(build.add(address, _LONG(AHEAD)), pointer)
    build.call(fetch, [place, _WORD(0), _WORD(3), _WORD(1)])  # to read, into all caches, data


def _vector(kind: Any, lanes: int) -> Any:
    return ir.VectorType(kind, lanes)


def _constant(kind: Any, lanes: int, value: int) -> Any:
    return ir.Constant(_vector(kind, lanes), [value] * lanes)


def _zeros(lanes: int) -> Any:
    return ir.Constant(_vector(_FLOAT, lanes), [0.0] * lanes)


def _splat(build: Any, number: Any, lanes: int) -> Any:
    """A vector of the same number."""
    empty = ir.Constant(_vector(number.type, lanes), ir.Undefined)
    return build.shuffle_vector(build.insert_element(empty, number, _WORD(0)), empty, _constant(_WORD, lanes, 0))


def _load(build: Any, address: Any, kind: Any, offset: int = 0) -> Any:
    return build.load(build.inttoptr(build.add(address, _LONG(offset)), kind.as_pointer()), align=2)


def _store(build: Any, address: Any, vector: Any) -> None:
    build.store(vector, build.inttoptr(address, vector.type.as_pointer()), align=4)


def _add_product(build: Any, sum_: Any, one: Any, other: Any) -> Any:
    """`sum_ + one * other`, rounded once where the processor can."""
    return build.fadd(build.fmul(one, other, flags=["contract"]), sum_, flags=["contract"])

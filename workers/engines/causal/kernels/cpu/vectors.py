"""This module generates parts of inner loops from LLVM's vectors, because numba's own compiler does not keep sums in registers.

Addresses are integers. If the processor's vectors are shorter than 16 numbers, LLVM splits the longer vectors. A loop prefetches
the memory that it will read soon, because the processor cannot predict addresses that are far apart.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from llvmlite import ir

CACHE_LINE: Final = 64
"""The number of bytes that the processor reads from memory at once."""

FLOAT, HALF, WORD, LONG, BYTE = ir.FloatType(), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.IntType(8)

InnerLoop = Callable[..., None]


def code_generator(make: InnerLoop) -> Callable[..., Any]:
    """Return the function that numba calls to generate code.

    That function passes the builder and the arguments to `make`, and returns numba's None.
    """

    def generate(context: Any, build: Any, _signature: Any, args: Sequence[Any]) -> Any:
        make(build, *args)
        return context.get_dummy_value()

    return generate


class Loop:
    """A generated loop. The `with` block generates code, and the loop runs this code `count` times.

    In the block, `index` counts from 0. `sums` are the values so far, and the block replaces them by new values. After the block,
    `sums` are the final values.
    """

    def __init__(self, build: Any, count: Any, sums: Sequence[Any]) -> None:
        self._build, self._count, self._start = build, count, list(sums)
        self.sums: list[Any] = []

    def __enter__(self) -> "Loop":
        build, before = self._build, self._build.block
        self._head, body, self._end = (build.function.append_basic_block() for _ in range(3))
        build.branch(self._head)
        build.position_at_end(self._head)
        self.index = build.phi(LONG)
        self.index.add_incoming(LONG(0), before)
        self._phis = [build.phi(sum_.type) for sum_ in self._start]
        for phi, sum_ in zip(self._phis, self._start, strict=True):
            phi.add_incoming(sum_, before)
        build.cbranch(build.icmp_signed("<", self.index, self._count), body, self._end)
        build.position_at_end(body)
        self.sums = list(self._phis)
        return self

    def __exit__(self, *_error: object) -> None:
        build = self._build
        self.index.add_incoming(build.add(self.index, LONG(1)), build.block)
        for phi, sum_ in zip(self._phis, self.sums, strict=True):
            phi.add_incoming(sum_, build.block)
        build.branch(self._head)
        build.position_at_end(self._end)
        self.sums = self._phis


def prefetch(build: Any, address: Any, ahead: int = 0) -> None:
    """Prefetch the cache line `ahead` bytes after an address. The address may be invalid."""
    pointer = BYTE.as_pointer()
    signature = ir.FunctionType(ir.VoidType(), [pointer, WORD, WORD, WORD])
    fetch = build.module.declare_intrinsic("llvm.prefetch", [pointer], signature)
    place = build.inttoptr(build.add(address, LONG(ahead)), pointer)
    build.call(fetch, [place, WORD(0), WORD(3), WORD(1)])  # for reading, into all caches, as data


def vector(kind: Any, lanes: int) -> Any:
    """Return the type of a vector of `lanes` numbers of the type `kind`."""
    return ir.VectorType(kind, lanes)


def constant(kind: Any, lanes: int, value: int) -> Any:
    """Return a vector whose lanes all hold the constant `value`."""
    return ir.Constant(vector(kind, lanes), [value] * lanes)


def zeros(lanes: int) -> Any:
    """Return a float32 vector of zeros."""
    return ir.Constant(vector(FLOAT, lanes), [0.0] * lanes)


def splat(build: Any, number: Any, lanes: int) -> Any:
    """Return a vector whose lanes all hold this number."""
    empty = ir.Constant(vector(number.type, lanes), ir.Undefined)
    return build.shuffle_vector(build.insert_element(empty, number, WORD(0)), empty, constant(WORD, lanes, 0))


def load(build: Any, address: Any, kind: Any, offset: int = 0) -> Any:
    """Load a value of the type `kind` from `offset` bytes after an address."""
    return build.load(build.inttoptr(build.add(address, LONG(offset)), kind.as_pointer()), align=2)


def store(build: Any, address: Any, numbers: Any) -> None:
    """Store a vector at an address."""
    build.store(numbers, build.inttoptr(address, numbers.type.as_pointer()), align=2)


def multiply_add(build: Any, sum_: Any, one: Any, other: Any) -> Any:
    """Return `sum_ + one * other`, rounded only once if the processor can do that."""
    return build.fadd(build.fmul(one, other, flags=["contract"]), sum_, flags=["contract"])

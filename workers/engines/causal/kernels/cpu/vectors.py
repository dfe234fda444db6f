"""LLVM's vectors for numba, whose own compiler does not keep sums in registers: what inner loops are put together from.

Addresses are numbers. LLVM turns vectors of 16 into what the processor has. Loops ask for memory that is read soon while
they compute: what they read lies far apart, so the processor cannot guess it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from llvmlite import ir

LINE: Final = 64
"""Bytes that memory is read by."""

FLOAT, HALF, WORD, LONG, BYTE = ir.FloatType(), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.IntType(8)

Inner = Callable[..., None]


def generator(make: Inner) -> Callable[..., Any]:
    """What numba calls to have the code made: it gives the arguments, and wants a value that stands for nothing."""

    def generate(context: Any, build: Any, _signature: Any, given: Sequence[Any]) -> Any:
        make(build, *given)
        return context.get_dummy_value()

    return generate


class Loop:
    """Code that runs `count` times. In it `index` counts from 0, and `sums`, to be replaced, are what they were before.

    Afterwards `sums` are those of the last time.
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


def ask(build: Any, address: Any, ahead: int = 0) -> None:
    """Ask for the line of memory that is so many bytes after an address. Any address will do."""
    pointer = BYTE.as_pointer()
    takes = ir.FunctionType(ir.VoidType(), [pointer, WORD, WORD, WORD])
    fetch = build.module.declare_intrinsic("llvm.prefetch", [pointer], takes)
    place = build.inttoptr(build.add(address, LONG(ahead)), pointer)
    build.call(fetch, [place, WORD(0), WORD(3), WORD(1)])  # to read, into all caches, data


def vector(kind: Any, lanes: int) -> Any:
    """The type of so many of a kind."""
    return ir.VectorType(kind, lanes)


def constant(kind: Any, lanes: int, value: int) -> Any:
    """A vector of the same known number."""
    return ir.Constant(vector(kind, lanes), [value] * lanes)


def zeros(lanes: int) -> Any:
    """A vector of zeros in float32."""
    return ir.Constant(vector(FLOAT, lanes), [0.0] * lanes)


def splat(build: Any, number: Any, lanes: int) -> Any:
    """A vector of the same number."""
    empty = ir.Constant(vector(number.type, lanes), ir.Undefined)
    return build.shuffle_vector(build.insert_element(empty, number, WORD(0)), empty, constant(WORD, lanes, 0))


def load(build: Any, address: Any, kind: Any, offset: int = 0) -> Any:
    """What stands so many bytes after an address."""
    return build.load(build.inttoptr(build.add(address, LONG(offset)), kind.as_pointer()), align=2)


def store(build: Any, address: Any, numbers: Any) -> None:
    """Put a vector at an address."""
    build.store(numbers, build.inttoptr(address, numbers.type.as_pointer()), align=2)


def add_product(build: Any, sum_: Any, one: Any, other: Any) -> Any:
    """`sum_ + one * other`, rounded once where the processor can."""
    return build.fadd(build.fmul(one, other, flags=["contract"]), sum_, flags=["contract"])

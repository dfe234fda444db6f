"""This module multiplies rows by small weights of their own group, on CPUs that multiply pairs of bfloat16 (AVX512-BF16).

The rows of an adapter (LoRA) are a group: few rows, which lie anywhere in a step, and two matrices with few ranks. The rows are
gathered and multiplied by the first matrix, and their products with the second are added to the outputs, wherever these lie.
Nothing is copied or padded. Sums are in float32; the ranks between both products, and the outputs, are rounded to bfloat16.

Weights lie in memory in the order in which they are read: in panels of up to 64 columns, and for each pair of inputs the pairs of
weights of all columns of the panel. Each panel prefetches the next one, since few rows do not hide the wait for memory.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import numpy as np
import torch
from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

from workers.engines.causal.kernels.cpu.loops import compiled_uncached
from workers.engines.causal.kernels.cpu.products import Bfloat16, dot_pairs
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
    prefetch,
    splat,
    store,
    vector,
    zeros,
)

LANES: Final = 16
"""The columns of a register. Ranks are filled up to a multiple of it."""

MAX_REGISTERS: Final = 4
"""A panel has at most this many registers of columns."""

PANEL_OUTPUTS: Final = LANES * MAX_REGISTERS


@cache
def has_bf16_pairs() -> bool:
    """Whether this processor multiplies pairs of bfloat16."""
    return bool(binding.get_host_cpu_features().get("avx512bf16"))


def fits_groups(inputs: int, outputs: list[int], like: torch.Tensor) -> bool:
    """Whether weights for so many inputs, and for parts of so many outputs, can be used here. One thread computes them."""
    whole = inputs % 2 == 0 and all(one % PANEL_OUTPUTS == 0 for one in outputs)
    on_cpu = like.dtype == torch.bfloat16 and like.device.type == "cpu"
    return whole and on_cpu and torch.get_num_threads() == 1 and has_bf16_pairs()


class ReadWeights:
    """The first matrices of all places: [inputs, ranks] each, for `ranks` filled up to a multiple of `LANES`."""

    def __init__(self, places: int, inputs: int, ranks: int) -> None:
        registers = ranks // LANES
        self.registers = next(n for n in range(MAX_REGISTERS, 0, -1) if registers % n == 0)
        self._inputs, self._width = inputs, self.registers * LANES
        self.panels = torch.zeros(places, ranks // self._width, inputs // 2, self._width, 2, dtype=torch.bfloat16)

    def put(self, place: int, first: int, weights: torch.Tensor) -> None:
        """Put the weights [ranks, inputs] of the ranks from `first` on into a place."""
        ranks = torch.arange(first, first + len(weights))
        pairs = weights.bfloat16().reshape(len(weights), self._inputs // 2, 2)
        self.panels[place, ranks // self._width, :, ranks % self._width] = pairs


class WriteWeights:
    """The second matrices of all places for one part of the outputs: [ranks, outputs] each."""

    def __init__(self, places: int, ranks: int, outputs: int) -> None:
        self.pairs = -(-ranks // 2)
        self.panels = torch.zeros(places, outputs // PANEL_OUTPUTS, self.pairs, PANEL_OUTPUTS, 2, dtype=torch.bfloat16)

    def put(self, place: int, weights: torch.Tensor) -> None:
        """Put the weights [outputs, ranks] into an empty place."""
        even = torch.nn.functional.pad(weights, (0, weights.shape[1] % 2)).bfloat16()
        pairs = even.shape[1] // 2
        panels = even.reshape(len(even) // PANEL_OUTPUTS, PANEL_OUTPUTS, pairs, 2).transpose(1, 2)
        self.panels[place, :, :pairs] = panels


class GroupedWeights:
    """The weights of all places for a layer whose outputs have several parts, each with ranks of its own.

    Args:
        places: The number of places.
        inputs: The inputs of the layer.
        parts: The first output, the number of outputs and the largest rank of each part.
    """

    def __init__(self, places: int, inputs: int, parts: Sequence[tuple[int, int, int]]) -> None:
        filled = [-(-rank // LANES) * LANES for _, _, rank in parts]
        self._inputs, self._ranks = inputs, sum(filled)
        self._first_ranks = [sum(filled[:part]) for part in range(len(parts))]
        self._read = ReadWeights(places, inputs, self._ranks)
        self._write = [WriteWeights(places, rank, outputs) for _, outputs, rank in parts]
        self._parts = np.array(
            [
                (2 * rank, weights.panels.data_ptr(), 2 * first, weights.pairs, weights.panels.shape[1])
                for (first, _, _), rank, weights in zip(parts, self._first_ranks, self._write, strict=True)
            ],
            dtype=np.int64,
        )
        self._add = _added(self._read.registers)
        self._of_read = (
            self._read.panels.data_ptr(),
            inputs // 2,
            inputs * 2,
            self._ranks * 2,
            self._read.panels.shape[1],
        )

    def clear(self, place: int) -> None:
        """Empty a place."""
        self._read.panels[place].zero_()
        for weights in self._write:
            weights.panels[place].zero_()

    def put(self, place: int, part: int, a: torch.Tensor, b: torch.Tensor) -> None:
        """Put the weights A [rank, inputs] and B [outputs, rank] of a part into an empty place."""
        self._read.put(place, self._first_ranks[part], a)
        self._write[part].put(place, b)

    def add(self, states: torch.Tensor, rows: torch.Tensor, groups: Any, out: torch.Tensor) -> None:
        """Add to the rows of `out` [n, outputs] that `rows` names their products, by the places of their groups.

        `states` [n, inputs] and `out` are contiguous. `groups` [groups, 3] has the place, the first of `rows` and the end.
        """
        ranks = states.new_empty(len(rows), self._ranks)
        out_bytes = out.shape[1] * 2
        numbers = rows.data_ptr(), states.data_ptr(), ranks.data_ptr(), out.data_ptr()
        self._add(groups, self._parts, *numbers, *self._of_read, out_bytes)


@cache
def _added(registers: int) -> Callable[..., None]:
    """Compile the function that adds to the outputs of a layer the products with both matrices."""
    read, write = _grouped(registers, gathers=True), _grouped(MAX_REGISTERS, gathers=False)

    def add(
        groups: Any,
        parts: Any,
        rows: Any,
        states: Any,
        ranks: Any,
        out: Any,
        panels: Any,
        pairs: Any,
        state_bytes: Any,
        rank_bytes: Any,
        count: Any,
        out_bytes: Any,
    ) -> None:
        read(groups, rows, states, panels, ranks, pairs, state_bytes, rank_bytes, count)
        for part in range(len(parts)):
            read_from, written = ranks + parts[part, 0], out + parts[part, 2]
            write(
                groups, rows, read_from, parts[part, 1], written, parts[part, 3], rank_bytes, out_bytes, parts[part, 4]
            )

    numbers = types.Array(types.int64, 2, "C")
    return compiled_uncached(types.void(numbers, numbers, *[types.intp] * 10))(add)


@cache
def _grouped(registers: int, *, gathers: bool) -> Callable[..., None]:
    """Compile the function that multiplies the rows of all groups by the panels of their places.

    Its arguments: groups [n, 3] of place, first row and end; the addresses of the numbers of the rows, of inputs, panels and
    outputs; the pairs of inputs; the bytes of a row of inputs and of outputs; the panels of a place. With `gathers` the numbers
    of the rows are those of inputs, and outputs begin at zero; without, they are those of outputs, which are added to.
    """
    six, four, two, one = (_make_block(rows, registers, gathers=gathers) for rows in (6, 4, 2, 1))
    width = registers * LANES
    row_of_input, row_of_output = int(not gathers), int(gathers)

    def multiply(
        groups: Any,
        rows: Any,
        states: Any,
        panels: Any,
        out: Any,
        pairs: Any,
        state_bytes: Any,
        out_bytes: Any,
        count: Any,
    ) -> None:
        panel_bytes = pairs * width * 4
        for group in range(len(groups)):
            weights = panels + groups[group, 0] * count * panel_bytes
            for panel in range(count):
                at = groups[group, 1]
                while at < groups[group, 2]:
                    left = groups[group, 2] - at
                    names = rows + 8 * at
                    state = states + row_of_input * at * state_bytes
                    address = out + row_of_output * at * out_bytes + panel * width * 2
                    if left >= 6:
                        six(names, state, weights, address, pairs, state_bytes, out_bytes)
                        at += 6
                    elif left >= 4:
                        four(names, state, weights, address, pairs, state_bytes, out_bytes)
                        at += 4
                    elif left >= 2:
                        two(names, state, weights, address, pairs, state_bytes, out_bytes)
                        at += 2
                    else:
                        one(names, state, weights, address, pairs, state_bytes, out_bytes)
                        at += 1
                weights += panel_bytes

    return compiled_uncached(types.void(types.Array(types.int64, 2, "C"), *[types.intp] * 8))(multiply)


def _make_block(rows: int, registers: int, *, gathers: bool) -> InnerLoop:
    """Make `block(names, states, panel, out, pairs, state_bytes, out_bytes)`, which multiplies `rows` rows by one panel."""

    def make(
        build: Any, names: Any, states: Any, panel: Any, out: Any, pairs: Any, state_bytes: Any, out_bytes: Any
    ) -> None:
        named = [load(build, names, LONG, 8 * row) for row in range(rows)]
        counted = [LONG(row) for row in range(rows)]
        inputs, outputs = (named, counted) if gathers else (counted, named)
        states = [build.add(states, build.mul(state_bytes, row)) for row in inputs]
        outs = [build.add(out, build.mul(out_bytes, row)) for row in outputs]
        start = [
            zeros(LANES) if gathers else _from_bf16(build, load(build, address, vector(HALF, LANES), 2 * LANES * n))
            for address in outs
            for n in range(registers)
        ]
        with Loop(build, pairs, start) as loop:
            address = build.add(panel, build.mul(loop.index, LONG(CACHE_LINE * registers)))
            weights = [load(build, address, vector(WORD, LANES), CACHE_LINE * n) for n in range(registers)]
            ahead = build.add(address, build.mul(pairs, LONG(CACHE_LINE * registers)))
            for n in range(registers):
                prefetch(build, ahead, CACHE_LINE * n)
            offset = build.mul(loop.index, LONG(4))
            for row, state in enumerate(states):
                pair = splat(build, load(build, build.add(state, offset), WORD), LANES)
                for n, weight in enumerate(weights, start=row * registers):
                    loop.sums[n] = dot_pairs(build, loop.sums[n], weight, pair)
        for row, address in enumerate(outs):
            for n in range(registers):
                place = build.add(address, LONG(2 * LANES * n))
                store(build, place, _to_bf16(build, loop.sums[row * registers + n]))

    @intrinsic  # type: ignore[untyped-decorator]  # numba has no types
    def block(_typing: Any, _n: Any, _s: Any, _p: Any, _o: Any, _k: Any, _r: Any, _t: Any) -> Any:
        return types.void(*[types.intp] * 7), code_generator(make)

    inner: InnerLoop = block
    return inner


def _to_bf16(build: Any, numbers: Any) -> Any:
    """Round 16 float32 to the nearest bfloat16, ties to even, by the instruction VCVTNEPS2BF16."""
    name, rounded = "llvm.x86.avx512bf16.cvtneps2bf16.512", vector(Bfloat16(), LANES)
    known = build.module.globals.get(name)
    convert = known or ir.Function(build.module, ir.FunctionType(rounded, [numbers.type]), name)
    return build.bitcast(build.call(convert, [numbers]), vector(HALF, LANES))


def _from_bf16(build: Any, halves: Any) -> Any:
    """Return the float32 of 16 bfloat16."""
    words = build.zext(halves, vector(WORD, LANES))
    return build.bitcast(build.shl(words, constant(WORD, LANES, 16)), ir.VectorType(FLOAT, LANES))

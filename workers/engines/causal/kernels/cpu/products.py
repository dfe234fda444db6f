"""Products of few rows with the weights of a linear layer in bfloat16, on CPUs that multiply pairs of them (AVX512-BF16).

A step reads every weight once, for a row a text. Libraries wait for the weights and then compute; this asks for the next
ones while it computes with those that are there. A panel of 64 outputs lies in memory as it is read: for each pair of
inputs the 64 pairs of weights. Up to six rows are multiplied with it at once, whose sums fill the registers. Sums are in fp32.
"""

from functools import cache
from typing import Any, Final

import torch
from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

from workers.engines.causal.kernels.cpu.loops import compiled_here
from workers.engines.causal.kernels.cpu.vectors import (
    FLOAT,
    HALF,
    LINE,
    LONG,
    WORD,
    Inner,
    Loop,
    ask,
    constant,
    generator,
    load,
    splat,
    store,
    vector,
)

OUTPUTS: Final = 64
"""Of a panel: four registers of 16 sums."""

ROWS: Final = 6
"""Rows that are computed at once: their sums, a panel's weights of a pair of inputs and a row's fill 32 registers."""

_LANES: Final = 16
_REGISTERS: Final = OUTPUTS // _LANES
_PAIR_BYTES: Final = OUTPUTS * 4


class _Bfloat16(ir.Type):  # type: ignore[misc]  # llvmlite tells no types, and has not this one
    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Bfloat16)

    def __hash__(self) -> int:
        return hash(_Bfloat16)


@cache
def can_multiply() -> bool:
    """Whether this processor has the instruction, and no unit for whole matrices, which libraries use, and is faster."""
    has = binding.get_host_cpu_features()
    return bool(has.get("avx512bf16")) and not has.get("amx-bf16")


def is_fit(weight: torch.Tensor) -> bool:
    """Whether the weights [outputs, inputs] of a layer can be put in panels here. One thread computes."""
    outputs, inputs = weight.shape
    whole = outputs % OUTPUTS == 0 and inputs % 2 == 0
    half_on_cpu = weight.dtype == torch.bfloat16 and weight.device.type == "cpu"
    return whole and half_on_cpu and torch.get_num_threads() == 1 and can_multiply()


class Panels:
    """The weights of a linear layer, and its product.

    Args:
        weight: [outputs, inputs] of bfloat16, for which `is_fit`.
        bias: [outputs] or None.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        self._outputs, self._inputs = weight.shape
        pairs = weight.view(self._outputs // OUTPUTS, OUTPUTS, self._inputs // 2, 2)
        self._panels = pairs.permute(0, 2, 1, 3).contiguous()
        self._bias = torch.zeros(self._outputs) if bias is None else bias.float()

    def multiply(self, states: torch.Tensor) -> torch.Tensor:
        """The outputs [..., outputs] of states [..., inputs], both of bfloat16."""
        rows = states.reshape(-1, self._inputs).contiguous()
        out = rows.new_empty(len(rows), self._outputs)
        if len(rows):
            _multiplier(_lines(len(rows)))(
                rows.data_ptr(),
                self._panels.data_ptr(),
                self._bias.data_ptr(),
                out.data_ptr(),
                len(rows),
                self._inputs,
                self._outputs,
            )
        return out.view(*states.shape[:-1], self._outputs)


def _lines(rows: int) -> int:
    """How many lines of the next panel are asked for with each pair of inputs, so that all of it is, by the blocks of rows."""
    blocks = -(-rows // ROWS)
    return 4 if blocks == 1 else 2 if blocks < _REGISTERS else 1


@cache
def _multiplier(lines: int) -> Inner:
    """The loops over panels and blocks of rows, all as large as they can be alike. Addresses, then counts."""
    one, two, three, four, five, six = (_block(rows, lines) for rows in range(1, ROWS + 1))

    def multiply(states: Any, panels: Any, bias: Any, out: Any, rows: Any, inputs: Any, outputs: Any) -> None:
        blocks = (rows + ROWS - 1) // ROWS
        size, larger = rows // blocks, rows % blocks
        of_row, of_out, of_panel = inputs * 2, outputs * 2, inputs // 2 * _PAIR_BYTES
        asked = inputs // 2 * LINE * lines  # by a block
        for number in range(outputs // OUTPUTS):
            panel, first = panels + number * of_panel, bias + number * OUTPUTS * 4
            done = 0
            for block in range(blocks):
                count = size + 1 if block < larger else size
                state, place = states + done * of_row, out + number * OUTPUTS * 2 + done * of_out
                soon = panel + of_panel + min(block * asked, of_panel - asked)
                if count == 6:
                    six(state, panel, first, place, inputs // 2, of_row, of_out, soon)
                elif count == 5:
                    five(state, panel, first, place, inputs // 2, of_row, of_out, soon)
                elif count == 4:
                    four(state, panel, first, place, inputs // 2, of_row, of_out, soon)
                elif count == 3:
                    three(state, panel, first, place, inputs // 2, of_row, of_out, soon)
                elif count == 2:
                    two(state, panel, first, place, inputs // 2, of_row, of_out, soon)
                else:
                    one(state, panel, first, place, inputs // 2, of_row, of_out, soon)
                done += count

    return compiled_here(types.void(*[types.intp] * 7))(multiply)


def _block(rows: int, lines: int) -> Inner:
    """`block(states, panel, bias, out, pairs, of_row, of_out, soon)`: some rows with one panel.

    Args of the function, addresses and bytes:
        states: Of bfloat16 [rows, 2 * pairs], whose rows lie `of_row` bytes apart.
        panel: Of bfloat16 [pairs, OUTPUTS, 2].
        bias: Of float32 [OUTPUTS].
        out: Of bfloat16 [rows, OUTPUTS], whose rows lie `of_out` bytes apart.
        soon: From where on `lines` lines of memory are asked for with each pair.
    """

    def make(
        build: Any, states: Any, panel: Any, bias: Any, out: Any, pairs: Any, of_row: Any, of_out: Any, soon: Any
    ) -> None:
        begin = [load(build, bias, vector(FLOAT, _LANES), LINE * n) for n in range(_REGISTERS)]
        with Loop(build, pairs, begin * rows) as loop:
            place = build.add(panel, build.mul(loop.index, LONG(_PAIR_BYTES)))
            weights = [load(build, place, vector(WORD, _LANES), LINE * n) for n in range(_REGISTERS)]
            for line in range(lines):
                ask(build, build.add(soon, build.mul(loop.index, LONG(LINE * lines))), LINE * line)
            state = build.add(states, build.mul(loop.index, LONG(4)))
            for row in range(rows):
                pair = splat(build, load(build, build.add(state, build.mul(of_row, LONG(row))), WORD), _LANES)
                for n, some in enumerate(weights, start=row * _REGISTERS):
                    loop.sums[n] = _add_pairs(build, loop.sums[n], some, pair)
        for row in range(rows):
            place = build.add(out, build.mul(of_out, LONG(row)))
            for n in range(_REGISTERS):
                store(build, build.add(place, LONG(2 * _LANES * n)), _narrow(build, loop.sums[row * _REGISTERS + n]))

    @intrinsic  # type: ignore[untyped-decorator]  # numba tells no types
    def block(_typing: Any, _s: Any, _p: Any, _b: Any, _o: Any, _n: Any, _r: Any, _t: Any, _a: Any) -> Any:
        return types.void(*[types.intp] * 8), generator(make)

    made: Inner = block
    return made


def _add_pairs(build: Any, sums: Any, one: Any, other: Any) -> Any:
    """`sums` and, for each of its 16, the products of a pair of bfloat16: VDPBF16PS."""
    name, halves = "llvm.x86.avx512bf16.dpbf16ps.512", vector(_Bfloat16(), 2 * _LANES)
    known = build.module.globals.get(name)
    add = known or ir.Function(build.module, ir.FunctionType(sums.type, [sums.type, halves, halves]), name)
    return build.call(add, [sums, build.bitcast(one, halves), build.bitcast(other, halves)])


def _narrow(build: Any, numbers: Any) -> Any:
    """The nearest bfloat16 of float32, of two the even one."""
    words = build.bitcast(numbers, vector(WORD, _LANES))
    half = constant(WORD, _LANES, 16)
    odd = build.and_(build.lshr(words, half), constant(WORD, _LANES, 1))
    rounded = build.lshr(build.add(build.add(words, odd), constant(WORD, _LANES, 0x7FFF)), half)
    return build.trunc(rounded, vector(HALF, _LANES))

"""This module multiplies few rows of inputs by bfloat16 weights, on CPUs that multiply pairs of bfloat16 (AVX512-BF16).

A row is the inputs of one token. A decode step reads every weight once, for one row of each sequence. Libraries wait for weights
before they compute. These loops prefetch the next weights while they compute with weights that have arrived. The weights of 64
outputs are a panel. A panel lies in memory in the order in which it is read: for each pair of inputs, the 64 pairs of weights. At
most six rows are multiplied by a panel at once, because the registers hold no more sums (`MAX_BLOCK_ROWS`). Sums are in float32.
"""

from functools import cache
from typing import Any, Final

import torch
from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

from workers.engines.causal.kernels.cpu.loops import compiled_uncached
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
)

PANEL_OUTPUTS: Final = 64
"""The number of outputs of a panel. One row's sums for a panel fill four registers of 16 float32 each."""

MAX_BLOCK_ROWS: Final = 6
"""At most this many rows are multiplied by a panel at once. Of the 32 registers, 24 hold the rows' sums, 4 the panel's weights
for a pair of inputs, and 1 a row's pair of inputs."""

_LANES: Final = 16
_PANEL_REGISTERS: Final = PANEL_OUTPUTS // _LANES
_PAIR_BYTES: Final = PANEL_OUTPUTS * 4


class Bfloat16(ir.Type):  # type: ignore[misc]  # llvmlite has no types, and lacks this class
    """The type of a bfloat16."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bfloat16)

    def __hash__(self) -> int:
        return hash(Bfloat16)


@cache
def has_bf16_products() -> bool:
    """Whether this processor multiplies pairs of bfloat16 and has no matrix unit (AMX). With AMX, libraries are faster."""
    features = binding.get_host_cpu_features()
    return bool(features.get("avx512bf16")) and not features.get("amx-bf16")


def fits_panels(weight: torch.Tensor) -> bool:
    """Whether a layer's weights [outputs, inputs] can be used in panels. Panels use one thread, so torch must use one too."""
    outputs, inputs = weight.shape
    whole = outputs % PANEL_OUTPUTS == 0 and inputs % 2 == 0
    bf16_on_cpu = weight.dtype == torch.bfloat16 and weight.device.type == "cpu"
    return whole and bf16_on_cpu and torch.get_num_threads() == 1 and has_bf16_products()


class Panels:
    """The weights of a linear layer, stored in panels, and its bias.

    Args:
        weight: The weights, bfloat16 [outputs, inputs], for which `fits_panels` is true.
        bias: The bias [outputs], or None.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        self._outputs, self._inputs = weight.shape
        pairs = weight.view(self._outputs // PANEL_OUTPUTS, PANEL_OUTPUTS, self._inputs // 2, 2)
        self._panels = pairs.permute(0, 2, 1, 3).contiguous()
        self._bias = torch.zeros(self._outputs) if bias is None else bias.float()

    def multiply(self, states: torch.Tensor) -> torch.Tensor:
        """Return the outputs [..., outputs] for states [..., inputs], both bfloat16."""
        rows = states.reshape(-1, self._inputs).contiguous()
        out = rows.new_empty(len(rows), self._outputs)
        if len(rows):
            _multiplier(_prefetch_lines(len(rows)))(
                rows.data_ptr(),
                self._panels.data_ptr(),
                self._bias.data_ptr(),
                out.data_ptr(),
                len(rows),
                self._inputs,
                self._outputs,
            )
        return out.view(*states.shape[:-1], self._outputs)


def _prefetch_lines(rows: int) -> int:
    """Return how many cache lines a block of rows prefetches with each pair of inputs.

    All blocks together prefetch the next panel.
    """
    blocks = -(-rows // MAX_BLOCK_ROWS)
    return 4 if blocks == 1 else 2 if blocks < _PANEL_REGISTERS else 1


@cache
def _multiplier(lines: int) -> InnerLoop:
    """Compile the function that multiplies rows by panels, in loops over panels and over blocks of rows.

    The numbers of rows of two blocks differ by at most one. The compiled function takes the addresses of inputs, panels, bias and
    outputs, and the numbers of rows, inputs and outputs.
    """
    one, two, three, four, five, six = (_make_block(rows, lines) for rows in range(1, MAX_BLOCK_ROWS + 1))

    def multiply(states: Any, panels: Any, bias: Any, out: Any, rows: Any, inputs: Any, outputs: Any) -> None:
        blocks = (rows + MAX_BLOCK_ROWS - 1) // MAX_BLOCK_ROWS
        size, larger_blocks = rows // blocks, rows % blocks
        row_bytes, out_bytes, panel_bytes = inputs * 2, outputs * 2, inputs // 2 * _PAIR_BYTES
        prefetched = inputs // 2 * CACHE_LINE * lines  # bytes that one block of rows prefetches
        for number in range(outputs // PANEL_OUTPUTS):
            panel, first = panels + number * panel_bytes, bias + number * PANEL_OUTPUTS * 4
            done = 0
            for block in range(blocks):
                count = size + 1 if block < larger_blocks else size
                state, address = states + done * row_bytes, out + number * PANEL_OUTPUTS * 2 + done * out_bytes
                prefetch_address = panel + panel_bytes + min(block * prefetched, panel_bytes - prefetched)
                if count == 6:
                    six(state, panel, first, address, inputs // 2, row_bytes, out_bytes, prefetch_address)
                elif count == 5:
                    five(state, panel, first, address, inputs // 2, row_bytes, out_bytes, prefetch_address)
                elif count == 4:
                    four(state, panel, first, address, inputs // 2, row_bytes, out_bytes, prefetch_address)
                elif count == 3:
                    three(state, panel, first, address, inputs // 2, row_bytes, out_bytes, prefetch_address)
                elif count == 2:
                    two(state, panel, first, address, inputs // 2, row_bytes, out_bytes, prefetch_address)
                else:
                    one(state, panel, first, address, inputs // 2, row_bytes, out_bytes, prefetch_address)
                done += count

    return compiled_uncached(types.void(*[types.intp] * 7))(multiply)


def _make_block(rows: int, lines: int) -> InnerLoop:
    """Make `block(states, panel, bias, out, pairs, row_bytes, out_bytes, prefetch_address)`.

    The function multiplies `rows` rows by one panel.

    Args of the function:
        states: The address of inputs, bfloat16 [rows, 2 * pairs].
        panel: The address of weights, bfloat16 [pairs, PANEL_OUTPUTS, 2].
        bias: The address of the bias, float32 [PANEL_OUTPUTS].
        out: The address of the results, bfloat16 [rows, PANEL_OUTPUTS].
        pairs: The number of pairs of inputs.
        row_bytes: The bytes from one row of `states` to the next.
        out_bytes: The bytes from one row of `out` to the next.
        prefetch_address: The address where prefetching starts. `lines` cache lines are prefetched with each pair of inputs.
    """

    def make(
        build: Any,
        states: Any,
        panel: Any,
        bias: Any,
        out: Any,
        pairs: Any,
        row_bytes: Any,
        out_bytes: Any,
        prefetch_address: Any,
    ) -> None:
        bias_sums = [load(build, bias, vector(FLOAT, _LANES), CACHE_LINE * n) for n in range(_PANEL_REGISTERS)]
        with Loop(build, pairs, bias_sums * rows) as loop:
            address = build.add(panel, build.mul(loop.index, LONG(_PAIR_BYTES)))
            weights = [load(build, address, vector(WORD, _LANES), CACHE_LINE * n) for n in range(_PANEL_REGISTERS)]
            for line in range(lines):
                prefetch(
                    build,
                    build.add(prefetch_address, build.mul(loop.index, LONG(CACHE_LINE * lines))),
                    CACHE_LINE * line,
                )
            state = build.add(states, build.mul(loop.index, LONG(4)))
            for row in range(rows):
                pair = splat(build, load(build, build.add(state, build.mul(row_bytes, LONG(row))), WORD), _LANES)
                for n, weight in enumerate(weights, start=row * _PANEL_REGISTERS):
                    loop.sums[n] = dot_pairs(build, loop.sums[n], weight, pair)
        for row in range(rows):
            address = build.add(out, build.mul(out_bytes, LONG(row)))
            for n in range(_PANEL_REGISTERS):
                store(
                    build,
                    build.add(address, LONG(2 * _LANES * n)),
                    _to_bf16(build, loop.sums[row * _PANEL_REGISTERS + n]),
                )

    @intrinsic  # type: ignore[untyped-decorator]  # numba has no types
    def block(_typing: Any, _s: Any, _p: Any, _b: Any, _o: Any, _n: Any, _r: Any, _t: Any, _a: Any) -> Any:
        return types.void(*[types.intp] * 8), code_generator(make)

    inner: InnerLoop = block
    return inner


def dot_pairs(build: Any, sums: Any, one: Any, other: Any) -> Any:
    """Add to each of 16 sums the two products of a pair of bfloat16, by the instruction VDPBF16PS. Returns the new sums."""
    name, pairs = "llvm.x86.avx512bf16.dpbf16ps.512", vector(Bfloat16(), 2 * _LANES)
    known = build.module.globals.get(name)
    add = known or ir.Function(build.module, ir.FunctionType(sums.type, [sums.type, pairs, pairs]), name)
    return build.call(add, [sums, build.bitcast(one, pairs), build.bitcast(other, pairs)])


def _to_bf16(build: Any, numbers: Any) -> Any:
    """Round float32 to the nearest bfloat16, ties to even."""
    words = build.bitcast(numbers, vector(WORD, _LANES))
    sixteen = constant(WORD, _LANES, 16)
    odd = build.and_(build.lshr(words, sixteen), constant(WORD, _LANES, 1))
    rounded = build.lshr(build.add(build.add(words, odd), constant(WORD, _LANES, 0x7FFF)), sixteen)
    return build.trunc(rounded, vector(HALF, _LANES))

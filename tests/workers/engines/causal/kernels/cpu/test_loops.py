"""Shows workers/engines/causal/kernels/cpu/loops.py: conversions are exact, and loops compile without a writable folder."""

from typing import Any

import numba.core.caching
import numpy as np
import pytest
import torch

from workers.engines.causal.kernels.cpu.loops import compiled, compiled_uncached, exp, from_float32, to_float32
from workers.engines.causal.kernels.cpu.tiles import as_numpy


def test_loops_are_compiled_without_a_writable_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])

    @compiled()
    def double(numbers: Any) -> None:
        for n in range(len(numbers)):
            numbers[n] *= 2

    numbers = np.arange(3)
    double(numbers)
    assert numbers.tolist() == [0, 2, 4]


@compiled_uncached(None)
def _round_trip(bf16s: Any, out: Any) -> None:
    for n in range(len(bf16s)):
        out[n] = from_float32(to_float32(bf16s[n], True), True)


@compiled_uncached(None)
def _converted(numbers: Any, out: Any) -> None:
    for n in range(len(numbers)):
        out[n] = from_float32(numbers[n], True)


@compiled_uncached(None)
def _powers(numbers: Any, out: Any) -> None:
    for n in range(len(numbers)):
        out[n] = exp(numbers[n])


def test_every_bfloat16_survives_the_way_to_float32_and_back() -> None:
    bf16s = torch.arange(-(2**15), 2**15).to(torch.int16).view(torch.bfloat16)
    bf16s = bf16s[~bf16s.isnan()]
    out = torch.empty_like(bf16s)
    _round_trip(as_numpy(bf16s), as_numpy(out))
    assert torch.equal(out.view(torch.int16), bf16s.view(torch.int16))


def test_a_float32_becomes_the_nearest_bfloat16() -> None:
    numbers = torch.randn(100_000) * 10.0 ** torch.randint(-30, 30, (100_000,))
    numbers[:4] = torch.tensor([1.00390625, 1.01171875, 0.0, torch.inf])  # two ties
    out = torch.empty(len(numbers), dtype=torch.bfloat16)
    _converted(numbers.numpy(), as_numpy(out))
    assert torch.equal(out, numbers.bfloat16())


def test_exp_has_a_small_relative_error() -> None:
    numbers = np.linspace(-87, 87, 200_001).astype(np.float32)
    out = np.empty_like(numbers)
    _powers(numbers, out)
    assert np.abs(out / np.exp(numbers.astype(np.float64)) - 1).max() < 1e-5
    small = np.abs(numbers) < 1
    assert np.abs(out[small] / np.exp(numbers[small].astype(np.float64)) - 1).max() < 1e-6

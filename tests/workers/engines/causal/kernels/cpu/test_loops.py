"""`workers/engines/causal/kernels/cpu/loops.py`: numbers as they are, and loops that are compiled wherever one may write."""

from typing import Any

import numba.core.caching
import numpy as np
import pytest
import torch

from workers.engines.causal.kernels.cpu.loops import compiled, compiled_uncached, exp, from_float32, to_float32
from workers.engines.causal.kernels.cpu.tiles import as_numpy


def test_loops_are_compiled_where_no_folder_can_be_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])

    @compiled()
    def double(numbers: Any) -> None:
        for n in range(len(numbers)):
            numbers[n] *= 2

    numbers = np.arange(3)
    double(numbers)
    assert numbers.tolist() == [0, 2, 4]


@compiled_uncached(None)
def _there_and_back(halves: Any, out: Any) -> None:
    for n in range(len(halves)):
        out[n] = from_float32(to_float32(halves[n], True), True)


@compiled_uncached(None)
def _narrowed(numbers: Any, out: Any) -> None:
    for n in range(len(numbers)):
        out[n] = from_float32(numbers[n], True)


@compiled_uncached(None)
def _powers(numbers: Any, out: Any) -> None:
    for n in range(len(numbers)):
        out[n] = exp(numbers[n])


def test_each_half_stays_what_it_is() -> None:
    halves = torch.arange(-(2**15), 2**15).to(torch.int16).view(torch.bfloat16)
    halves = halves[~halves.isnan()]
    out = torch.empty_like(halves)
    _there_and_back(as_numpy(halves), as_numpy(out))
    assert torch.equal(out.view(torch.int16), halves.view(torch.int16))


def test_a_number_becomes_the_nearest_half() -> None:
    numbers = torch.randn(100_000) * 10.0 ** torch.randint(-30, 30, (100_000,))
    numbers[:4] = torch.tensor([1.00390625, 1.01171875, 0.0, torch.inf])  # two that lie in the middle
    out = torch.empty(len(numbers), dtype=torch.bfloat16)
    _narrowed(numbers.numpy(), as_numpy(out))
    assert torch.equal(out, numbers.bfloat16())


def test_powers_are_right_to_the_last_places() -> None:
    numbers = np.linspace(-87, 87, 200_001).astype(np.float32)
    out = np.empty_like(numbers)
    _powers(numbers, out)
    assert np.abs(out / np.exp(numbers.astype(np.float64)) - 1).max() < 1e-5
    small = np.abs(numbers) < 1
    assert np.abs(out[small] / np.exp(numbers[small].astype(np.float64)) - 1).max() < 1e-6

"""Shows kernels/cpu/grouped.py: rows of several groups are multiplied by the weights of their own group."""

import pytest
import torch

from workers.engines.causal.kernels.cpu.grouped import LANES, ReadWeights, WriteWeights, fits_groups, has_bf16_pairs

only_there = pytest.mark.skipif(not has_bf16_pairs(), reason="this CPU does not multiply pairs of bfloat16")
SIZES = [[1], [2, 1, 3], [6, 5], [8] * 8, [13, 0, 1], [64], [4, 7, 9, 11]]


def grouped(sizes: list[int], places: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows in random order, every second one of a step, and their groups, whose places are in random order."""
    total = sum(sizes)
    rows = 2 * torch.randperm(total)
    order, groups, first = torch.randperm(places).tolist(), [], 0
    for place, size in zip(order, sizes, strict=False):
        groups.append((place, first, first + size))
        first += size
    return rows, torch.tensor(groups)


@only_there
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("ranks", [16, 32, 48, 64, 80])
def test_ranks_are_the_nearest_numbers(sizes: list[int], ranks: int) -> None:
    torch.manual_seed(len(sizes))
    places, inputs = 9, 40
    weights = torch.randn(places, ranks, inputs).bfloat16()
    packed = ReadWeights(places, inputs, ranks)
    for place in range(places):
        for first in range(0, ranks, LANES):
            packed.put(place, first, weights[place, first : first + LANES])
    rows, groups = grouped(sizes, places)
    states = torch.randn(2 * len(rows), inputs).bfloat16()
    got = packed.multiply(states, rows, groups.numpy())
    for place, first, end in groups.tolist():
        wanted = states[rows[first:end]].double() @ weights[place].double().T
        assert torch.allclose(got[first:end].double(), wanted, rtol=2**-8, atol=1e-4)


@only_there
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("ranks", [1, 5, 16])
def test_outputs_are_added_to_and_other_rows_and_columns_stay(sizes: list[int], ranks: int) -> None:
    torch.manual_seed(len(sizes))
    places, outputs = 9, 128
    weights = torch.randn(places, outputs, ranks).bfloat16()
    packed = WriteWeights(places, ranks, outputs)
    for place in range(places):
        packed.put(place, weights[place])
    rows, groups = grouped(sizes, places)
    read = torch.randn(len(rows), 48).bfloat16()
    before = torch.randn(2 * len(rows), 320).bfloat16()
    out = before.clone()
    packed.add(read, LANES, rows, groups.numpy(), out, 64)
    wanted = before.double()
    for place, first, end in groups.tolist():
        read_by = read[first:end, LANES : LANES + ranks].double()
        wanted[rows[first:end], 64 : 64 + outputs] += read_by @ weights[place].double().T
    assert torch.allclose(out.double(), wanted, rtol=2**-8, atol=1e-4)
    untouched = torch.ones_like(out, dtype=torch.bool)
    untouched[rows, 64 : 64 + outputs] = False
    assert torch.equal(out[untouched], before[untouched])


def test_other_numbers_and_sizes_are_left_to_torch() -> None:
    assert not fits_groups(40, [64], torch.zeros(1))
    assert not fits_groups(40, [60], torch.zeros(1).bfloat16())
    assert not fits_groups(41, [64], torch.zeros(1).bfloat16())
    assert fits_groups(40, [64, 128], torch.zeros(1).bfloat16()) == has_bf16_pairs()

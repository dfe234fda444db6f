"""Shows kernels/cpu/grouped.py: rows of several groups are multiplied by the weights of their own group."""

import pytest
import torch

from workers.engines.causal.kernels.cpu.grouped import GroupedWeights, fits_groups, has_bf16_pairs

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
@pytest.mark.parametrize("ranks", [(1,), (16,), (5, 16), (16, 16, 16), (17, 40), (70, 10)], ids=str)
def test_the_rows_of_a_group_get_the_products_of_its_place(sizes: list[int], ranks: tuple[int, ...]) -> None:
    """Other rows, and outputs that are of no part, stay as they are. Some places have fewer ranks than there is room for."""
    torch.manual_seed(len(sizes))
    places, inputs, outputs = 9, 40, 128
    weights = GroupedWeights(places, inputs, [(64 + 192 * n, outputs, rank) for n, rank in enumerate(ranks)])
    given = {}
    for place in range(places):
        for part, most in enumerate(ranks):
            rank = most if place % 2 else max(1, most - 3)
            pair = torch.randn(rank, inputs).bfloat16(), torch.randn(outputs, rank).bfloat16()
            weights.put(place, part, torch.ones(most, inputs), torch.ones(outputs, most))
            given[place, part] = pair
        weights.clear(place)
        for part in range(len(ranks)):
            weights.put(place, part, *given[place, part])
    rows, groups = grouped(sizes, places)
    states = torch.randn(2 * len(rows), inputs).bfloat16()
    before = torch.randn(2 * len(rows), 192 * len(ranks) + 64).bfloat16()
    out = before.clone()
    weights.add(states, rows, groups.numpy(), out)
    wanted = before.double()
    for place, first, end in groups.tolist():
        for part in range(len(ranks)):
            a, b = given[place, part]
            read = (states[rows[first:end]].double() @ a.double().T).bfloat16().double()
            begin = 64 + 192 * part
            wanted[rows[first:end], begin : begin + outputs] += read @ b.double().T
    size = wanted.abs().amax()
    assert ((out.double() - wanted).abs() <= 2**-8 * wanted.abs() + 2**-9 * size).all()
    untouched = torch.ones_like(out, dtype=torch.bool)
    for part in range(len(ranks)):
        untouched[rows, 64 + 192 * part : 64 + 192 * part + outputs] = False
    assert torch.equal(out[untouched], before[untouched])
    assert not torch.equal(out, before)


def test_other_numbers_and_sizes_are_left_to_torch() -> None:
    assert not fits_groups(40, [64], torch.zeros(1))
    assert not fits_groups(40, [60], torch.zeros(1).bfloat16())
    assert not fits_groups(41, [64], torch.zeros(1).bfloat16())
    assert fits_groups(40, [64, 128], torch.zeros(1).bfloat16()) == has_bf16_pairs()

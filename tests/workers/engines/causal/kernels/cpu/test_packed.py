"""Shows workers/engines/causal/kernels/cpu/packed.py: packed layers give the same numbers as plain layers."""

import copy

import pytest
import torch
from torch import nn

from workers.engines.causal.kernels.cpu.packed import PackedLinear, pack

CPU = torch.device("cpu")
computes_in_bfloat16 = pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="this processor does not compute in bfloat16"
)


def network(dtype: torch.dtype = torch.bfloat16) -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(48, 96), nn.Sequential(nn.GELU(), nn.Linear(96, 32, bias=False))).to(dtype).eval()


@computes_in_bfloat16
@pytest.mark.parametrize("rows", [1, 5, 64, 300])
def test_packed_layers_give_the_same_numbers(rows: int) -> None:
    plain = network()
    packed = copy.deepcopy(plain)
    with torch.inference_mode():
        assert pack(packed, CPU) == 2
        assert pack(packed, CPU) == 0, "nothing is left to pack"
        states = torch.randn(1, rows, 48).bfloat16()
        torch.testing.assert_close(packed(states), plain(states))
    assert not [module for module in packed.modules() if isinstance(module, nn.Linear)], "the plain weights are freed"
    assert len([module for module in packed.modules() if isinstance(module, PackedLinear)]) == 2


def test_layers_that_do_not_compute_in_bfloat16_on_a_cpu_are_left_alone() -> None:
    assert pack(network(torch.float32), CPU) == 0
    assert pack(network(), torch.device("meta")) == 0

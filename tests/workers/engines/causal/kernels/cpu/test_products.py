"""Shows workers/engines/causal/kernels/cpu/products.py: products agree with products in float64."""

import pytest
import torch

from workers.engines.causal.kernels.cpu.packed import PackedLinear, computes_in_bf16
from workers.engines.causal.kernels.cpu.products import (
    MAX_BLOCK_ROWS,
    PANEL_OUTPUTS,
    Panels,
    fits_panels,
    has_bf16_products,
)

ROUNDING = 2.0**-8
"""The largest relative error of a number that is rounded to bfloat16."""

only_there = pytest.mark.skipif(not has_bf16_products(), reason="this CPU does not multiply pairs of bfloat16")


def exact(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    out = states.double() @ weight.double().T
    return out if bias is None else out + bias.double()


@only_there
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, MAX_BLOCK_ROWS, MAX_BLOCK_ROWS + 1, 13, 18, 19, 37, 64, 100])
@pytest.mark.parametrize("sizes", [(2, PANEL_OUTPUTS), (96, 3 * PANEL_OUTPUTS), (130, 2 * PANEL_OUTPUTS)], ids=str)
def test_a_product_is_the_nearest_number(sizes: tuple[int, int], rows: int, biased: bool) -> None:
    generator = torch.Generator().manual_seed(rows)
    inputs, outputs = sizes
    weight = torch.randn(outputs, inputs, generator=generator).bfloat16()
    bias = torch.randn(outputs, generator=generator).bfloat16() if biased else None
    states = torch.randn(rows, inputs, generator=generator).bfloat16()
    got = Panels(weight, bias).multiply(states)
    assert got.dtype == torch.bfloat16
    wanted = exact(states, weight, bias)
    sums = exact(states.abs(), weight.abs(), None) * 2.0**-20  # the rounding of the sums, which are float32
    assert ((got.double() - wanted).abs() <= ROUNDING * wanted.abs() + sums).all()


@only_there
def test_states_may_have_more_dimensions_and_lie_apart() -> None:
    weight = torch.randn(PANEL_OUTPUTS, 32).bfloat16()
    wide = torch.randn(2, 5, 64).bfloat16()
    panels = Panels(weight, None)
    got = panels.multiply(wide[..., 16:48])
    assert got.shape == (2, 5, PANEL_OUTPUTS)
    assert torch.equal(got, panels.multiply(wide[..., 16:48].contiguous()))
    assert panels.multiply(wide[:, :0, 16:48]).shape == (2, 0, PANEL_OUTPUTS)


@only_there
def test_overflow_gives_infinity_and_nan_stays_nan() -> None:
    weight = torch.full((PANEL_OUTPUTS, 4), 1e30).bfloat16()
    assert Panels(weight, None).multiply(torch.full((1, 4), 1e30).bfloat16()).isinf().all()
    assert Panels(weight, None).multiply(torch.full((1, 4), torch.nan).bfloat16()).isnan().all()


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((PANEL_OUTPUTS, 3), torch.bfloat16),
        ((PANEL_OUTPUTS + 1, 4), torch.bfloat16),
        ((PANEL_OUTPUTS, 4), torch.float32),
    ],
)
def test_weights_that_do_not_fit_panels_are_refused(shape: tuple[int, int], dtype: torch.dtype) -> None:
    assert not fits_panels(torch.empty(shape, dtype=dtype))


@pytest.mark.skipif(not computes_in_bf16(torch.device("cpu")), reason="this CPU computes no products of bfloat16")
@pytest.mark.parametrize("outputs", [PANEL_OUTPUTS, PANEL_OUTPUTS + 6])
def test_a_linear_layer_gives_the_same_in_panels_and_without(outputs: int) -> None:
    torch.manual_seed(3)
    layer = torch.nn.Linear(32, outputs, dtype=torch.bfloat16)
    states = torch.randn(7, 32).bfloat16()
    with torch.inference_mode():
        torch.testing.assert_close(PackedLinear(layer)(states), layer(states), atol=0.02, rtol=0.01)

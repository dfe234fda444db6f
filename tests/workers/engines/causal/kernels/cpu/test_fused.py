"""Shows workers/engines/causal/kernels/cpu/fused.py: fused layers give the numbers of the original layers, and no other layer
is replaced.
"""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GPT2Config,
    LlamaConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from workers.engines.causal.kernels.cpu.fused import FusedGatedMlp, FusedQkv, FusedRmsNorm, QkvPart, fuse
from workers.engines.causal.kernels.cpu.packed import PackedLinear, computes_in_bf16, pack

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {
    "vocab_size": 120,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}

pytestmark = pytest.mark.skipif(not computes_in_bf16(CPU), reason="this CPU computes no products of bfloat16")


def network(config: PretrainedConfig, dtype: torch.dtype = torch.bfloat16) -> Any:
    torch.manual_seed(5)
    model = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    for name, parameter in model.named_parameters():
        if "norm" in name:
            parameter.data.normal_(1.0, 0.3)  # like trained weights: not all the same
        if name.endswith("bias"):
            parameter.data.normal_()
    return model


def logits(model: Any) -> torch.Tensor:
    ids = torch.randint(0, 120, (3, 9), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        out: torch.Tensor = model(ids).logits.float()
    return out


def layer_types(model: Any) -> list[str]:
    return [type(module).__name__ for module in model.modules()]


@pytest.mark.parametrize(
    ("config", "norms", "gates", "parts"),
    [
        pytest.param(lambda: LlamaConfig(**SMALL), 5, 2, 6, id="llama"),
        pytest.param(lambda: LlamaConfig(**SMALL, attention_bias=True), 5, 2, 6, id="biases"),
        pytest.param(lambda: Qwen2Config(**SMALL), 5, 2, 6, id="qwen2: biases of queries, keys and values"),
        pytest.param(lambda: Qwen3Config(**SMALL, head_dim=16), 9, 2, 6, id="qwen3: norms of queries and keys"),
        pytest.param(lambda: LlamaConfig(**SMALL, hidden_act="gelu"), 5, 0, 6, id="another gate"),
        pytest.param(lambda: Gemma2Config(**SMALL, head_dim=16), 0, 0, 6, id="gemma 2: a norm of another form"),
        pytest.param(lambda: GPT2Config(n_embd=48, n_layer=2, n_head=4, vocab_size=120), 0, 0, 0, id="gpt-2: none"),
    ],
)
def test_a_fused_network_gives_the_same_and_only_known_layers_are_replaced(
    config: Callable[[], PretrainedConfig], norms: int, gates: int, parts: int
) -> None:
    original = network(config())
    fused = copy.deepcopy(original)
    fuse(fused, CPU)
    names = layer_types(fused)
    assert (names.count("FusedRmsNorm"), names.count("FusedGatedMlp"), names.count("QkvPart")) == (norms, gates, parts)
    pack(fused, CPU)
    assert "Linear" not in layer_types(fused)
    wanted, got = logits(original), logits(fused)
    assert (got - wanted).square().mean().sqrt() <= 0.02 * wanted.square().mean().sqrt()


def test_networks_in_other_formats_are_left_alone() -> None:
    model = network(LlamaConfig(**SMALL), torch.float32)
    before = layer_types(model)
    fuse(model, CPU)
    assert layer_types(model) == before


class OddRMSNorm(torch.nn.Module):
    """A layer with the name of an RMS norm that computes something else."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.eps = torch.nn.Parameter(torch.ones(48, dtype=torch.bfloat16)), 1e-6

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return states * self.weight


class GatedRMSNorm(LlamaRMSNorm):  # type: ignore[misc]  # transformers has no types
    """A norm that takes a gate too, like those of state space models."""

    def forward(self, states: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        return super().forward(states if gate is None else states * gate)  # type: ignore[no-any-return]


@pytest.mark.parametrize("make_norm", [OddRMSNorm, lambda: GatedRMSNorm(48).bfloat16()], ids=["another", "gated"])
def test_another_layer_with_the_name_of_a_norm_is_left_alone(make_norm: Callable[[], torch.nn.Module]) -> None:
    model = network(LlamaConfig(**SMALL))
    norm = model.model.norm = make_norm()
    fuse(model, CPU)
    assert model.model.norm is norm
    assert isinstance(model.model.layers[0].input_layernorm, FusedRmsNorm)
    assert isinstance(model.model.layers[0].mlp, FusedGatedMlp)


def test_fused_qkv_gives_each_layers_output_in_any_order_of_calls() -> None:
    torch.manual_seed(1)
    layers = [torch.nn.Linear(16, size, bias=size == 8, dtype=torch.bfloat16) for size in (24, 8, 8)]
    qkv = FusedQkv(layers)
    parts = [QkvPart(qkv, number, layer) for number, layer in enumerate(layers)]
    one, other = torch.randn(2, 1, 5, 16).bfloat16()
    with torch.inference_mode():
        for states in (one, other, one):
            for part, layer in zip(parts, layers, strict=True):
                torch.testing.assert_close(part(states), layer(states), atol=0.02, rtol=0.02)
        # the third layer is called without the others, and then once more
        torch.testing.assert_close(parts[2](one), layers[2](one), atol=0.02, rtol=0.02)
        torch.testing.assert_close(parts[2](one), layers[2](one), atol=0.02, rtol=0.02)
        torch.testing.assert_close(parts[0](other), layers[0](other), atol=0.02, rtol=0.02)
        torch.testing.assert_close(parts[1](one), layers[1](one), atol=0.02, rtol=0.02)


def test_layers_with_and_without_biases_are_packed_together() -> None:
    layers = [torch.nn.Linear(8, 4, bias=bias, dtype=torch.bfloat16) for bias in (True, False)]
    states = torch.randn(3, 8).bfloat16()
    with torch.inference_mode():
        wanted = torch.cat([layer(states) for layer in layers], -1)
        torch.testing.assert_close(PackedLinear(*layers)(states), wanted, atol=0.02, rtol=0.02)

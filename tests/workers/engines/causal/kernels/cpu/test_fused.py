"""`workers/engines/causal/kernels/cpu/fused.py`: the same numbers as the model's own parts, and nothing else is replaced."""

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
    made = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    for name, parameter in made.named_parameters():
        if "norm" in name:
            parameter.data.normal_(1.0, 0.3)  # as trained ones are: not all the same
        if name.endswith("bias"):
            parameter.data.normal_()
    return made


def logits(made: Any) -> torch.Tensor:
    ids = torch.randint(0, 120, (3, 9), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        out: torch.Tensor = made(ids).logits.float()
    return out


def kinds(made: Any) -> list[str]:
    return [type(module).__name__ for module in made.modules()]


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
def test_a_network_gives_the_same_and_only_what_is_known_is_replaced(
    config: Callable[[], PretrainedConfig], norms: int, gates: int, parts: int
) -> None:
    own = network(config())
    fused = copy.deepcopy(own)
    fuse(fused, CPU)
    names = kinds(fused)
    assert (names.count("FusedRmsNorm"), names.count("FusedGatedMlp"), names.count("QkvPart")) == (norms, gates, parts)
    pack(fused, CPU)
    assert "Linear" not in kinds(fused)
    wanted, got = logits(own), logits(fused)
    assert (got - wanted).square().mean().sqrt() <= 0.02 * wanted.square().mean().sqrt()


def test_other_formats_are_left_alone() -> None:
    made = network(LlamaConfig(**SMALL), torch.float32)
    before = kinds(made)
    fuse(made, CPU)
    assert kinds(made) == before


class OddRMSNorm(torch.nn.Module):
    """No such norm, in spite of its name."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.eps = torch.nn.Parameter(torch.ones(48, dtype=torch.bfloat16)), 1e-6

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return states * self.weight


class GatedRMSNorm(LlamaRMSNorm):  # type: ignore[misc]  # transformers tells no types
    """One that takes more than states, as those of state space models do."""

    def forward(self, states: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        return super().forward(states if gate is None else states * gate)  # type: ignore[no-any-return]


@pytest.mark.parametrize("form", [OddRMSNorm, lambda: GatedRMSNorm(48).bfloat16()], ids=["another", "gated"])
def test_a_norm_that_only_has_the_name_is_left_alone(form: Callable[[], torch.nn.Module]) -> None:
    made = network(LlamaConfig(**SMALL))
    norm = made.model.norm = form()
    fuse(made, CPU)
    assert made.model.norm is norm
    assert isinstance(made.model.layers[0].input_layernorm, FusedRmsNorm)
    assert isinstance(made.model.layers[0].mlp, FusedGatedMlp)


def test_a_shared_product_is_made_once_for_an_input_and_kept_for_none() -> None:
    torch.manual_seed(1)
    layers = [torch.nn.Linear(16, size, bias=size == 8, dtype=torch.bfloat16) for size in (24, 8, 8)]
    shared = FusedQkv(layers)
    parts = [QkvPart(shared, number, layer) for number, layer in enumerate(layers)]
    one, other = torch.randn(2, 1, 5, 16).bfloat16()
    with torch.inference_mode():
        for states in (one, other, one):
            for part, layer in zip(parts, layers, strict=True):
                torch.testing.assert_close(part(states), layer(states), atol=0.02, rtol=0.02)
        torch.testing.assert_close(parts[2](one), layers[2](one), atol=0.02, rtol=0.02)  # alone, and then again
        torch.testing.assert_close(parts[2](one), layers[2](one), atol=0.02, rtol=0.02)
        torch.testing.assert_close(parts[0](other), layers[0](other), atol=0.02, rtol=0.02)
        torch.testing.assert_close(parts[1](one), layers[1](one), atol=0.02, rtol=0.02)


def test_layers_become_one_with_and_without_biases() -> None:
    layers = [torch.nn.Linear(8, 4, bias=bias, dtype=torch.bfloat16) for bias in (True, False)]
    states = torch.randn(3, 8).bfloat16()
    with torch.inference_mode():
        wanted = torch.cat([layer(states) for layer in layers], -1)
        torch.testing.assert_close(PackedLinear(*layers)(states), wanted, atol=0.02, rtol=0.02)

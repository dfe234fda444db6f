"""Shows workers/engines/causal/probe.py: a model that slots would make write something else is found out."""

from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")
pytest.importorskip("transformers", reason="the extra `workers` is not installed")

import torch

from tests.workers.engines.architectures import Numbers, make
from workers.engines.causal.loading import wrap_model
from workers.engines.causal.model import CausalModel
from workers.engines.causal.probe import Unfit, prepare_for_slots
from workers.engines.causal.runtime.attention import ATTENTION_NAME
from workers.engines.device.placement import Placement

CPU = Placement(torch.device("cpu"), torch.float32, "cpu")


def model(name: str = "llama", dtype: torch.dtype = torch.float32) -> CausalModel:
    network: Any = make(name).to(dtype)
    return wrap_model(network, Numbers(), Placement(torch.device("cpu"), dtype, "cpu"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_a_fit_model_says_what_a_token_takes(dtype: torch.dtype) -> None:
    fit = model(dtype=dtype)
    assert prepare_for_slots(fit) == 2 * 2 * 2 * 8 * dtype.itemsize, "keys and values, layers, key heads, size"
    assert fit.network.config._attn_implementation == ATTENTION_NAME
    assert prepare_for_slots(fit) > 0, "a second engine of the same model finds it so"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("mamba", "layers of linear_attention", id="state space"),
        pytest.param("bloom", "its attention cannot be replaced", id="no choice of attention"),
        pytest.param("gpt_oss", "attention with s_aux", id="sinks"),
    ],
)
def test_an_unfit_model_says_why_and_stays_as_it_was(name: str, reason: str) -> None:
    unfit = model(name)
    before = unfit.network.config._attn_implementation
    with pytest.raises(Unfit, match=reason):
        prepare_for_slots(unfit)
    assert unfit.network.config._attn_implementation == before


def test_a_model_that_counts_its_places_itself_is_found_out() -> None:
    """Its positions are those of the row, whatever it is told."""
    odd = model("gpt2")
    embedding = odd.network.transformer.wpe

    def misled(_module: object, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        return (torch.arange(inputs[0].shape[-1])[None],)

    embedding.register_forward_pre_hook(misled)
    with pytest.raises(Unfit, match="its logits in slots differ"):
        prepare_for_slots(odd)

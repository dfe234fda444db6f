"""Shows workers/engines/causal/probe.py: it detects models whose texts would be wrong in slots."""

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")
pytest.importorskip("transformers", reason="the extra `workers` is not installed")

import torch

from tests.workers.engines.causal.small_engines import random_model
from workers.engines.causal.probe import Unfit, prepare_for_slots
from workers.engines.causal.runtime.attention import ATTENTION_NAME


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_a_model_that_can_run_in_slots_gives_the_bytes_of_a_token(dtype: torch.dtype) -> None:
    fit = random_model(dtype=dtype)
    assert prepare_for_slots(fit) == 2 * 2 * 2 * 8 * dtype.itemsize, (
        "keys and values, layers, KV heads, size, bytes of a number"
    )
    assert fit.network.config._attn_implementation == ATTENTION_NAME
    assert prepare_for_slots(fit) > 0, "the same model can be prepared for a second engine"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("mamba", "layers of linear_attention", id="state space"),
        pytest.param("bloom", "its attention cannot be replaced", id="no choice of attention"),
        pytest.param("gpt_oss", "attention with s_aux", id="sinks"),
    ],
)
def test_an_unfit_model_names_the_reason_and_is_left_as_it_was(name: str, reason: str) -> None:
    unfit = random_model(name)
    before = unfit.network.config._attn_implementation
    with pytest.raises(Unfit, match=reason):
        prepare_for_slots(unfit)
    assert unfit.network.config._attn_implementation == before


def test_a_model_that_ignores_position_ids_is_detected() -> None:
    """This model takes the index of a token in the row for its position."""
    odd = random_model("gpt2")
    embedding = odd.network.transformer.wpe

    def by_row(_module: object, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        return (torch.arange(inputs[0].shape[-1])[None],)

    embedding.register_forward_pre_hook(by_row)
    with pytest.raises(Unfit, match="its logits in slots differ"):
        prepare_for_slots(odd)

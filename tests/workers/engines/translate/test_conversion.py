"""Shows workers/engines/translate/conversion.py: each family is converted soundly, and what cannot be has a reason."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.catalog import ModelCard
from tests.support.models import small_translators
from workers.engines.translate.conversion import FURTHEST, NOTES, Unconvertible, convert, why_not
from workers.engines.translate.loading import load_exact

pytest.importorskip("torch", reason="the extra `workers` is not installed")
ctranslate2 = pytest.importorskip("ctranslate2", reason="the extra `translate` is not installed")


def network_of(folder: Path) -> Any:
    return load_exact("small", folder, ModelCard())


@pytest.mark.parametrize("compute_type", sorted(FURTHEST))
@pytest.mark.parametrize("name", sorted(small_translators.MODELS))
def test_each_family_computes_what_its_network_does(
    name: str, compute_type: str, folder_of: Callable[[str], Path], tmp_path: Path
) -> None:
    """`convert` compares log probabilities itself, and raises if they are too far apart."""
    convert(network_of(folder_of(name)), tmp_path, compute_type, weight_bits=7)
    assert ctranslate2.contains_model(str(tmp_path))
    suppressed = json.loads((tmp_path / NOTES).read_text())["suppressed"]
    network = network_of(folder_of(name))
    assert suppressed == ([network.config.pad_token_id] if network.config.model_type == "marian" else [])


def scale_embeddings(network: Any) -> None:
    for module in network.modules():
        if hasattr(module, "embed_scale"):
            module.embed_scale = 5.0


def leave_outputs(network: Any) -> None:
    network.config.scale_decoder_outputs = False


def smooth(network: Any) -> None:
    network.config.activation_function = "gelu"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        pytest.param("marian", scale_embeddings, id="embeddings that are scaled"),
        pytest.param("t5", leave_outputs, id="outputs that are not scaled"),
        pytest.param("nllb", smooth, id="another activation"),
    ],
)
def test_a_conversion_that_computes_something_else_is_refused(
    name: str,
    change: Callable[[Any], None],
    folder_of: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The converter reads another config, after the network has given the log probabilities that are compared."""
    from workers.engines.translate import conversion

    spec_of = conversion._spec

    def wrong(network: Any) -> Any:
        change(network)
        return spec_of(network)

    monkeypatch.setattr(conversion, "_spec", wrong)
    with pytest.raises(Unconvertible, match="computes something else"):
        convert(network_of(folder_of(name)), tmp_path, "float32")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        pytest.param({"model_type": "nllb-moe"}, "no conversion for nllb-moe", id="experts"),
        pytest.param({"model_type": "bart"}, "no conversion for bart", id="no translator"),
        pytest.param({}, "no conversion for a model without model_type", id="no type"),
        pytest.param(
            {"model_type": "m2m_100", "quantization_config": {"bits": 8}}, "quantised already", id="quantised"
        ),
        pytest.param({"model_type": "marian", "static_position_embeddings": False}, "learnt positions", id="positions"),
        pytest.param({"model_type": "marian"}, None, id="marian"),
        pytest.param({"model_type": "t5", "feed_forward_proj": "gated-gelu"}, None, id="t5 of version 1.1"),
    ],
)
def test_what_cannot_be_converted_has_a_reason(config: dict[str, Any], reason: str | None) -> None:
    found = why_not(config)
    assert (found is None) if reason is None else (found is not None and reason in found)


def test_a_network_without_a_converter_is_refused(tmp_path: Path) -> None:
    from transformers import BartConfig, BartForConditionalGeneration

    sizes = dict.fromkeys(("encoder_layers", "decoder_layers", "encoder_attention_heads", "decoder_attention_heads"), 1)
    network = BartForConditionalGeneration(BartConfig(vocab_size=60, d_model=8, **sizes))
    with pytest.raises(Unconvertible, match="no conversion for BartConfig"):
        convert(network.eval(), tmp_path, "float32")


def test_a_gated_t5_with_an_output_of_its_own_is_converted(tmp_path: Path) -> None:
    """As T5 of version 1.1, mT5 and MADLAD: gated layers, and an output that is neither tied nor scaled."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    config = T5Config(
        vocab_size=60,
        d_model=16,
        d_kv=4,
        d_ff=24,
        num_layers=2,
        num_heads=4,
        decoder_start_token_id=0,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
    )
    network = T5ForConditionalGeneration(config).eval()
    network.lm_head.weight = torch.nn.Parameter(torch.randn(60, 16) * 0.2)
    convert(network, tmp_path, "float32")

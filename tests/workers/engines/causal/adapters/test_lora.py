"""Shows adapters/lora.py: the files of an adapter, its scale, and what is refused."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.workers.engines.architectures import make
from tests.workers.engines.causal.adapters.lora_files import LLAMA, lora_weights, write_lora
from workers.engines.adapter_files import revision_of
from workers.engines.causal.adapters.lora import AdapterUnusable, Lora, open_lora
from workers.engines.causal.adapters.targets import Targets


def opened(folder: Path, network: Any = None) -> Lora:
    return open_lora(folder, Targets(make("llama") if network is None else network).fits)


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        pytest.param({"lora_alpha": 16}, 16 / 4, id="alpha over rank"),
        pytest.param({"lora_alpha": 16, "use_rslora": True}, 16 / 2, id="rank-stabilised"),
        pytest.param({"lora_alpha": 4, "alpha_pattern": {"q_proj": 12}}, 3.0, id="an alpha of its own"),
        pytest.param({"lora_alpha": 4, "alpha_pattern": {"k_proj": 12}}, 1.0, id="an alpha of another layer"),
        pytest.param({"lora_alpha": 4, "alpha_pattern": {"proj": 12}}, 1.0, id="a part of a name is no match"),
        pytest.param({"lora_alpha": 4, "alpha_pattern": {"0.self_attn.q_proj": 8}}, 2.0, id="a longer path"),
        pytest.param({"lora_alpha": 4, "alpha_pattern": {r".*\.q_proj": 8}}, 2.0, id="a pattern"),
        pytest.param({"lora_alpha": 4, "r": 8, "rank_pattern": {"q_proj": 4}}, 1.0, id="a rank of its own"),
        pytest.param(
            {"lora_alpha": 4, "r": 8, "rank_pattern": {"q_proj": 4}, "use_rslora": True},
            2.0,
            id="both, rank-stabilised",
        ),
    ],
)
def test_the_scale_is_that_of_peft(tmp_path: Path, config: dict[str, Any], scale: float) -> None:
    weights = lora_weights(make("llama"), ("0.self_attn.q_proj",), 4)
    pairs = opened(write_lora(tmp_path, weights, **config)).pairs
    (path,) = pairs
    assert (path, pairs[path].rank) == ("model.layers.0.self_attn.q_proj", 4)
    assert pairs[path].scale == pytest.approx(scale)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        pytest.param({"use_dora": True}, "DoRA", id="DoRA"),
        pytest.param({"modules_to_save": ["lm_head"]}, "modules_to_save", id="whole layers"),
        pytest.param({"lora_bias": True}, "lora_bias", id="biases of its own"),
        pytest.param({"bias": "all"}, "biases of the model", id="biases of the model"),
        pytest.param({"trainable_token_indices": [3]}, "vectors of tokens", id="tokens"),
        pytest.param({"target_parameters": ["experts"]}, "no linear layers", id="parameters"),
        pytest.param({"init_lora_weights": "pissa_niter_4"}, "save it converted", id="PiSSA"),
        pytest.param({"peft_type": "IA3"}, "no LoRA, but of the type 'IA3'", id="another sort"),
        pytest.param({"r": 8}, "has rank 4, and its config says 8", id="another rank"),
        pytest.param({"lora_alpha": "x"}, "is no number", id="a text as alpha"),
        pytest.param({"lora_alpha": math.inf}, "is no number", id="an endless alpha"),
        pytest.param({"alpha_pattern": {"(": 3}}, "cannot be read", id="a broken pattern"),
    ],
)
def test_what_would_not_be_applied_exactly_is_refused(tmp_path: Path, config: dict[str, Any], says: str) -> None:
    folder = write_lora(tmp_path, lora_weights(make("llama"), LLAMA, 4), **config)
    with pytest.raises(AdapterUnusable) as refused:
        opened(folder)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("path", "a", "b", "says"),
    [
        pytest.param(
            "model.layers.0.self_attn.q_proj",
            (4, 16),
            (32, 4),
            "has 32 inputs and 32 outputs here, and 16",
            id="inputs",
        ),
        pytest.param("model.layers.0.self_attn.q_proj", (4, 32), (8, 4), "and 32 and 8 in the adapter", id="outputs"),
        pytest.param("model.layers.0.self_attn.q_proj", (4, 32), (32, 3), "which are no pair", id="ranks"),
        pytest.param("model.layers.9.self_attn.q_proj", (4, 32), (32, 4), "no linear layer", id="a layer too many"),
        pytest.param("lm_head", (4, 32), (60, 4), "makes the logits", id="the head"),
        pytest.param("model.layers.0.mlp.experts.3.up_proj", (4, 32), (48, 4), "an expert", id="an expert"),
        pytest.param("model.layers.0.input_layernorm", (4, 32), (32, 4), "no linear layer", id="a norm"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    tmp_path: Path, path: str, a: tuple[int, int], b: tuple[int, int], says: str
) -> None:
    with pytest.raises(AdapterUnusable) as refused:
        opened(write_lora(tmp_path, {path: (torch.zeros(a), torch.zeros(b))}))
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        pytest.param("adapter_config.json", None, "adapter_config.json is missing", id="no config"),
        pytest.param("adapter_config.json", b"{", "cannot be read", id="half a config"),
        pytest.param("adapter_config.json", b"[]", "not a JSON object", id="a list"),
        pytest.param("adapter_model.safetensors", None, "adapter_model.safetensors is missing", id="no weights"),
        pytest.param("adapter_model.safetensors", b"PK", "cannot be read", id="other weights"),
    ],
)
def test_files_that_are_missing_or_broken(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    folder = write_lora(tmp_path, lora_weights(make("llama"), LLAMA, 4))
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(AdapterUnusable) as refused:
        opened(folder)
    assert says in str(refused.value)


def test_weights_of_embeddings_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    folder = write_lora(tmp_path, lora_weights(make("llama"), LLAMA, 4))
    save_file(
        {"base_model.model.model.embed_tokens.lora_embedding_A": torch.zeros(4, 60)},
        folder / "adapter_model.safetensors",
    )
    with pytest.raises(AdapterUnusable, match="no pair of a linear layer, such as those of embeddings"):
        opened(folder)


def test_the_revision_follows_from_the_files(tmp_path: Path) -> None:
    weights = lora_weights(make("llama"), LLAMA, 4)
    same = [revision_of(write_lora(tmp_path / name, weights)) for name in "ab"]
    other = revision_of(write_lora(tmp_path / "c", lora_weights(make("llama"), LLAMA, 4, seed=1)))
    config = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    (tmp_path / "a" / "adapter_config.json").write_text(json.dumps({**config, "lora_alpha": 1}))
    found = [*same, other, revision_of(tmp_path / "a"), revision_of(tmp_path)]
    assert [found.index(one) for one in found] == [0, 0, 2, 3, 4]

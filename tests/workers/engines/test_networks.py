"""Shows workers/engines/networks.py: a model is refused if its files lack weights, or hold those of another network."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")
pytest.importorskip("transformers", reason="the extra `workers` is not installed")

import torch
import transformers
from safetensors.torch import load_file, save_file

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable
from tests.workers.engines.architectures import ARCHITECTURES, PADDED, make
from workers.engines.networks import load_network
from workers.engines.registry import make_engine

SMALL: dict[str, Any] = {"vocab_size": 53, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
LLAMA: dict[str, Any] = {
    **SMALL,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
BART: dict[str, Any] = {
    **SMALL,
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
}
T5: dict[str, Any] = {**SMALL, "d_model": 32, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
BERT: dict[str, Any] = {**LLAMA, "num_attention_heads": 2}

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """A folder with the files of a small model, to be changed."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def saved(folder: Path, class_name: str, config_class: str, **config: Any) -> Path:
    """Put another network, with random weights, into the folder."""
    (folder / "model.safetensors").unlink()
    getattr(transformers, class_name)(getattr(transformers, config_class)(**config)).save_pretrained(folder)
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(ModelUnavailable) as refused:
        make_engine("m", ModelCard(engine="causal", source=str(folder), device="cpu"), folder)
    return str(refused.value)


@pytest.mark.parametrize(
    ("class_name", "config_class", "config", "words"),
    [
        pytest.param("MarianMTModel", "MarianConfig", BART, "an encoder-decoder (MarianMTModel)", id="marian"),
        pytest.param("BartForConditionalGeneration", "BartConfig", BART, "an encoder-decoder (BartForCond", id="bart"),
        pytest.param("T5ForConditionalGeneration", "T5Config", T5, "an encoder-decoder (T5ForCond", id="t5"),
        pytest.param(
            "LlamaForSequenceClassification", "LlamaConfig", LLAMA, "a classifier (LlamaForSequenceCl", id="classifier"
        ),
        pytest.param(
            "LlamaForSequenceClassification",
            "LlamaConfig",
            {**LLAMA, "tie_word_embeddings": True},
            "another network (score.weight); it is a classifier (LlamaForSequenceCl",
            id="classifier that lacks nothing",
        ),
        pytest.param("LlamaForTokenClassification", "LlamaConfig", LLAMA, "a classifier (LlamaForTok", id="tagger"),
        pytest.param("BertForMaskedLM", "BertConfig", BERT, "fills gaps (BertForMaskedLM)", id="masked"),
        pytest.param("LlamaModel", "LlamaConfig", LLAMA, "would be random (lm_head.weight): fetch", id="base model"),
        pytest.param(
            "GPT2ForSequenceClassification",
            "GPT2Config",
            {**SMALL, "n_embd": 32, "n_layer": 1, "n_head": 2},
            "a classifier (GPT2",
            id="gpt2 classifier",
        ),
    ],
)
def test_another_kind_of_model_is_refused_by_name(
    class_name: str, config_class: str, config: dict[str, Any], words: str, folder: Path
) -> None:
    message = refusal(saved(folder, class_name, config_class, **config))
    assert message.startswith(f"model m cannot be loaded from {folder}: ")
    assert words in message
    assert ": choose" in message or "or choose" in message


def test_a_classifiers_message_names_what_is_missing(folder: Path) -> None:
    message = refusal(saved(folder, "LlamaForSequenceClassification", "LlamaConfig", **LLAMA))
    assert "its files lack weights, which would be random (lm_head.weight)" in message


def test_a_base_model_with_tied_embeddings_lacks_nothing(folder: Path) -> None:
    saved(folder, "LlamaModel", "LlamaConfig", **LLAMA, tie_word_embeddings=True)
    make_engine("m", ModelCard(source=str(folder), device="cpu"), folder).close()


def changed(folder: Path, change: Change) -> Path:
    """Change the weights in the folder."""
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(
            lambda weights: [weights.pop(name) for name in list(weights) if ".layers.1." in name],
            "would be random (model.layers.1.input_layernorm.weight, model.layers.1.mlp.down_proj.weight,"
            " model.layers.1.mlp.gate_proj.weight and 6 more)",
            id="a layer",
        ),
        pytest.param(lambda weights: weights.pop("model.norm.weight"), "random (model.norm.weight)", id="a norm"),
        pytest.param(
            lambda weights: weights.update({"model.norm.weight": torch.ones(5)}),
            "another shape (model.norm.weight [5] instead of [32])",
            id="a shape",
        ),
        pytest.param(
            lambda weights: weights.update({"model.layers.0.self_attn.q_proj.bias": torch.ones(32)}),
            "another network (model.layers.0.self_attn.q_proj.bias)",
            id="a bias that the network lacks",
        ),
        pytest.param(
            lambda weights: weights.update({"model.layers.2.mlp.up_proj.weight": torch.ones(64, 32)}),
            "another network (model.layers.2.mlp.up_proj.weight)",
            id="more layers than the config has",
        ),
    ],
)
def test_weights_that_are_missing_or_foreign_are_named(change: Change, words: str, folder: Path) -> None:
    assert words in refusal(changed(folder, change))


@pytest.mark.parametrize("name", ["model.layers.0.self_attn.rotary_emb.inv_freq", "model.layers.0.attn.masked_bias"])
def test_constants_of_older_files_are_passed_over(name: str, folder: Path) -> None:
    changed(folder, lambda weights: weights.update({name: torch.ones(4)}))
    make_engine("m", ModelCard(source=str(folder), device="cpu"), folder).close()


def test_layers_that_predict_further_tokens_are_passed_over(folder: Path) -> None:
    changed(folder, lambda weights: weights.update({"model.layers.2.mlp.up_proj.weight": torch.ones(64, 32)}))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_nextn_predict_layers": 1}))
    make_engine("m", ModelCard(source=str(folder), device="cpu"), folder).close()


@pytest.mark.parametrize("name", [*ARCHITECTURES, *PADDED])
def test_a_model_that_was_saved_whole_is_loaded(name: str, tmp_path: Path) -> None:
    network = make(name)
    network.save_pretrained(tmp_path)
    loaded = load_network(tmp_path, dtype=torch.float32)
    expected = network.state_dict()
    assert all(torch.equal(one, expected[key]) for key, one in loaded.state_dict().items())


def test_a_gguf_file_that_lacks_a_weight_is_not_converted(tiny_gguf: Path, tmp_path: Path) -> None:
    content = tiny_gguf.read_bytes()
    assert content.count(b"blk.0.ffn_up.weight") == 1
    tiny_gguf.write_bytes(content.replace(b"blk.0.ffn_up.weight", b"blk.0.ffn_up.unused"))
    card = ModelCard(source=str(tiny_gguf.parent), gguf_file=tiny_gguf.name, device="cpu")
    with pytest.raises(ModelUnavailable, match=r"cannot be converted into .*would be random \(.*up_proj"):
        make_engine("m", card, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.safetensors"))

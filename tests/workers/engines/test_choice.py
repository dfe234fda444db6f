"""Shows workers/engines/choice.py and the registry: the engine of a model whose card leaves it open, and why."""

import importlib.machinery
import importlib.util
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from jobs.catalog import EngineName, ModelCard
from workers.engines.choice import choose
from workers.engines.registry import identity, load
from workers.engines.vllm.environment import Environment
from workers.engines.vllm.version import MINOR


@pytest.fixture
def no_ctranslate2(monkeypatch: pytest.MonkeyPatch) -> None:
    """CTranslate2 is not installed."""
    found = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> importlib.machinery.ModuleSpec | None:
        return None if name == "ctranslate2" else found(name, package)

    monkeypatch.setattr("importlib.util.find_spec", find_spec)


@pytest.mark.usefixtures("no_ctranslate2")
@pytest.mark.parametrize(
    ("card", "config", "engine", "reason"),
    [
        pytest.param({}, {"model_type": "llama"}, "causal", "llama is decoder-only", id="decoder-only"),
        pytest.param({}, {}, "causal", "the model is decoder-only", id="no type"),
        pytest.param({}, None, "causal", "the weights are in a GGUF file", id="gguf"),
        pytest.param(
            {},
            {"model_type": "marian", "is_encoder_decoder": True},
            "seq2seq",
            "marian is an encoder-decoder model, and ctranslate2 is not installed: pip install 'nightpress[translate]'",
            id="encoder-decoder",
        ),
        pytest.param(
            {"engine": "causal"},
            {"model_type": "marian", "is_encoder_decoder": True},
            "causal",
            "the model's card names it",
            id="the card",
        ),
    ],
)
def test_the_engine_of_a_model(
    card: dict[str, Any], config: dict[str, Any] | None, engine: EngineName, reason: str, tmp_path: Path
) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
    found = choose(ModelCard(**card), None if config is None else tmp_path)
    assert (found.engine, found.reason) == (engine, reason)


@pytest.mark.parametrize(
    ("card", "engine", "reason"),
    [
        pytest.param({}, "vllm", "llama is decoder-only, and vLLM knows it", id="a GPU and an environment"),
        pytest.param({"device": "cpu"}, "causal", "llama is decoder-only", id="the card says cpu"),
        pytest.param({"num_gpus": 0}, "causal", "llama is decoder-only", id="no GPU for it"),
        pytest.param({"engine": "causal"}, "causal", "the model's card names it", id="the card says causal"),
    ],
)
def test_on_a_gpu_vllm_runs_what_it_knows(
    card: dict[str, Any], engine: EngineName, reason: str, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    fits = Environment(
        tiny_model, platform.python_version(), version("ray"), f"{MINOR}.0", frozenset({"LlamaForCausalLM"})
    )
    found = choose(ModelCard(**card), tiny_model, fits)
    assert (found.engine, found.reason) == (engine, reason)
    without = choose(ModelCard(), tiny_model)
    missing = "llama is decoder-only, and there is no environment for vLLM here: nightpress models env vllm"
    assert (without.engine, without.reason) == ("causal", missing)


@pytest.mark.usefixtures("no_ctranslate2")
def test_a_card_with_a_source_alone_runs(tiny_translator: Path, tiny_model: Path, tmp_path: Path) -> None:
    """The log says which engine was chosen and why, and receipts name it."""
    for folder, engine, kind in (
        (tiny_translator, "seq2seq", "marian is an enc"),
        (tiny_model, "causal", "llama is dec"),
    ):
        card = ModelCard(source=str(folder), dtype="float32", device="cpu")
        with capture_logs() as logs:
            loaded = load("m", card, tmp_path)
        loaded.engine.close()
        chosen = next(one for one in logs if one["event"] == "engine.chosen")
        assert (chosen["model"], chosen["engine"], chosen["reason"].startswith(kind)) == ("m", engine, True)
        assert loaded.name == engine
        assert loaded.identity == identity("m", card)
        assert loaded.identity["dtype"] == "float32"

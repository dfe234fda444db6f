"""Shows workers/engines/choice.py and the registry: the engine of a model whose card leaves it open, and why."""

import importlib.machinery
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from jobs.catalog import EngineName, ModelCard
from workers.engines.choice import choose
from workers.engines.registry import identity, load


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

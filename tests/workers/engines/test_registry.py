"""Shows workers/engines/registry.py: the engine that a card makes, and what cannot be loaded."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable
from workers.engines.registry import identity, make_engine
from workers.engines.scoring import ScoringEngine
from workers.engines.stub.engine import StubEngine

pytestmark = pytest.mark.usefixtures("no_hub")


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, workers.engines.registry; sys.exit(bool({'torch', 'transformers', 'huggingface_hub'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("card", "max_slots", "slots"),
    [
        pytest.param(ModelCard(engine="stub"), None, 64, id="the engine's own"),
        pytest.param(ModelCard(engine="stub", options={"slots": 5}), None, 5, id="the option"),
        pytest.param(ModelCard(engine="stub", slots=7), None, 7, id="the card"),
        pytest.param(ModelCard(engine="stub", slots=7), 3, 3, id="at most"),
        pytest.param(ModelCard(engine="stub", slots=7), 30, 7, id="no more than the card's"),
    ],
)
def test_slots(card: ModelCard, max_slots: int | None, slots: int, tmp_path: Path) -> None:
    engine = make_engine("stub", card, tmp_path, max_slots=max_slots)
    assert isinstance(engine, ScoringEngine)
    assert isinstance(engine.inner, StubEngine)
    assert engine.stats().slots == slots


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        pytest.param({"config.json": "{}"}, {}, "is not a JSON object|holds no weights", id="no weights"),
        pytest.param(
            {"config.json": '{"model_type": "llama"}', "model.safetensors": "x", "tokenizer.json": "{}"},
            {},
            "m cannot be loaded from",
            id="not a model",
        ),
        pytest.param({}, {}, "holds no config.json", id="empty folder"),
        pytest.param({}, {"thread": 1}, "does not know the option thread; it knows threads", id="option"),
    ],
)
def test_the_fault_of_a_model_that_cannot_be_loaded_is_named(
    files: dict[str, str], options: dict[str, int], message: str, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    card = ModelCard(engine="causal" if options else "auto", source=str(tmp_path), options=options, device="cpu")
    with pytest.raises(ModelUnavailable, match=message):
        make_engine("m", card, tmp_path)


@pytest.mark.parametrize(
    ("file", "size"),
    [
        pytest.param("model.safetensors", 100, id="weights cut off"),
        pytest.param("tokenizer.json", 50, id="tokenizer cut off"),
    ],
)
def test_a_file_that_was_cut_off_is_named(file: str, size: int, tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "copy")
    (tmp_path / "copy" / file).write_bytes((tiny_model / file).read_bytes()[:size])
    with pytest.raises(ModelUnavailable, match="m cannot be loaded from"):
        make_engine("m", ModelCard(source=str(tmp_path / "copy"), device="cpu"), tmp_path)


@pytest.mark.parametrize("engine", ["seq2seq", "translate"])
def test_a_translator_in_a_gguf_file_is_refused(engine: Literal["seq2seq", "translate"], tiny_gguf: Path) -> None:
    card = ModelCard(engine=engine, source=str(tiny_gguf.parent), gguf_file=tiny_gguf.name, device="cpu")
    with pytest.raises(ModelUnavailable, match=f"model small: the engine {engine} reads a folder of weights"):
        identity("small", card)

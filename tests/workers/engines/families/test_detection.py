"""Shows workers/engines/families/detection.py: the family of a model by the files of its folder."""

import json
from pathlib import Path

import pytest

from tests.support.models import small_translators
from workers.engines.families.detection import family_of, is_encoder_decoder, model_type_of


@pytest.mark.parametrize("name", small_translators.MODELS)
def test_the_family_of_a_saved_model(name: str, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra `workers` is not installed")
    folder = small_translators.make(name, tmp_path)
    assert family_of(folder) == small_translators.FAMILY_OF[name]
    assert is_encoder_decoder(folder)


@pytest.mark.parametrize(
    ("files", "family"),
    [
        pytest.param({"config.json": {"model_type": "marian"}}, "marian", id="marian"),
        pytest.param({"config.json": {"model_type": "m2m_100"}}, "m2m100", id="no other sign"),
        pytest.param(
            {"config.json": {"model_type": "m2m_100"}, "tokenizer_config.json": {"tokenizer_class": "NllbTokenizer"}},
            "nllb",
            id="class of the tokenizer",
        ),
        pytest.param(
            {"config.json": {"model_type": "m2m_100"}, "special_tokens_map.json": {"x": ["eng_Latn"]}},
            "nllb",
            id="token",
        ),
        pytest.param(
            {"config.json": {"model_type": "mbart", "tokenizer_class": "MBart50Tokenizer"}}, "mbart50", id="mbart50"
        ),
        pytest.param({"config.json": {"model_type": "mbart"}}, "mbart", id="mbart"),
        pytest.param({"config.json": {"model_type": "pegasus", "is_encoder_decoder": True}}, None, id="not for this"),
        pytest.param({"config.json": {"model_type": "llama"}}, None, id="decoder only"),
        pytest.param({"config.json": ["no object"]}, None, id="damaged"),
        pytest.param({}, None, id="no files"),
    ],
)
def test_the_family_by_few_files(files: dict[str, object], family: str | None, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    assert family_of(tmp_path) == family


def test_what_the_config_says(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    assert model_type_of(tmp_path) == "llama"
    assert not is_encoder_decoder(tmp_path)

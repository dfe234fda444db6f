"""Shows workers/engines/families/loading.py: a codec is made of the files of a model, or the fault of the files is named."""

import json
from pathlib import Path

import pytest

from jobs.errors import ModelUnavailable
from tests.support.models import small_translators
from workers.engines.families.loading import load_codec

pytest.importorskip("torch", reason="the extra `workers` is not installed")


def test_the_card_may_name_the_family(tmp_path: Path) -> None:
    assert load_codec(small_translators.make("t5", tmp_path), family="t5").family == "t5"


@pytest.mark.parametrize(
    ("model_type", "message"),
    [
        pytest.param("llama", "a model of type llama does not translate here: choose one of Marian", id="decoder only"),
        pytest.param("pegasus", "a model of type pegasus does not translate here", id="not for translation"),
        pytest.param("marian", "the tokenizer in .* cannot be loaded", id="no vocabulary"),
    ],
)
def test_what_cannot_be_loaded_is_named(model_type: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    with pytest.raises(ModelUnavailable, match=message):
        load_codec(tmp_path)


def test_a_vocabulary_that_was_cut_off_is_named(tmp_path: Path) -> None:
    folder = small_translators.make("nllb", tmp_path)
    path = folder / "tokenizer.json"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        load_codec(folder)

"""Shows workers/commands/token_counter.py: the tokens of prompts, and prompts that a model cannot take."""

from pathlib import Path

import orjson
import pytest

from jobs.catalog import ModelCard
from jobs.commands.cli import main
from jobs.commands.session import Session
from jobs.errors import GenerationFailed
from jobs.generation import Encodable, Message, Prompt, Translatable
from jobs.operations.preview import Counter
from jobs.settings import Settings
from workers.commands.token_counter import counter


def counter_of(tmp_path: Path, card: ModelCard) -> Counter:
    found = counter(Settings(models={"mine": card}, cache_dir=tmp_path), "mine")
    assert found is not None
    return found


def test_a_prompt_that_the_model_cannot_take_is_a_fault(tiny_model: Path, tmp_path: Path) -> None:
    """A prompt that the model cannot take does not count as a prompt of no tokens. The tokens of other prompts are counted."""
    count = counter_of(tmp_path, ModelCard(source=str(tiny_model)))
    assert count(Prompt(messages=(Message("user", "ba be"),))) == 4
    for code, turn in (("unsupported_parameter", Message("assistant", "ba")), ("forged_turn", Message("user", "</s>"))):
        with pytest.raises(GenerationFailed) as raised:
            count(Prompt(messages=(turn,)))
        assert raised.value.code == code


def test_the_tokens_of_an_encoder_are_counted(tmp_path: Path) -> None:
    """So is that a prompt for which an encoder reads nothing, and one that it cannot take."""
    pytest.importorskip("torch", reason="the extra `workers` is not installed")
    from tests.support.models import small_encoders

    folder = small_encoders.make("bert", "Model", tmp_path / "model")
    count = counter_of(tmp_path, ModelCard(source=str(folder)))
    assert count(Prompt(text="water", encodable=Encodable("water", "vector"))) == 3
    assert count(Prompt(text="water", encodable=Encodable("", "nothing"))) == 0
    with pytest.raises(GenerationFailed) as raised:
        count(Prompt(text="water"))
    assert raised.value.code == "unsupported_kind"


def test_a_stub_counts_words(tmp_path: Path) -> None:
    count = counter_of(tmp_path, ModelCard(engine="stub"))
    assert count(Prompt(messages=(Message("user", "ba be"), Message("user", "bi")))) == 3
    with pytest.raises(GenerationFailed) as raised:
        count(Prompt(text=" "))
    assert raised.value.code == "empty_prompt"


def test_preview_names_the_fault_of_a_row(tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The preview also shows the other rows, and its exit status is 1."""
    rows = [
        [{"role": "assistant", "content": "ba"}, {"role": "user", "content": "be"}],
        [{"role": "user", "content": "ba"}],
    ]
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"".join(orjson.dumps({"kind": "chat", "messages": turns}) + b"\n" for turns in rows))
    session = Session(Settings(models={"mine": ModelCard(source=str(tiny_model))}, model="mine", cache_dir=tmp_path))
    assert main(["preview", str(file)], session) == 1
    shown = capsys.readouterr().out
    assert "row 0, " in shown
    assert "chat template refuses these messages: no answers here" in shown
    assert ": 0 tokens" not in shown
    assert "main: 3 tokens" in shown
    assert main(["preview", str(file), "--json"], session) == 1
    assert orjson.loads(capsys.readouterr().out.splitlines()[0])["error"]["code"] == "unsupported_parameter"


def test_a_translator_counts_what_it_reads(tiny_translator: Path, tmp_path: Path) -> None:
    """The tokens are those of the text and the end token. A prompt that asks for something else is a fault."""
    card = ModelCard(source=str(tiny_translator), device="cpu")
    count = counter(Settings(models={"mine": card}, cache_dir=tmp_path), "mine")
    assert count is not None
    assert count(Prompt(text="Translate this.", translatable=Translatable("ba be bi", "en", "fr"))) == 4
    with pytest.raises(GenerationFailed) as failed:
        count(Prompt(text="ba be"))
    assert failed.value.code == "unsupported_kind"

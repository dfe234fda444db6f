"""Shows jobs/commands/preview.py and views/preview.py."""

from pathlib import Path

import orjson
import pytest

from jobs.commands.cli import main
from jobs.commands.session import Session
from jobs.settings import Settings


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Settings(store_url=str(tmp_path / "store"), model="stub"))


def test_the_first_prompts_with_their_tokens_and_nothing_stored(
    tmp_path: Path, session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("kind,topic,custom_id\narticle,Tea in spring,a-1\narticle,Coffee,\nchat,x,\n")
    assert main(["preview", str(file), "--limit", "2"], session) == 0
    out = capsys.readouterr().out
    assert out.startswith("row 0 (a-1): article by stub\n  outline: ")
    assert "Topic: Tea in spring" in out
    assert "row 2" not in out
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_preview_needs_no_storage_that_answers(
    tmp_path: Path, as_json: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Only what the translation memory knows is missing then, and that is said beside the rows."""
    file = tmp_path / "a.jsonl"
    row = {"kind": "translation", "text": "Save", "source_language": "en", "target_language": "de"}
    file.write_bytes(orjson.dumps(row))
    away = Session(Settings(store_url="nope://store", model="stub"))
    assert main(["preview", str(file), *as_json], away) == 0
    printed = capsys.readouterr()
    assert "Translate from English to German." in printed.out
    assert printed.err.startswith(
        "nightpress: the translation memory could not be asked, so rows are shown without it: "
    )


def test_columns_are_chosen_as_for_enqueue(
    tmp_path: Path, session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("Report\nTitle,Notes\nTea in spring,x\n")
    words = ["preview", str(file), "--kind", "article", "--json"]
    assert main([*words, "--map", "topic=Title", "--extra", "none"], session) == 0
    assert "Topic: Tea in spring" in capsys.readouterr().out
    assert main([*words, "--header", "topic,tone", "--header-row", "2"], session) == 0
    assert "Topic: Tea in spring" in capsys.readouterr().out
    assert main(words, session) == 2
    assert "Its columns are Title, Notes." in capsys.readouterr().err


def test_as_json_with_the_faults_of_rows(tmp_path: Path, session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"kind": "chat", "prompt": "one two three", "max_tokens": 7}\n{"kind": "chat"}\n')
    assert main(["preview", str(file), "--json"], session) == 1
    first, second = map(orjson.loads, capsys.readouterr().out.splitlines())
    (prompt,) = first["prompts"]
    assert (prompt["prompt_tokens"], prompt["exact"], prompt["max_tokens"]) == (3, True, 7)
    assert prompt["messages"] == [{"role": "user", "content": "one two three"}]
    assert (second["row"], second["error"]["code"], second["error"]["line"]) == (1, "missing_field", 2)


def test_tokens_of_a_model_without_its_tokenizer_are_marked_as_estimated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = {"source": str(tmp_path / "nowhere")}
    settings = Settings(store_url=str(tmp_path), models={"far": card}, model="far")
    file = tmp_path / "a.jsonl"
    file.write_text('{"kind": "completion", "prompt": "twelve bytes"}\n')
    assert main(["preview", str(file)], Session(settings)) == 0
    assert "main: about 3 tokens, at most 256 more\n    text:\n      twelve bytes\n" in capsys.readouterr().out

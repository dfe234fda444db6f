"""Shows jobs/commands/content/kinds.py: it shows the fields of a kind, and the example rows that it prints are accepted."""

from pathlib import Path

import jsonschema
import orjson
import pytest

from jobs.commands.cli import main
from jobs.commands.session import Session
from jobs.kinds.registry import load_kinds
from jobs.settings import Settings

KINDS = tuple(load_kinds())


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Settings(store_url=str(tmp_path / "store"), model="stub"))


def test_all_kinds_a_line_each(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kinds"], session) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == list(KINDS)
    assert all(line.endswith(".") for line in lines)


def test_one_kind_with_its_fields_output_checks_and_an_example(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kinds", "article"], session) == 0
    out = capsys.readouterr().out
    for part in (
        "  target_words: integer, 50 to 5000, default 400\n",
        "  topic: string of at most 2,000 characters, required\n    What the article is about.\n",
        "  body_markdown: string, required\n",
        "  doubled_word: review\n",
        '{"custom_id":"article-1","kind":"article","topic":"Growing tomatoes',
        "custom_id,kind,topic,",
    ):
        assert part in out


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_example_row_is_accepted_as_it_stands(
    kind: str, form: str, tmp_path: Path, session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kinds", kind, "--example", form], session) == 0
    file = tmp_path / f"night.{form}"
    file.write_text(capsys.readouterr().out)
    assert main(["preview", str(file), "--json"], session) == 0
    assert orjson.loads(capsys.readouterr().out)["kind"] == kind


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_takes_the_example_and_refuses_what_intake_refuses(
    kind: str, session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kinds", kind, "--example", "jsonl"], session) == 0
    row = orjson.loads(capsys.readouterr().out)
    assert main(["kinds", kind, "--schema"], session) == 0
    schema = orjson.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(row)
    assert not validator.is_valid({**row, "colour": "red"})
    assert not validator.is_valid({**row, "kind": "cat"})
    assert not validator.is_valid({**row, "temperature": 3})


def test_json_holds_all_of_it(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kinds", "--json"], session) == 0
    found = {one["kind"]: one for one in map(orjson.loads, capsys.readouterr().out.splitlines())}
    assert set(found) == set(KINDS)
    assert found["chat"]["example"]["kind"] == "chat"
    assert {"name": "text", "type": "string", "meaning": ""}.keys() == found["chat"]["output"][0].keys()
    assert "doubled_word" in {one["code"] for one in found["chat"]["checks"]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["artcle"], "there is no kind 'artcle': did you mean article?"),
        (["--schema"], "show one kind: name it"),
        (["article", "--schema", "--example", "csv"], "exclude each other"),
    ],
)
def test_a_mistake_is_named(
    words: list[str], message: str, session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kinds", *words], session) == 2
    assert message in capsys.readouterr().err

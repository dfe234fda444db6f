"""Shows jobs/commands/content/terms.py: a file of terms is checked, and the terms of a tenant are listed."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from jobs.commands.cli import main
from jobs.commands.session import Session
from jobs.settings import Settings

TABLE = "en,de,status\ninvoice,Rechnung|Faktura,\nmobile phone,Handy,forbidden\nlater,,\nAcme,,name\n"


def session_with(tmp_path: Path, **settings: Any) -> Session:
    return Session(Settings(store_url=str(tmp_path / "store"), model="stub", **settings))


def table(tmp_path: Path, text: str = TABLE) -> str:
    path = tmp_path / "terms.csv"
    path.write_text(text)
    return str(path)


def test_a_valid_file_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["terms", "check", table(tmp_path)], session_with(tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("terms.csv is valid (sha256 ")
    assert lines[1:] == [
        "  en to de: 1 term, 1 forbidden",
        "  1 name that stays as it is",
        "  1 line without a translation, which has no effect yet",
    ]
    assert main(["terms", "check", table(tmp_path), "--json"], session_with(tmp_path)) == 0
    told = orjson.loads(capsys.readouterr().out)
    assert told["pairs"] == [{"source_language": "en", "target_language": "de", "terms": 1, "forbidden": 1}]
    assert (told["do_not_translate"], told["untranslated"]) == (1, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "en,de\nbill,a\nbill,b\n",
            "terms.csv, line 3: 'bill' has the translation 'b', and in line 2 of",
        ),
        ("source,target\nbill,a\n", "line 2: the languages of the term are not known"),
        ("", "nightpress: terms.csv: it is empty"),
    ],
)
def test_a_file_that_is_not_valid_ends_with_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    assert main(["terms", "check", table(tmp_path, text)], session_with(tmp_path)) == 2
    assert message in capsys.readouterr().err


def test_the_languages_of_a_table_may_be_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = table(tmp_path, "source,target\nbill,a\n")
    options = ["--source-language", "en", "--target-language", "de"]
    assert main(["terms", "check", path, *options], session_with(tmp_path)) == 0
    assert "en to de: 1 term" in capsys.readouterr().out
    assert main(["terms", "check", path, "--source-language", "klingon"], session_with(tmp_path)) == 2
    assert "'klingon' of a glossary is not a language tag" in capsys.readouterr().err


def test_the_terms_of_a_tenant_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings: dict[str, Any] = {
        "terms": {"files": [table(tmp_path)]},
        "tenants": {"acme": {"terms": {"do_not_translate": ["invoice"]}}},
    }
    options = ["terms", "list", "--from", "en", "--to", "de"]
    assert main(options, session_with(tmp_path, **settings)) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "invoice: Rechnung or Faktura  (terms.csv, line 2)",
        "mobile phone: never Handy",
        "Acme stays as it is",
    ]
    assert "terms.csv (sha256 " in printed.err
    assert (
        main([*options, "--tenant", "acme", "--text", "An invoice", "--json"], session_with(tmp_path, **settings)) == 0
    )
    (one,) = map(orjson.loads, capsys.readouterr().out.splitlines())
    assert (one["term"], one["do_not_translate"]) == ("invoice", True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--from", "en", "--to", "klingon"], "--to klingon: it is not a language tag"),
        (["--from", "en", "--to", "de"], "the settings have no glossaries for this tenant: name files under [terms]"),
    ],
)
def test_a_wrong_question_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["terms", "list", *options], session_with(tmp_path)) == 2
    assert message in capsys.readouterr().err

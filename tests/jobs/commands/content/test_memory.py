"""Shows jobs/commands/content/memory.py, and where else the command line says what the memory has saved."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.command_line import Ran
from tests.support.outcomes import RECEIPT

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any

PO = 'msgid "Save"\nmsgstr "Sichern"\n\nmsgid "Save all"\nmsgstr "Alle sichern"\n'


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def catalogue(tmp_path: Path) -> str:
    (tmp_path / "de.po").write_text(PO, encoding="utf-8")
    return "de.po"


def test_a_memory_goes_in_and_out(nightpress: Callable[..., Ran], catalogue: str, tmp_path: Path) -> None:
    ran = nightpress("memory", "import", catalogue, "--source-language", "en", "--target-language", "de")
    assert (ran.status, ran.out) == (0, "")
    assert "2 entries taken" in ran.err
    ran = nightpress("memory", "export", "--to", "all.tmx")
    assert (ran.status, "2 entries written" in ran.err) == (0, True)
    assert nightpress("memory", "show", "Save").out.count("Sichern") == 1
    assert nightpress("memory", "import", "all.tmx", "--tenant", "other").status == 0
    (found, *_) = nightpress("memory", "show", "Save", "--json").json()
    assert {name: found[name] for name in ("target", "origin", "similarity")} == {
        "target": "Sichern",
        "origin": "editor",
        "similarity": 1.0,
    }
    ran = nightpress("memory", "forget", "Save", "--target-language", "de")
    assert "1 entry forgotten" in ran.err
    ran = nightpress("memory", "forget", "--all")
    assert (ran.status, "1 entry forgotten" in ran.err) == (0, True)
    ran = nightpress("memory", "show", "Save")
    assert (ran.status, ran.out, "nothing like this" in ran.err) == (0, "", True)


def test_tenants_have_memories_of_their_own(nightpress: Callable[..., Ran], catalogue: str) -> None:
    languages = ("--source-language", "en", "--target-language", "de")
    assert nightpress("memory", "import", catalogue, *languages, "--tenant", "acme").status == 0
    assert nightpress("memory", "show", "Save").out == ""
    assert "Sichern" in nightpress("memory", "show", "Save", "--tenant", "acme").out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        pytest.param(("import", "missing.tmx"), "missing.tmx", id="no file"),
        pytest.param(("import", "de.po"), "--source-language", id="no language"),
        pytest.param(("import", "de.po", "--tenant", "a/b"), "--tenant", id="no tenant"),
        pytest.param(("forget",), "--all", id="forget what"),
        pytest.param(("forget", "Save", "--all"), "--all", id="forget a text and all"),
        pytest.param(("forget", "Save", "--target-language", "!"), "--target-language", id="no tag"),
    ],
)
def test_what_is_wrong_is_said(
    nightpress: Callable[..., Ran], catalogue: str, args: tuple[str, ...], message: str
) -> None:
    ran = nightpress("memory", *args)
    assert (ran.status, ran.out) == (2, "")
    assert message in ran.err
    assert "Traceback" not in ran.err


def test_a_file_that_cannot_be_written_is_named(nightpress: Callable[..., Ran]) -> None:
    ran = nightpress("memory", "export", "--to", "-")
    assert (ran.status, ran.out) == (2, "")
    assert "name a file" in ran.err
    ran = nightpress("memory", "export", "--to", "missing/folder/all.tmx")
    assert ran.status == 5
    assert "all.tmx" in ran.err


def test_status_and_usage_say_what_the_memory_has_saved(nightpress: Callable[..., Ran], shelf: Shelf) -> None:
    answered = {"segments": 1_000, "known": 950, "prompt_tokens": 4_000, "completion_tokens": 3_000}
    shelf.accept(rows=3)
    receipt = {**RECEIPT, "memory": answered}
    shelf.write("night-1", [shelf.completed(row, receipt=receipt) for row in range(2)])
    shelf.write("night-1", [shelf.completed(2)])
    shelf.publish()
    assert "1,900 of 2,000 segments from the memory, which saved 14,000 tokens" in nightpress("status", "night-1").out
    twice = {name: 2 * count for name, count in answered.items()}
    (status,) = nightpress("status", "night-1", "--json").json()["batches"]
    assert status["memory"] == twice
    (sums,) = nightpress("usage", "--json").json()
    assert sums["memory"] == twice
    assert "1,900 of 2,000" in nightpress("usage").out
    (line,) = csv.DictReader(io.StringIO(nightpress("usage", "--format", "csv").out, newline=""))
    assert {name: int(line[f"memory_{name}"]) for name in answered} == twice

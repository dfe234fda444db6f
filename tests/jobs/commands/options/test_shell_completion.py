"""Shows jobs/commands/options/shell_completion.py: the names that a shell is offered. The tests ask as a shell asks."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.jobs.conftest import Shelf
else:
    Shelf = Any


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        pytest.param("nightpress sta", ["status"], id="a command"),
        pytest.param("nightpress failed r", ["retry"], id="a command of a group"),
        pytest.param("nightpress results ni", ["night-1", "night-2"], id="a batch"),
        pytest.param("nightpress show night-1 ", [], id="a row is a number"),
        pytest.param("nightpress pause s", ["smollm2-135m", "stub"], id="a lane"),
        pytest.param("nightpress resume n", ["night-1", "night-2"], id="a lane or a batch"),
        pytest.param("nightpress enqueue a.jsonl --model st", ["stub"], id="a model"),
        pytest.param("nightpress enqueue a.jsonl --kind so", ["social_post"], id="a kind"),
    ],
)
def test_a_shell_is_offered(words: str, offered: list[str], shelf: Shelf, tmp_path: Path) -> None:
    for name in ("night-1", "night-2"):
        shelf.accept(name)
    assert complete(words, tmp_path, NIGHTPRESS_STORE_URL=shelf.store.url) == offered


def test_a_setting_that_is_wrong_spoils_no_completion(tmp_path: Path) -> None:
    assert complete("nightpress results ", tmp_path, NIGHTPRESS_LEASE_S="soon") == []


def complete(words: str, folder: Path, **env: str) -> list[str]:
    given = {"_NIGHTPRESS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("nightpress"))],
        cwd=folder,
        env={**os.environ, **given, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split()

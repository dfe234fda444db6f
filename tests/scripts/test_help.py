"""Shows that each script prints how to call it. The scripts that users copy print it even if no package is installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = [path for path in sorted((ROOT / "scripts").rglob("*.py")) if "ArgumentParser(" in path.read_text()]
COPIED = [ROOT / "scripts/enqueue.py", *sorted((ROOT / "scripts/examples").glob("*.py"))]


def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_help_is_shown(tmp_path: Path, path: Path) -> None:
    ended = call(tmp_path, str(path), "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("usage: ")


@pytest.mark.parametrize("path", COPIED, ids=lambda path: path.name)
def test_a_script_to_be_copied_says_what_it_needs_where_nothing_is_installed(tmp_path: Path, path: Path) -> None:
    ended = call(tmp_path, "-I", "-S", str(path), "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("usage: ")
    ended = call(tmp_path, "-I", "-S", str(path), *("a", "b")[: 1 if path.name == "enqueue.py" else 2])
    assert (ended.returncode, ended.stderr.count("\n")) == (3, 1)
    assert "pip install" in ended.stderr

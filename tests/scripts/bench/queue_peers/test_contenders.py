"""Shows how `scripts/bench/queue_peers/contenders.py` installs systems. Nothing is downloaded."""

import subprocess
import venv
from pathlib import Path
from typing import Any

import pytest

from scripts.bench.queue_peers import contenders
from scripts.bench.queue_peers.contenders import Bench


class Pip:
    """A fake of venv and pip. If `fails`, pip fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails = False
        self.made: list[Path] = []
        self.installed: list[str] = []
        monkeypatch.setattr(venv, "create", self._create)
        monkeypatch.setattr(subprocess, "run", self._run)

    def _create(self, folder: Path, *, with_pip: bool, clear: bool) -> None:
        assert with_pip
        assert clear
        self.made.append(folder)
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        (folder / "bin" / "python").touch()

    def _run(self, command: list[str], **_: Any) -> None:
        if self.fails:
            raise subprocess.CalledProcessError(1, command)
        self.installed += command


def test_an_environment_is_made_once_and_again_if_it_is_not_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip, bench = Pip(monkeypatch), Bench("redis://127.0.0.1:1/0", tmp_path, tmp_path / "cache", 1, 1)
    pip.fails = True
    with pytest.raises(SystemExit, match="cannot install huey: "):
        bench.install("huey")
    assert Path(bench.python("huey")).exists()  # the environment is half made
    pip.fails = False
    for _ in range(3):
        bench.install("huey")
    assert (len(pip.made), pip.installed.count("huey")) == (2, 1)
    Path(bench.python("huey")).unlink()
    bench.install("huey")
    monkeypatch.setitem(contenders.PACKAGES, "huey", ("huey==2.6.0",))
    bench.install("huey")
    bench.install("huey")
    assert (len(pip.made), pip.installed.count("huey==2.6.0")) == (4, 1)

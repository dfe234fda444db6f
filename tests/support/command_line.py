"""Runs the command line under test in a new process, and holds the result of a call."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

ROOT: Final = Path(__file__).parents[2]

MAIN: Final = "import sys; from jobs.commands.cli import main; sys.exit(main())"
"""The program `nightpress`, for `python -c`."""


@dataclass(frozen=True)
class Ran:
    """The exit status and the output of a call."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        return orjson.loads(self.out)

    def rows(self) -> list[Any]:
        return [orjson.loads(line) for line in self.out.splitlines()]


def command(*args: str, cwd: Path, stdin: str | None = None, **env: str) -> Ran:
    """Run a command in a new process."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTPRESS_")}
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *args],
        cwd=cwd,
        env={**environment, "PYTHONPATH": str(ROOT), **env},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)

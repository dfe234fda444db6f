"""Fixtures that run whole commands as processes, in a folder of their own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NIGHTPRESS = str(Path(sys.executable).with_name("nightpress"))


@dataclass
class Shell:
    """Runs commands in `folder` with settings in the environment. At the end, commands that still run are killed."""

    folder: Path
    env: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def run(self, *args: str, stdin: str | None = None, timeout_s: float = 240.0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [NIGHTPRESS, *args],
            cwd=self.folder,
            env=self.env,
            input=stdin,
            text=True,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )

    def start(self, *args: str) -> subprocess.Popen[str]:
        log = (self.folder / f"{args[0]}-{len(self.started)}.log").open("w")
        with log:
            process = subprocess.Popen(
                [NIGHTPRESS, *args],
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def logs(self) -> str:
        return "\n".join(f"== {p.name}\n{p.read_text()[-200_000:]}" for p in sorted(self.folder.glob("*.log")))

    def rows(self, rows: list[dict[str, Any]], name: str = "rows.jsonl") -> Path:
        path = self.folder / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """Commands with short leases and flushes and no other settings. `run` starts its own Redis."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NIGHTPRESS_", "RAY_"))}
    work = tmp_path / "work"
    work.mkdir()
    env = {**kept, "HF_HUB_OFFLINE": "1", "NIGHTPRESS_LEASE_S": "2", "NIGHTPRESS_FLUSH_S": "0.2", "NO_COLOR": "1"}
    shell = Shell(work, env)
    yield shell
    shell.close()


@pytest.fixture
def cluster_shell(shell: Shell, redis_url: str) -> Shell:
    """Commands that share one Redis, each with its own Ray."""
    shell.env |= {"NIGHTPRESS_REDIS_URL": redis_url, "NIGHTPRESS_RAY_ADDRESS": "local"}
    return shell

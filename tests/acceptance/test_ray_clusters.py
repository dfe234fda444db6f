"""Shows which Ray clusters commands join. Clusters of two nodes are started as docs/deployment.md says, with and without a
token.
"""

import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import free_port

pytestmark = [pytest.mark.ray, pytest.mark.timeout(280)]
BIN = Path(sys.executable).parent
SAID_S = 5.0
"""A wrong address or token is reported within this many seconds, not counting the start of Python and its imports."""
STARTS_S = 25.0
"""The start of Python and its imports may take this many seconds on a busy machine."""


@dataclass
class Home:
    """A user's home, and the Ray that is started from it."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def ray(self, words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run(["ray", *words.split()], **env)

    def doctor(self, address: str, **env: str) -> tuple[bool, str]:
        """The doctor's check of Ray: whether Ray is well, and the detail with the remedy."""
        done = self.run(["nightpress", "doctor", "--json"], NIGHTPRESS_RAY_ADDRESS=address, **env)
        (check,) = [check for check in map(json.loads, done.stdout.splitlines()) if check["name"] == "ray"]
        return check["ok"], f"{check['detail']} | {check['remedy']}"

    def run(self, words: list[str], **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / words[0]), *words[1:]],
            env={**self.env, **env},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture
def home(shell: Any) -> Iterator[Home]:
    """An empty home, with a short path, as Ray's sockets need it. Every Ray that was started from the home is ended."""
    folder = Path(tempfile.mkdtemp(prefix="np"))
    env = {**shell.env, "HOME": str(folder), "RAY_TMPDIR": str(folder), "NIGHTPRESS_MODEL": "stub"}
    yield Home(folder, {name: value for name, value in env.items() if not name.startswith("RAY_AUTH")})
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in word for word in process.info["cmdline"] or ()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    shutil.rmtree(folder, ignore_errors=True)


def start(home: Home, words: str, **env: str) -> str:
    """Start a node, and return the address of its cluster."""
    done = home.ray(f"{words} --num-cpus=1 --disable-usage-stats", **env)
    assert done.returncode == 0, done.stdout + done.stderr
    return "".join(re.findall(r"ray start --address='([^']+)'", done.stdout))


def test_a_cluster_with_a_token_is_joined_and_refuses_all_who_lack_it(
    home: Home, tmp_path: Path, until: Callable[..., Any]
) -> None:
    assert home.ray("get-auth-token --generate").returncode == 0
    home.env["RAY_AUTH_MODE"] = "token"
    address = start(home, f"start --head --port={free_port()} --include-dashboard=false")
    start(home, f"start --address={address}")
    until(lambda: home.ray(f"status --address={address}").stdout.count("1 node_") == 2, 60, "both nodes")
    ok, said = home.doctor(address)
    assert ok, said
    assert f"joined {address}: 2 nodes, 2 CPU, 0 GPU" in said
    assert home.doctor("auto") == (True, said), "what `ray start` has started is found"

    stranger = {"HOME": str(tmp_path)}
    for env, reason, remedy in (
        (stranger, "no token for the Ray cluster", "Copy ~/.ray/auth_token from its head"),
        ({"RAY_AUTH_TOKEN": "b" * 64}, "refuses our token", "Copy ~/.ray/auth_token from its head"),
        ({"RAY_AUTH_MODE": "disabled"}, "asks for a token, and RAY_AUTH_MODE is disabled", "Copy"),
    ):
        began = time.monotonic()
        ok, said = home.doctor(address, **env)
        assert not ok
        assert reason in said.partition(" | ")[0]
        assert remedy in said
        assert time.monotonic() - began < SAID_S + STARTS_S
    began = time.monotonic()
    refused = home.run(["nightpress", "work"], NIGHTPRESS_RAY_ADDRESS=address, **stranger)
    assert refused.returncode == 3
    assert "no token for the Ray cluster" in json.loads(refused.stderr.splitlines()[-1])["error"]
    assert time.monotonic() - began < SAID_S + STARTS_S


def test_a_cluster_that_lets_strangers_in_is_not_joined(home: Home) -> None:
    """In a fresh home there is no token, and Ray starts without a token. Commands join this cluster only with
    RAY_AUTH_MODE=disabled.
    """
    address = start(home, f"start --head --port={free_port()} --include-dashboard=false")
    ok, said = home.doctor(address)
    assert not ok
    assert "no token for the Ray cluster" in said
    ok, said = home.doctor(address, RAY_AUTH_TOKEN="c" * 64)
    assert not ok
    assert "takes everyone in without a token" in said
    assert "RAY_AUTH_MODE=token ray start --head" in said
    ok, said = home.doctor(address, RAY_AUTH_MODE="disabled")
    assert ok, said


def test_what_is_no_control_store_is_said_at_once(home: Home, until: Any) -> None:
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: psutil.Process(server.pid).net_connections(), 20, "the server")
        began = time.monotonic()
        ok, said = home.doctor(f"127.0.0.1:{port}", RAY_AUTH_TOKEN="d" * 64)
    finally:
        server.kill()
        server.wait()
    assert not ok
    assert "does not answer as Ray's control store" in said
    assert time.monotonic() - began < SAID_S + STARTS_S


@pytest.mark.faults
def test_the_ray_of_a_run_is_found_by_nobody_and_lets_nobody_in(shell: Any, home: Home, until: Any) -> None:
    (shell.folder / "nightpress.toml").write_text(
        '[models.stub]\nengine = "stub"\noptions = { step_s = 0.5, slots = 1 }\n'
    )
    shell.rows([{"kind": "chat", "model": "stub", "prompt": f"Say {n}."} for n in range(50)])
    shell.env |= home.env
    process = shell.start("run", "rows.jsonl", "--workers", "1")
    until(lambda: list(shell.folder.glob(".nightpress/store/batches/*/segments/*")), 120, "a row")
    (control,) = [one for one in psutil.Process(process.pid).children(recursive=True) if one.name() == "gcs_server"]
    (port,) = [word.partition("=")[2] for word in control.cmdline() if word.startswith("--gcs_server_port=")]
    if port == "0":
        port = str(min(one.laddr.port for one in control.net_connections() if one.status == "LISTEN"))
    ok, said = home.doctor("auto")
    assert not ok
    assert "no Ray cluster runs on this machine" in said
    assert not (home.folder / ".ray").exists(), "it leaves no token that later commands would trip over"
    ok, said = home.doctor(f"127.0.0.1:{port}", RAY_AUTH_TOKEN="e" * 64)
    assert not ok
    assert "refuses our token" in said
    assert process.poll() is None

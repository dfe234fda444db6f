"""Tests the deployment files beyond their schemas: their settings exist, and the files that they copy exist."""

import os
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from jobs.settings import Settings
from workers.fleet.embedded_redis import binary

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"


OTHERS = ["HEAD_PAUSE"]
"""Variables of the script `nightpress-head` itself."""


def texts() -> list[str]:
    return [path.read_text() for path in sorted(DEPLOY.rglob("*")) if path.is_file()]


def test_every_setting_that_is_set_exists() -> None:
    named = {name for text in texts() for name in re.findall(r"\bNIGHTPRESS_([A-Z_]+)", text)}
    assert {"REDIS_URL", "STORE_URL"} <= named
    assert sorted(name for name in named if name.lower().partition("__")[0] not in Settings.model_fields) == OTHERS


def test_image_copies_only_existing_files_that_are_let_through() -> None:
    """A file that is copied but not let through by the dockerignore file fails the build, which no linter sees."""
    allowed = {
        line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")
    }
    copied = [
        name
        for line in re.findall(r"^COPY (?!--from)(.+)$", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
        for name in line.split()[:-1]
    ]
    assert set(copied) == allowed
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_image_has_the_pinned_torch() -> None:
    [pinned] = re.findall(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)
    assert {version for text in texts() for version in re.findall(r"torch==([0-9.]+)\+", text)} == {pinned}


def test_every_file_names_this_release_and_the_ray_that_was_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    [ray] = re.findall(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)
    named = {version for text in texts() for version in re.findall(r"(?:nightpress:|newTag: )(0[0-9.]+[0-9])", text)}
    assert named == {project}
    assert yaml.safe_load((DEPLOY / "kubernetes/base/cluster.yaml").read_text())["spec"]["rayVersion"] == ray


def test_redis_of_the_compose_file_evicts_nothing_and_keeps_nothing() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    command = " ".join(compose["services"]["redis"]["command"])
    assert "--maxmemory-policy noeviction" in command
    assert "--appendonly no" in command
    grace = int(compose["services"]["fleet"]["stop_grace_period"].removesuffix("s"))
    assert grace > Settings.model_fields["drain_s"].default + 10


def in_shell(command: str, secret: Path, *, server: str) -> str:
    """Return a command of the compose file as its container runs it, but with another folder for the secret and another host."""
    return command.replace("$$", "$").replace("/secret/", f"{secret}/").replace("redis:6379", server)


def test_redis_of_the_compose_file_lets_in_only_those_who_read_its_password(
    tmp_path: Path, until: Callable[..., Any]
) -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    path = tmp_path / "redis.sock"
    for program in ("docker-entrypoint.sh", "chown", "nightpress"):
        (tmp_path / program).write_text('#!/bin/sh\necho "$NIGHTPRESS_REDIS_URL $@"\n')
        (tmp_path / program).chmod(0o755)
    # a fake of the program with which the image changes the user; it starts the server with a socket in place of a port
    (tmp_path / "docker-entrypoint.sh").write_text(
        f'#!/bin/sh\nshift\nexec {" ".join(binary())} "$@" --port 0 --unixsocket {path} --dir {tmp_path}\n'
    )
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    (command,) = services["redis"]["command"]
    start = [*services["redis"]["entrypoint"], in_shell(command, tmp_path, server="unused")]

    for _ in range(2):  # a second start keeps the password
        with subprocess.Popen(start, env=environment, stdout=subprocess.DEVNULL) as process:
            until(path.exists, 20, "the server")
            password = (tmp_path / "redis").read_text()
            with pytest.raises(redis.exceptions.AuthenticationError):
                redis.Redis(unix_socket_path=str(path)).flushall()
            assert redis.Redis(unix_socket_path=str(path), password=password).ping()
            assert password not in Path(f"/proc/{process.pid}/cmdline").read_text()
            process.kill()
        path.unlink()
    assert re.fullmatch("[0-9a-f]{64}", password)
    assert (tmp_path / "redis").stat().st_mode & 0o777 == 0o600

    *shell, script, name = services["submit"]["entrypoint"]
    words = [*shell, in_shell(script, tmp_path, server="host:1"), name, "enqueue", "a b"]
    shown = subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=20).stdout
    assert shown == f"redis://:{password}@host:1/0 enqueue a b\n"
    assert services["submit"]["entrypoint"][-2].split("exec")[0].strip() in services["fleet"]["command"][0]


def test_the_head_of_the_compose_file_asks_for_a_token() -> None:
    head = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["fleet"]
    assert head["environment"]["RAY_AUTH_MODE"] == "token", "for `ray start`, the fleet and the healthcheck"
    (command,) = head["command"]
    assert (
        command.index("umask 077") < command.index("ray get-auth-token --generate") < command.index("nightpress-head")
    )

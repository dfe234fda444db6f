"""Tests the deployment files beyond their schemas: their settings exist, and the files that they copy exist."""

import os
import re
import shlex
import subprocess
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


def cluster() -> Any:
    return yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text())


def test_every_setting_that_is_set_exists() -> None:
    files = [path for path in DEPLOY.iterdir() if path.is_file()]
    named = {name for path in files for name in re.findall(r"\bNIGHTPRESS_([A-Z_]+)", path.read_text())}
    assert {"REDIS_URL", "STORE_URL"} <= named
    assert sorted(name for name in named if name.lower() not in Settings.model_fields) == []


def test_image_copies_only_existing_files_that_are_let_through() -> None:
    """A file that is copied but not let through by the dockerignore file fails the build, which no linter sees."""
    allowed = {
        line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")
    }
    copied = [
        name
        for line in re.findall(r"^COPY (.+)$", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
        for name in line.split()[:-1]
    ]
    assert set(copied) == allowed
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_image_has_the_pinned_torch() -> None:
    [pinned] = re.findall(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)
    built = re.findall(r"torch==([0-9.]+)\+", (DEPLOY / "Dockerfile").read_text())
    assert set(built) == {pinned}


def test_redis_of_the_compose_file_evicts_nothing_and_keeps_nothing() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    command = " ".join(compose["services"]["redis"]["command"])
    assert "--maxmemory-policy noeviction" in command
    assert "--appendonly no" in command
    grace = int(compose["services"]["ray-head"]["stop_grace_period"].removesuffix("s"))
    assert grace > Settings.model_fields["drain_s"].default


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
    assert services["submit"]["entrypoint"][-2].split("exec")[0].strip() in services["ray-head"]["command"][0]


def test_every_ray_that_is_started_asks_for_a_token() -> None:
    for name in ("head", "worker"):
        (start,) = [line for line in cluster()[f"{name}_start_ray_commands"] if "ray start" in line]
        assert start.startswith("RAY_AUTH_MODE=token ")
    assert cluster()["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    head = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["ray-head"]
    assert head["environment"]["RAY_AUTH_MODE"] == "token", "for `ray start`, the fleet and the healthcheck"
    (command,) = head["command"]
    assert (
        command.index("umask 077") < command.index("ray get-auth-token --generate") < command.index("ray start --head")
    )


def test_ray_takes_the_cluster_file() -> None:
    """Ray's own functions read the file: they fill in its node types, and refuse fields that its provider lacks."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    ready = prepare_config(cluster())
    validate_config(ready)
    assert ready["max_workers"] == len(ready["provider"]["worker_ips"])


@pytest.mark.parametrize("times", [pytest.param(1, id="a new node"), pytest.param(2, id="a node that is set up again")])
def test_setup_commands_make_a_node(tmp_path: Path, times: int) -> None:
    """Each command runs in its own shell, as Ray runs it; python3 and pip are stand-ins that record their calls."""
    home = tmp_path / "home"
    (home / "nightpress").mkdir(parents=True)
    (home / ".bashrc").touch()
    (home / ".ray").mkdir()
    (home / ".ray/auth_token").write_text("t")  # Ray has copied the token here before
    note = f'#!/bin/sh\necho "$(basename "$0") $* in $PWD" >> {shlex.quote(str(tmp_path))}/calls\n'
    for program in (tmp_path / "bin" / "python3", home / "venv" / "bin" / "pip"):
        program.parent.mkdir(parents=True)
        program.write_text(note)
        program.chmod(0o755)
    env = {"HOME": str(home), "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}

    for command in cluster()["setup_commands"] * times:
        in_shell = f"source ~/.bashrc; export PYTHONWARNINGS=ignore && ({command})"
        subprocess.run(["bash", "-c", in_shell], env=env, cwd=home, check=True, timeout=20)

    calls = (tmp_path / "calls").read_text().splitlines()
    assert (
        calls
        == [
            f"python3 -m venv {home}/venv in {home}",
            f"pip install -c constraints.txt .[workers,s3] in {home}/nightpress",
        ]
        * times
    )
    shown = subprocess.run(
        ["bash", "-c", "source ~/.bashrc; echo $NIGHTPRESS_RAY_ADDRESS; echo $RAY_AUTH_MODE; command -v pip"],
        env=env,
        text=True,
        capture_output=True,
        check=True,
        timeout=20,
    )
    assert shown.stdout.splitlines() == ["auto", "token", f"{home}/venv/bin/pip"]
    assert (home / ".ray/auth_token").stat().st_mode & 0o777 == 0o600
    assert (home / ".bashrc").read_text().count("nightpress.env") == 1

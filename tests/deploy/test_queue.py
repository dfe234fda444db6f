"""Shows the Redis of deploy/kubernetes: its settings and its users, by the commands of the page, on a real server with TLS."""

import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from jobs.lanes.redis_queue import RedisQueue
from jobs.settings import Settings
from jobs.store.opening import open_store

ROOT = Path(__file__).parents[2]
BASE = ROOT / "deploy/kubernetes/base"


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def rights() -> str:
    """The rights of the user, as docs/deployment.md lists them."""
    found = re.search(
        r"^ACL SETUSER nightpress on >PASSWORD resetkeys ~np:2:\* (.*?)^```", page("deployment.md"), re.M | re.S
    )
    assert found
    return " ".join(found[1].split())


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A folder with what the commands of docs/deployment/kubernetes.md make, up to the first command of kubectl."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    [block] = re.findall(r"^```text\n(umask 077; .*?)\nkubectl create", page("deployment/kubernetes.md"), re.M | re.S)
    block = block.replace("RIGHTS", rights()).replace("DNS:queue", "DNS:queue,DNS:localhost")
    script = f'set -e\n{block}\nprintf %s "$password" > password\n'
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    return tmp_path


@pytest.fixture
def port(secrets: Path, until: Callable[..., Any]) -> Iterator[int]:
    """The port of a server with the settings of the config map, where only paths, address and port are others."""
    server = shutil.which("redis-server") or shutil.which("valkey-server")
    if server is None:
        pytest.skip("redis-server is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = int(probe.getsockname()[1])
    text = yaml.safe_load((BASE / "queue-settings.yaml").read_text())["data"]["valkey.conf"]
    changed = {"bind 0.0.0.0 ::": "bind 127.0.0.1", "tls-port 6379": f"tls-port {free}", "dir /tmp": f"dir {secrets}"}
    changed |= {"/tls/": f"{secrets}/", "/users/": f"{secrets}/"}
    for old, new in changed.items():
        assert old in text
        text = text.replace(old, new)
    (secrets / "valkey.conf").write_text(text)
    with subprocess.Popen([server, "valkey.conf"], cwd=secrets, stdout=subprocess.DEVNULL) as process:

        def answers() -> bool:
            assert process.poll() is None, "the server has refused its settings"
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", free)) == 0

        try:
            until(answers, 20, "the server")
            yield free
        finally:
            process.kill()


def as_user(secrets: Path, port: int, name: str, password: str) -> "redis.Redis":
    ca = str(secrets / "ca.crt")
    return redis.Redis(port=port, ssl=True, ssl_ca_certs=ca, ssl_check_hostname=False, username=name, password=password)


def test_the_users_may_do_what_they_need_and_nothing_else(secrets: Path, port: int, tmp_path: Path) -> None:
    password = (secrets / "password").read_text()
    health, ours = as_user(secrets, port, "health", "health"), as_user(secrets, port, "nightpress", password)
    assert health.ping()
    for act in (
        health.info,
        ours.flushall,
        lambda: ours.set("np:2:x", "1"),
        lambda: ours.keys("*"),
    ):
        with pytest.raises(redis.exceptions.NoPermissionError):
            act()
    with pytest.raises(redis.exceptions.AuthenticationError):
        as_user(secrets, port, "nightpress", "guessed").ping()
    with pytest.raises(redis.exceptions.ConnectionError):
        redis.Redis(port=port).ping()  # without TLS
    health.close()
    ours.close()

    settings = Settings(
        redis_url=f"rediss://nightpress:{password}@localhost:{port}/0",
        redis_ca=secrets / "ca.crt",
        store_url=str(tmp_path / "store"),
    )
    queue = RedisQueue.from_settings(settings, open_store(settings.store_url))
    queue.check()
    queue.check_wakes()
    assert queue.ping()
    queue.close()


def test_the_certificate_is_that_of_the_service(secrets: Path) -> None:
    command = ["openssl", "x509", "-in", "tls.crt", "-noout", "-ext", "subjectAltName"]
    shown = subprocess.run(command, cwd=secrets, capture_output=True, text=True, check=True).stdout
    service = yaml.safe_load((BASE / "queue-service.yaml").read_text())["metadata"]["name"]
    assert f"DNS:{service}" in shown
    assert {path.stat().st_mode & 0o077 for path in secrets.glob("*.key")} == {0}
    assert (secrets / "users.acl").stat().st_size > 100

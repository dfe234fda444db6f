"""Tests that the password in NIGHTPRESS_REDIS_URL appears nowhere else: in no log, no output, and no list of processes.

The tests look at *every* process of this machine, because the password is unique to each test.
"""

import contextlib
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import redis

from tests.faults.premises import LANE, ROWS, Premises
from tests.faults.reports import START_S

if TYPE_CHECKING:
    from tests.conftest import Server

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

WORKER = f"""
from jobs.settings import load
from workers.worker.worker import Worker, WorkerPlan
settings = load()
Worker(WorkerPlan("w0", "{LANE}", settings.redis_url.get_secret_value(), settings)).run()
"""


@pytest.fixture
def secret() -> str:
    return f"s3cret{uuid.uuid4().hex}"


@pytest.fixture
def night(make_night: Callable[..., Premises], redis_server: "Server", secret: str) -> Premises:
    """Premises over a server that requires the password, with logs at the level debug."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.config_set("requirepass", secret)
    server = SimpleNamespace(url=redis_server.url.replace("redis://", f"redis://:{secret}@"))
    made = make_night(server, stub={"step_s": 0.02}, more={"log_level": "debug"})
    made.env["NIGHTPRESS_REDIS_URL"] = server.url
    return made


def output_of(night: Premises, *words: str, status: int = 0) -> str:
    """Everything that a command prints."""
    ran = night.command(*words)
    assert ran.returncode == status, ran.stderr
    return ran.stdout + ran.stderr


def places_with(secret: str, folder: Path) -> list[str]:
    """The processes whose command lines hold the password, and the logs of a folder that hold it."""
    logs = (path for path in folder.rglob("*") if path.suffix in {".log", ".out", ".err"})
    found = []
    for path in (*Path("/proc").glob("[0-9]*/cmdline"), *logs):
        with contextlib.suppress(OSError):  # the process has ended
            if secret.encode() in path.read_bytes():
                found.append(str(path))
    return found


def test_no_command_and_no_worker_shows_the_password(night: Premises, redis_server: "Server", secret: str) -> None:
    """The commands run while the server is there, when it goes away, and with a wrong password."""
    batch_id = night.submit()
    worker = night.run_code(WORKER)
    night.at_least(batch_id, ROWS // 8)
    assert places_with(secret, night.folder) == []
    printed = output_of(night, "status") + output_of(night, "settings") + output_of(night, "pause", LANE)
    redis_server.kill()
    night.wait_for_log("queue.unavailable")
    printed += output_of(night, "status", "--json") + output_of(night, "pause", LANE, status=3)
    assert worker.poll() is None
    redis_server.start()
    with redis.Redis.from_url(redis_server.url) as client:
        client.config_set("requirepass", "another")
    printed += output_of(night, "resume", LANE, status=3)
    assert "refuses the password" in printed
    assert secret not in printed
    assert places_with(secret, night.folder) == []


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """A folder for Ray's logs and sockets. The path of a socket must be short."""
    with tempfile.TemporaryDirectory(prefix="np-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.mark.ray
def test_no_fleet_shows_the_password(night: Premises, ray_folder: Path, secret: str) -> None:
    """Neither the output of the fleet nor the logs of Ray hold the password."""
    batch_id = night.submit()
    night.env.update(NIGHTPRESS_RAY_ADDRESS="local", RAY_TMPDIR=str(ray_folder))
    process = night.start("work", "--workers", "1", "--until-empty")
    night.until(lambda: night.segments(batch_id), START_S, f"some rows: {night.logs()}")
    assert places_with(secret, night.folder) == []
    assert process.wait(START_S) == 0, night.logs()
    assert list(ray_folder.rglob("session_*/logs/*.log"))
    assert places_with(secret, ray_folder) == places_with(secret, night.folder) == []

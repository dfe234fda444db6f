"""The password of Redis, which stands in NIGHTPRESS_REDIS_URL, and nowhere else: in no log, no output, no list of processes.

*Every* process of this machine is looked at, since the password is one of this test alone.
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
    """Over a server that wants the password, with all that can be logged."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.config_set("requirepass", secret)
    server = SimpleNamespace(url=redis_server.url.replace("redis://", f"redis://:{secret}@"))
    made = make_night(server, stub={"step_s": 0.02}, more={"log_level": "debug"})
    made.env["NIGHTPRESS_REDIS_URL"] = server.url
    return made


def tells(night: Premises, *words: str, status: int = 0) -> str:
    """All that a command says."""
    ran = night.command(*words)
    assert ran.returncode == status, ran.stderr
    return ran.stdout + ran.stderr


def shown(secret: str, folder: Path) -> list[str]:
    """The processes whose command lines hold the password, and the logs in a folder that do."""
    logs = (path for path in folder.rglob("*") if path.suffix in {".log", ".out", ".err"})
    found = []
    for path in (*Path("/proc").glob("[0-9]*/cmdline"), *logs):
        with contextlib.suppress(OSError):  # it has ended
            if secret.encode() in path.read_bytes():
                found.append(str(path))
    return found


def test_no_command_and_no_worker_shows_it(night: Premises, redis_server: "Server", secret: str) -> None:
    """Also when the server goes away under them, and when it is wrong."""
    batch_id = night.submit()
    worker = night.run_code(WORKER)
    night.at_least(batch_id, ROWS // 8)
    assert shown(secret, night.folder) == []
    said = tells(night, "status") + tells(night, "settings") + tells(night, "pause", LANE)
    redis_server.kill()
    night.hears("queue.unavailable")
    said += tells(night, "status", "--json") + tells(night, "pause", LANE, status=3)
    assert worker.poll() is None
    redis_server.start()
    with redis.Redis.from_url(redis_server.url) as client:
        client.config_set("requirepass", "another")
    said += tells(night, "resume", LANE, status=3)
    assert "refuses the password" in said
    assert secret not in said
    assert shown(secret, night.folder) == []


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """Where Ray keeps its sockets, which need a short name, and its logs."""
    with tempfile.TemporaryDirectory(prefix="np-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.mark.ray
def test_no_fleet_shows_it(night: Premises, ray_folder: Path, secret: str) -> None:
    """Nor does Ray, whose own logs are looked at too."""
    batch_id = night.submit()
    night.env.update(NIGHTPRESS_RAY_ADDRESS="local", RAY_TMPDIR=str(ray_folder))
    process = night.start("work", "--workers", "1", "--until-empty")
    night.until(lambda: night.segments(batch_id), START_S, f"some rows: {night.logs()}")
    assert shown(secret, night.folder) == []
    assert process.wait(START_S) == 0, night.logs()
    assert list(ray_folder.rglob("session_*/logs/*.log"))
    assert shown(secret, ray_folder) == shown(secret, night.folder) == []

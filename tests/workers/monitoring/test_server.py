"""Shows workers/monitoring/server.py and monitor.py: what the port answers, and that it answers while the storage hangs."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="the extra `workers` is not installed")

from jobs.errors import QueueUnavailable
from jobs.store.local import LocalStore
from workers.monitoring.monitor import Monitor


class HangingStore(LocalStore):
    """A storage that hangs, as a network file system without its server."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.hangs = False
        self.let_go = threading.Event()

    def exists(self, path: str) -> bool:
        if self.hangs:
            self.let_go.wait(60)
        return super().exists(path)


class Queue:
    fault: QueueUnavailable | None = None

    def ping(self) -> None:
        if self.fault is not None:
            raise self.fault


@pytest.fixture
def served() -> Iterator[tuple[Monitor, int]]:
    monitor = Monitor()
    yield monitor, monitor.serve("127.0.0.1", 0)
    monitor.close()


def ask(port: int, path: str, method: str = "GET", host: str = "127.0.0.1", **headers: str) -> tuple[int, Any, Any]:
    """Return the status, the headers and the body of an answer, the body as it stands in JSON."""
    connection = http.client.HTTPConnection(host, port, timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    is_json = answer.headers["Content-Type"] == "application/json" and body
    return answer.status, answer.headers, json.loads(body) if is_json else body


def test_the_port_answers_metrics_health_and_readiness(served: tuple[Monitor, int], tmp_path: Path, until: Any) -> None:
    monitor, port = served
    assert ask(port, "/healthz")[0] == 200
    status, _, body = ask(port, "/readyz")
    assert (status, body["checks"]["fleet"]) == (503, {"ok": False, "fault": "starting"})
    monitor.watch(LocalStore(str(tmp_path)), Queue())
    monitor.health.beat(0, [])
    until(lambda: ask(port, "/readyz")[0] == 200, 20, "readiness")
    assert ask(port, "/readyz")[2] == {
        "ready": True,
        "checks": {
            "store": {"ok": True},
            "queue": {"ok": True},
            "fleet": {"ok": True},
            "workers": {"ok": True, "wanted": 0, "up": 0, "loaded": 0},
        },
    }
    status, headers, text = ask(port, "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain")
    assert b"nightpress_redis_up 1.0" in text
    assert b"nightpress_store_up 1.0" in text
    assert b"nightpress_build_info{" in text
    zipped = ask(port, "/metrics", **{"Accept-Encoding": "gzip"})
    assert zipped[1]["Content-Encoding"] == "gzip"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("HEAD", "/readyz", 503),
        ("HEAD", "/healthz", 200),
        ("GET", "/healthz/", 200),
        ("GET", "/healthz?verbose", 200),
        ("GET", "/health", 404),
        ("POST", "/metrics", 405),
    ],
)
def test_other_questions_get_a_plain_answer(served: tuple[Monitor, int], method: str, path: str, status: int) -> None:
    found, headers, body = ask(served[1], path, method)
    assert found == status
    assert headers["Cache-Control"] == "no-store"
    if status == 404:
        assert body["places"] == ["/metrics", "/healthz", "/readyz"]
    if method == "HEAD":
        assert body == b""


def test_it_answers_while_the_storage_hangs(served: tuple[Monitor, int], tmp_path: Path, until: Any) -> None:
    now = [0.0]
    monitor, port = served
    monitor.monotonic = lambda: now[0]
    store = HangingStore(str(tmp_path))
    store.hangs = True
    monitor.watch(store, Queue())
    monitor.health.beat(0, [])
    probe = monitor.health.probes["store"]
    until(lambda: probe._asked_at is not None, 20, "the question")
    now[0] += 60
    try:
        assert ask(port, "/healthz")[0] == 200
        status, _, body = ask(port, "/readyz")
        assert (status, body["checks"]["store"]["fault"]) == (503, "the storage has not answered for 60 s")
        assert b"nightpress_store_up 0.0" in ask(port, "/metrics")[2]
    finally:
        store.let_go.set()
    until(lambda: probe.answer().ok, 20, "the storage is back")
    assert ask(port, "/readyz")[0] == 200


def test_it_tells_that_redis_is_away(served: tuple[Monitor, int], tmp_path: Path, until: Any) -> None:
    monitor, port = served
    queue = Queue()
    queue.fault = QueueUnavailable("Redis at a:1 does not answer: start it")
    monitor.watch(LocalStore(str(tmp_path)), queue)
    monitor.health.beat(0, [])
    until(lambda: monitor.health.probes["queue"].answer().ok is False, 20, "the answer")
    until(lambda: monitor.health.probes["store"].answer().ok, 20, "the answer")
    status, _, body = ask(port, "/readyz")
    assert status == 503
    assert body["checks"]["queue"]["fault"] == "Redis at a:1 does not answer: start it"
    assert body["checks"]["store"] == {"ok": True}
    assert ask(port, "/healthz")[0] == 200


def test_a_client_that_says_nothing_holds_up_no_other(served: tuple[Monitor, int]) -> None:
    with socket.create_connection(("127.0.0.1", served[1])) as silent:
        silent.sendall(b"GET /metr")
        assert ask(served[1], "/healthz")[0] == 200


def test_it_serves_ipv6() -> None:
    monitor = Monitor()
    try:
        port = monitor.serve("::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    try:
        assert ask(port, "/healthz", host="::1")[0] == 200
    finally:
        monitor.close()


@pytest.mark.parametrize("host", ["no such host", "192.0.2.1"])
def test_an_address_that_is_not_ours_raises_os_error(host: str) -> None:
    with pytest.raises(OSError, match=r".+"):
        Monitor().serve(host, 0)


def test_nothing_is_asked_unless_somebody_can_ask_us(tmp_path: Path) -> None:
    monitor = Monitor()
    monitor.watch(LocalStore(str(tmp_path)), Queue())
    assert monitor.health.probes == {}
    monitor.close()

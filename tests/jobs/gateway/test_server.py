"""Shows jobs/gateway/server.py and bounds.py over a real port: slow and odd clients, TLS, and a port that is taken."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import RequestError
from jobs.gateway import bounds, server
from jobs.gateway.app import make_app
from jobs.gateway.server import listening, server_of
from jobs.settings import GatewaySettings
from tests.support.gateway.front_desk import FrontDesk


@contextmanager
def serving(front_desk: FrontDesk, **settings: Any) -> Iterator[int]:
    """Serve at a free port. Yields the port."""
    given = GatewaySettings(port=0, **settings)
    with listening(given) as listener:
        running = server_of(make_app(front_desk.desk), given)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            running.should_exit = True
            thread.join(60)


def connected(port: int) -> Any:
    made = socket.create_connection(("127.0.0.1", port), timeout=60)
    return closing(made)


def answer_to(port: int, *pieces: bytes) -> bytes:
    """Send pieces, and return all that comes back until the connection is closed."""
    with connected(port) as client:
        for piece in pieces:
            client.sendall(piece)
        got = b""
        while more := client.recv(1 << 16):
            got += more
        return got


def key_of(front_desk: FrontDesk) -> bytes:
    return str(front_desk.http.headers["authorization"]).encode()


def test_a_client_that_sends_no_headers_is_left(front_desk: FrontDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEADER_S", 0.3)
    with serving(front_desk) as port:
        assert answer_to(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ") == b""
        whole = answer_to(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert whole.startswith(b"HTTP/1.1 200")


def test_a_body_that_stops_is_given_up(front_desk: FrontDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "SILENCE_S", 0.3)
    head = b"POST /v1/batches HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: %s\r\nContent-Length: 100\r\n\r\n{"
    with serving(front_desk) as port:
        assert answer_to(port, head % key_of(front_desk)).startswith(b"HTTP/1.1 408")


def test_a_body_that_trickles_is_given_up(front_desk: FrontDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "SILENCE_S", 0.5)
    head = b"POST /v1/batches HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: %s\r\nContent-Length: 1000\r\n\r\n"
    with serving(front_desk) as port, connected(port) as client:
        client.sendall(head % key_of(front_desk))
        client.settimeout(0.05)
        got = b""
        for _ in range(600):  # each byte comes in time, and all together do not
            try:
                client.sendall(b" ")
                got = client.recv(1 << 16)
            except TimeoutError:
                continue
            break
        assert got.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", id="long-header"),
        pytest.param(b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", id="long-path"),
        pytest.param(b"GET /healthz HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n", id="bad-header"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01", id="tls-hello"),
        pytest.param(
            b"POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", id="two-lengths"
        ),
        pytest.param(b"POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", id="negative-length"),
        pytest.param(
            b"POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"
            b"Connection: close\r\n\r\n0\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n",
            id="smuggled",
        ),
        pytest.param(b"GET http://other.example/healthz HTTP/1.1\r\n\r\n", id="no-host"),
    ],
)
def test_odd_requests_are_refused_and_harm_nobody(
    front_desk: FrontDesk, request_: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEADER_S", 0.5)
    with serving(front_desk) as port:
        got = answer_to(port, request_)
        assert not got.startswith(b"HTTP/1.1 2"), got
        assert got.count(b"HTTP/1.1") <= 1
        assert b"Traceback" not in got
        assert answer_to(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(
            b"HTTP/1.1 200"
        )


def test_too_many_connections_get_503(front_desk: FrontDesk) -> None:
    with serving(front_desk, connections=3) as port:
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
        for one in held:
            one.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ")
        got = answer_to(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 503")
        for one in held:
            one.close()


def test_tls(front_desk: FrontDesk, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command: list[str | Path] = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-keyout",
        key,
        "-out",
        cert,
        *names,
    ]
    subprocess.run(command, check=True, capture_output=True)
    with serving(front_desk, tls_cert=cert, tls_key=key) as port:
        context = ssl.create_default_context(cafile=str(cert))
        with (
            socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")


def test_a_port_that_is_taken_is_told(front_desk: FrontDesk) -> None:
    with listening(GatewaySettings(port=0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RequestError, match=f"cannot listen at 127.0.0.1:{port}: .*: give --host or --port"):
            listening(GatewaySettings(port=port))


def test_the_settings_of_tls_come_together() -> None:
    with pytest.raises(ValueError, match="tls_cert and tls_key together"):
        GatewaySettings(tls_cert=Path("cert.pem"))


def test_what_was_accepted_is_admitted_by_a_server_that_runs(front_desk: FrontDesk, until: Callable[..., Any]) -> None:
    one = front_desk.submit()
    with serving(front_desk):
        until(lambda: front_desk.batch(one["id"])["status"] == "in_progress", 60, "the admission")

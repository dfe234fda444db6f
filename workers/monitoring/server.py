"""The server on `metrics_port`: `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever restarts or routes.

`/healthz` and `/readyz` answer 200 or 503 with a JSON object that says what is wrong. Every answer comes from what is known
already, so none waits for Redis, the storage or a worker.
"""

import json
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from workers.monitoring.health import Health

CLIENT_S: Final = 10.0
"""A client that sends nothing for this many seconds is dropped."""

Asked = Callable[[], tuple[bool, Mapping[str, Any]]]
Start = Callable[..., Any]


class MonitoringServer:
    """Answers on one port until it is closed."""

    def __init__(self, registry: CollectorRegistry, health: Health) -> None:
        self._metrics = make_wsgi_app(registry)
        self._bodies: Mapping[str, Asked] = {"/healthz": health.alive, "/readyz": health.ready}
        self._stop: Callable[[], None] | None = None

    def serve(self, host: str, port: int) -> int:
        """Answer from now on. Returns the port: the system chooses one if `port` is 0. Raises OSError."""
        server = make_server(host, port, self._answer, _server_of(host, port), _Handler)
        thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        thread.start()

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        self._stop = stop
        return server.server_port

    def close(self) -> None:
        """Answer no more."""
        if self._stop is not None:
            self._stop()
            self._stop = None

    def _answer(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/").rstrip("/") or "/"
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _json(environ, start, "405 Method Not Allowed", {"error": "ask with GET"})
        if path == "/metrics":
            answered: Iterable[bytes] = self._metrics(environ, start)
            return answered
        if path in self._bodies:
            is_well, body = self._bodies[path]()
            return _json(environ, start, "200 OK" if is_well else "503 Service Unavailable", body)
        places = ["/metrics", *self._bodies]
        if path == "/":
            return _json(environ, start, "200 OK", {"places": places})
        return _json(environ, start, "404 Not Found", {"error": f"there is no {path}", "places": places})


def _json(environ: Mapping[str, Any], start: Start, status: str, body: Mapping[str, Any]) -> list[bytes]:
    data = json.dumps(body, ensure_ascii=False).encode() + b"\n"
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(data))), ("Cache-Control", "no-store")]
    start(status, headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [data]


def _server_of(host: str, port: int) -> type[WSGIServer]:
    """Return the class of a server for the family of the host's address, with a thread for each client."""
    family = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]

    class Server(ThreadingMixIn, WSGIServer):
        address_family = family
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing of a client that went away in the middle of an answer."""

    return Server


class _Handler(WSGIRequestHandler):
    timeout = CLIENT_S  # of the client's socket

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Log no request: Prometheus asks several times a minute."""

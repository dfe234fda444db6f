"""The server of the application: its port, TLS, and the limits of connections."""

import asyncio
import socket
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from jobs.errors import RequestError
from jobs.gateway.bounds import HEADER_BYTES
from jobs.settings import GatewaySettings

HEADER_S: Final = 15.0
"""A connection on which no request was begun within this long is closed."""

KEEP_ALIVE_S: Final = 15
DRAIN_S: Final = 20
"""Requests get this long to end when the server stops."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection whose client does not send the headers of its first request in time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(HEADER_S, self._close_if_silent)

    def _close_if_silent(self) -> None:
        if getattr(self, "cycle", None) is None and not self.transport.is_closing():
            self.transport.close()


def listening(settings: GatewaySettings) -> socket.socket:
    """Return a socket that listens at the address of the settings. Raises RequestError if it cannot be had."""
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048, reuse_port=False)
    except OSError as error:
        place = f"{settings.host}:{settings.port}"
        raise RequestError(f"cannot listen at {place}: {error.strerror or error}: give --host or --port") from error


def server_of(app: FastAPI, settings: GatewaySettings) -> uvicorn.Server:
    """Return a server of the application, which its `run` starts."""
    tls: dict[str, Any] = {}
    if settings.tls_cert is not None and settings.tls_key is not None:
        tls = {"ssl_certfile": str(settings.tls_cert), "ssl_keyfile": str(settings.tls_key)}
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        limit_concurrency=settings.connections,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
        h11_max_incomplete_event_size=HEADER_BYTES,
        **tls,
    )
    return uvicorn.Server(config)

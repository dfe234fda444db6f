"""The bounds of every request: its size, its pace, its id, and the headers of every answer."""

import asyncio
import re
import secrets
import time
from contextlib import suppress
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.gateway.errors import ApiError, error_response

HEADER_BYTES: Final = 32 << 10
"""The path and the headers of a request have at most this many bytes."""

BODY_BYTES: Final = 1 << 20
"""A body has at most this many bytes, but for those of files and parts."""

PART_BYTES: Final = 64 << 20
"""A part of an upload has at most this many bytes, as in OpenAI's API."""

FORM_BYTES: Final = 1 << 16
"""A form may have this many bytes beside its file."""

SILENCE_S: Final = 30.0
"""A request ends if its client sends nothing for this long."""

SLOWEST_BYTES_S: Final = 1024
"""After `SILENCE_S` seconds, a body that came slower than this on average ends its request."""

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")

_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
_POLICY: Final = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_NO_STORE: Final = (b"cache-control", b"no-store")


class Bounds:
    """Keeps the bounds of requests, and adds headers to answers. `file_bytes` is the most bytes of a file."""

    def __init__(self, app: ASGIApp, file_bytes: int) -> None:
        self._app = app
        self._file_bytes = file_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"
        scope.setdefault("state", {})["request_id"] = request_id

        async def answering(message: Message) -> None:
            if message["type"] == "http.response.start":
                has = {name.lower() for name, _ in message["headers"]}
                more = [pair for pair in (*_HEADERS, _POLICY, _NO_STORE) if pair[0] not in has]
                message = {
                    **message,
                    "headers": [*message["headers"], *more, (b"x-request-id", request_id.encode())],
                }
            await send(message)

        limit = self._limit(scope["path"], headers.get(b"content-type", b""))
        if (refused := _refusal(scope, headers.get(b"content-length", b"0"), limit)) is not None:
            answer = error_response(refused)
            answer.headers["connection"] = "close"
            await answer(scope, receive, answering)
            return
        with suppress(ClientDisconnect):  # nobody waits for an answer
            await self._app(scope, _Body(receive, limit), answering)

    def _limit(self, path: str, kind: bytes) -> int:
        """Return the most bytes of a body. Only a form may be large: its file goes to disk, and other bodies stay in memory."""
        if not kind.strip().lower().startswith(b"multipart/form-data"):
            return BODY_BYTES
        if path in ("/v1/files", "/page/upload"):
            return self._file_bytes + FORM_BYTES
        return PART_BYTES + FORM_BYTES if path.startswith("/v1/uploads/") and path.endswith("/parts") else BODY_BYTES


class _Body:
    """Receives a body within its size and pace."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._seen = 0
        self._began = time.monotonic()
        self._is_whole = False

    async def __call__(self) -> Message:
        if self._is_whole:  # what follows is the end of the connection, which may come late
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), SILENCE_S)
        except TimeoutError:
            raise ApiError(408, "the request came too slowly, and was given up", "timeout") from None
        self._seen += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        if self._seen > self._limit:
            raise _too_large(self._limit)
        took = time.monotonic() - self._began
        if not self._is_whole and took > SILENCE_S and self._seen < took * SLOWEST_BYTES_S:
            raise ApiError(408, "the request came too slowly, and was given up", "timeout")
        return message


def _refusal(scope: Scope, length: bytes, limit: int) -> ApiError | None:
    """Return why a request is refused by its first lines alone; None if it is not."""
    if (
        len(scope["raw_path"]) + len(scope["query_string"]) + sum(len(n) + len(v) for n, v in scope["headers"])
        > HEADER_BYTES
    ):
        return ApiError(431, f"the headers and the path have more than {HEADER_BYTES:,} bytes", "headers_too_large")
    if not length.isdigit():
        return ApiError(400, "content-length is no number", "invalid_request")
    return _too_large(limit) if int(length) > limit else None


def _too_large(limit: int) -> ApiError:
    return ApiError(413, f"the body is larger than {limit:,} bytes: split it", "request_too_large")

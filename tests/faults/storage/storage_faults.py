"""Injects faults into a store that processes use: a small disk, and a proxy in front of an S3 server.

`Disk` is a file system of a few MiB, which needs the right to mount. `Proxy` delays, cuts or loses the traffic through it.
"""

import contextlib
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest


class Disk:
    """A separate file system of a few MiB, mounted at `folder`."""

    def __init__(self, folder: Path, mib: int) -> None:
        self.folder = folder
        folder.mkdir()
        self._call("mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder))

    def fill(self) -> None:
        """Fill the disk to the last byte."""
        with (self.folder / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            for size in (1 << 16, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"x" * size)

    def clear(self) -> None:
        """Free the space that `fill` took."""
        (self.folder / "filler").unlink()

    def read_only(self) -> None:
        """Make the disk read-only. This fails while a file is open for writing, so it is tried many times."""
        for _ in range(5000):
            if subprocess.run(self._remount("ro"), capture_output=True, check=False).returncode == 0:
                return
        pytest.fail("the disk cannot be made read-only")

    def writable(self) -> None:
        self._call(*self._remount("rw"))

    def unmount(self) -> None:
        self._call("umount", "-l", str(self.folder))

    def _remount(self, how: str) -> list[str]:
        return ["mount", "-o", f"remount,{how}", str(self.folder)]

    def _call(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(done.stderr.strip())


@contextlib.contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[Disk]:
    """Mount a small disk, or skip the test if that is not allowed."""
    try:
        disk = Disk(folder, mib)
    except OSError as error:
        pytest.skip(f"a small file system needs the right to mount: {error}")
    try:
        yield disk
    finally:
        disk.unmount()


class Proxy:
    """A proxy in front of a server on 127.0.0.1, which passes bytes on and knows only where an HTTP request begins.

    `delay_s` holds each write (PUT) back for this many seconds. `cut` ends all connections, and then closes each new connection
    at once; with `silent` it accepts new connections instead, counts them in `swallowed`, and never answers. `lose` is a part
    of the first line of one PUT whose reply is to be lost: the server gets and answers it, and the client gets no reply. `lost`
    lists the lost replies. `keeps` answers each deletion of several files as S3 does without the right to delete: with status
    200, and an error for each name; `kept` lists these names.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self.delay_s = 0.0
        self.lose: bytes = b""
        self.lost: list[bytes] = []
        self.delayed = 0
        self.swallowed = 0
        self.keeps = False
        self.kept: list[str] = []
        self._away: str = ""
        self._healed = threading.Event()
        self._over = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._start(self._accept)

    @classmethod
    def before(cls, url: str) -> "Proxy":
        """A proxy in front of the server at a URL."""
        parts = urlsplit(url)
        return cls(parts.hostname or "", parts.port or 80)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self, *, silent: bool = False) -> None:
        self._healed.clear()
        self._away = "silent" if silent else "refused"
        self._end_all()

    def heal(self) -> None:
        self._away = ""
        self._healed.set()
        self._end_all()

    def close(self) -> None:
        self._over.set()
        self._healed.set()
        self._listener.close()
        self._end_all()

    def _end_all(self) -> None:
        with self._lock:
            ended, self._open = self._open, set()
        for one in ended:
            _end(one)

    def _start(self, act: Callable[..., None], *args: Any) -> None:
        threading.Thread(target=act, args=args, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._away == "refused":
                _end(client)
                continue
            with self._lock:
                self._open.add(client)
            if self._away:
                self.swallowed += 1
            else:
                try:
                    server = socket.create_connection(self._target)
                except OSError:
                    _end(client)
                    continue
                with self._lock:
                    self._open.add(server)
                self._start(self._carry, _Exchange(), client, server)

    def _carry(self, exchange: "_Exchange", client: socket.socket, server: socket.socket) -> None:
        self._start(self._answer, exchange, client, server)
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                if data.startswith(b"PUT ") and self.delay_s:
                    self.delayed += 1
                    self._over.wait(self.delay_s)
                if self.lose and data.startswith(b"PUT ") and self.lose in data.partition(b"\r\n")[0]:
                    self.lose, exchange.losing = b"", data.partition(b"\r\n")[0]
                if self.keeps and data.startswith(b"POST ") and b"?delete" in data.partition(b"\r\n")[0]:
                    client.sendall(self._refusal(_whole(client, data)))
                    continue
                server.sendall(data)
        _end(client)
        _end(server)

    def _refusal(self, request: bytes) -> bytes:
        names = re.findall(r"<Key>(.*?)</Key>", request.decode())
        self.kept += names
        error = "<Error><Key>{}</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        body = f"<DeleteResult>{''.join(map(error.format, names))}</DeleteResult>".encode()
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    def _answer(self, exchange: "_Exchange", client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                if exchange.losing and b" 100 " not in data.partition(b"\r\n")[0]:
                    self.lost.append(exchange.losing + b" -> " + data.partition(b"\r\n")[0])
                    break
                client.sendall(data)
        _end(client)
        _end(server)


@dataclass
class _Exchange:
    """The exchange on one connection. `losing` is the first line of the request whose reply is to be lost."""

    losing: bytes = b""


def _whole(client: socket.socket, data: bytes) -> bytes:
    """A whole request: the data so far, and the rest of the body from the client."""
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    while len(body) < (int(length[1]) if length else 0):
        more = client.recv(1 << 16)
        if not more:
            raise ConnectionError
        body += more
    return body


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()

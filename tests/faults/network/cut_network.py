"""A network between processes and a server that can stand still, be cut, lose replies, and lead to another server."""

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from typing import Final, Literal

from tests.conftest import free_port

POLL_S: Final = 0.02
Mode = Literal["open", "still", "cut"]


class Proxy:
    """A proxy that forwards connections to `url` to `port` of this machine. Close it at the end.

    `mode` may be changed at any time. `open` forwards all packets. `still` holds packets back and keeps connections open, like
    a broken switch. `cut` ends connections, and closes new connections at once. `before` is called with each packet of a
    client.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.port = port
        self.mode: Mode = "open"
        self.before: Callable[[bytes], None] = lambda _: None
        self.lost = 0
        self._doomed: dict[bytes, int] = {}
        self._lock = threading.Lock()
        self._closed = False
        self.own_port = free_port()
        self._listener = socket.create_server((host, self.own_port))
        self.url = f"redis://{host}:{self.own_port}/0"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def lose_replies(self, command: bytes, times: int) -> None:
        """Carry out the next `times` packets that hold these bytes, but end the connection instead of sending the reply."""
        with self._lock:
            self._doomed[command] = times

    def close(self) -> None:
        self._closed = True
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed:
            if not select.select([self._listener], [], [], POLL_S)[0]:
                continue
            client, _ = self._listener.accept()
            thread = threading.Thread(target=self._carry, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _carry(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            if self.mode == "cut":
                return
            with socket.create_connection(("127.0.0.1", self.port), 5) as server:
                self._between(client, server)

    def _between(self, client: socket.socket, server: socket.socket) -> None:
        loses = False
        while not self._closed and not self._is("cut"):
            if self._is("still"):
                threading.Event().wait(POLL_S)
                continue
            for source in select.select([client, server], [], [], POLL_S)[0]:
                data = source.recv(1 << 16)
                if not data:
                    return
                if source is client:
                    self.before(data)
                    loses = loses or self._is_doomed(data)
                elif loses:
                    self.lost += 1
                    return
                while self._is("still") and not self._closed:
                    threading.Event().wait(POLL_S)
                if self._is("cut"):
                    return
                (server if source is client else client).sendall(data)

    def _is(self, mode: Mode) -> bool:
        return self.mode == mode

    def _is_doomed(self, data: bytes) -> bool:
        with self._lock:
            for command, times in self._doomed.items():
                if times and command in data:
                    self._doomed[command] -= 1
                    return True
        return False

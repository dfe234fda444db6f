"""Starts the Redis server that all compared systems share. It listens on a port, since not every peer accepts a socket."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from workers.fleet.embedded_redis import binary

START_S: Final = 20.0
"""Seconds within which the server must listen on its port."""


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    """Start a server that writes nothing to disk, and yield its URL. The server is killed after the block.

    Raises TimeoutError if the server does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(folder)]
    with subprocess.Popen([*binary(), *options], stdout=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + START_S
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > until:
                    raise TimeoutError(f"no server at port {port}")
                time.sleep(0.02)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0

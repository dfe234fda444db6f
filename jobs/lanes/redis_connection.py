"""The connection to Redis: one server, or a Redis Cluster. Only this module and redis_wire.py import redis.

Every error of the client becomes a QueueUnavailable that says what is wrong and what to do. A command is sent again after a lost
connection or a timeout, so its effect may happen twice (rule 41 of jobs/PROTOCOL.md).
"""

import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import SplitResult, unquote, urlsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from jobs.errors import QueueUnavailable
from jobs.lanes.redis_wire import Wire
from jobs.lanes.scripts import sources

RedisClient = redis.Redis | redis.RedisCluster

TIMEOUT_S: Final = 3.0
"""A command without an answer after this many seconds is sent again. After `TRIES` tries, QueueUnavailable is raised."""
TRIES: Final = 3
"""A command is sent at most this many times. With `TIMEOUT_S`, a server that hangs is noticed after about 10 s."""
SLOW_S: Final = 1.0
"""After this many seconds without an answer, a waiting user is shown which server has not answered."""

_DATABASE: Final = re.compile(r"/?[0-9]*")

FAULTS: Final = {
    "certificate": "its certificate is not trusted: name the file of its authority in NIGHTPRESS_REDIS_CA",
    "permission denied": "its socket lets in other users only: run as the user of the server, or correct NIGHTPRESS_REDIS_URL",
    "path too long": "the path of its socket is too long: put it into a folder with a shorter name",
}
"""Part of a connection error's text, in lower case -> the fault and what to do about it."""


class RedisConnection:
    """A connection sends commands and scripts to Redis. Threads may share it. Every call may raise QueueUnavailable.

    `name` is what messages call the server. `cluster` makes a cluster client for the same server. It is called if the server
    turns out to be a node of a cluster. `scripts` maps the names of scripts to their texts. `timeout_s` is the number of seconds
    after which the client sends a command again.
    """

    def __init__(
        self,
        client: RedisClient,
        name: str = "Redis",
        cluster: Callable[[], redis.RedisCluster] | None = None,
        scripts: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.timeout_s = timeout_s
        self._name = name
        self._cluster = cluster
        self._texts = sources() if scripts is None else scripts
        self._use(client)

    @classmethod
    def from_url(cls, url: str, timeout_s: float = TIMEOUT_S, ca: Path | None = None) -> Self:
        """Make a connection from a URL (redis://, rediss:// for TLS, unix:// for a socket) of a server or of any node of a Redis
        Cluster.

        Nothing is sent yet. `ca` is a file with the certificates to trust in place of the system's. Raises QueueUnavailable
        for a wrong URL or file.
        """
        options: dict[str, Any] = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
        options["health_check_interval"] = 0  # off: a health check would be retried within each try of a command
        try:
            parts = urlsplit(url)
            if not _has_place(parts):
                raise ValueError(parts.scheme)
            at = (
                unquote(parts.path)
                if parts.scheme == "unix"
                else f"{parts.hostname or 'localhost'}:{parts.port or 6379}"
            )
            name = f"Redis at {at}"
            if ca is not None and parts.scheme == "rediss":
                options["ssl_ca_certs"] = _readable(ca)
            client = redis.Redis.from_url(url, retry=_retry(), **options)
            pool = client.connection_pool
            pool.connection_class(**pool.connection_kwargs)  # does not connect yet; raises an error for unknown options
        except (ValueError, TypeError, redis.exceptions.RedisError):  # the message may hold a part of the password
            raise QueueUnavailable(
                "NIGHTPRESS_REDIS_URL is not a Redis URL such as redis://:password@host:6379/0 or unix:///folder/redis.sock; "
                "percent-encode special characters in the password, and leave out options that its scheme does not take"
            ) from None
        return cls(
            client, name, lambda: redis.RedisCluster.from_url(url, retry=_retry(), **options), timeout_s=timeout_s
        )

    def command(self, *words: Any) -> Any:
        """Send a command, and return the reply as the server gives it."""
        return self._answered(lambda: self._wire.ask(*words) if self._wire else self._client.execute_command(*words))

    def run(self, script: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run a script by its name, and return its reply. If the server does not know the script, its text is sent."""
        return self._answered(lambda: self._run(self._scripts[script], keys, args))

    def info(self, slow: Callable[[str], object] | None = None) -> Mapping[str, Any]:
        """Return the reply to INFO. After `SLOW_S` without an answer, `slow` is called with a message that says so."""
        with _call_when_slow(slow, f"waiting for {self._name}, which has not answered yet"):
            info: Mapping[str, Any] = self._answered(self._client.info)
        return info

    def close(self) -> None:
        """Close the connections."""
        if self._wire is not None:
            self._wire.close()
        self._client.close()

    def _use(self, client: RedisClient) -> None:
        self._client: Any = client
        self._scripts = {name: client.register_script(text) for name, text in self._texts.items()}
        self._wire = Wire(client.connection_pool) if type(client) is redis.Redis else None

    def _run(self, script: Any, keys: Sequence[str], args: Sequence[Any]) -> Any:
        if self._wire is None:
            return script(keys=keys, args=args)
        try:
            return self._wire.ask("EVALSHA", script.sha, len(keys), *keys, *args)
        except redis.exceptions.NoScriptError:
            return script(keys=keys, args=args)

    def _answered(self, act: Callable[[], Any]) -> Any:
        try:
            try:
                return act()
            except redis.exceptions.MovedError:  # the server is a node of a cluster, and another node has the key
                if self._cluster is None or isinstance(self._client, redis.RedisCluster):
                    raise
                self._join(self._cluster())
                return act()
        except (redis.exceptions.RedisError, redis.exceptions.RedisClusterException) as error:
            raise QueueUnavailable(self._explain(error)) from error

    def _join(self, cluster: redis.RedisCluster) -> None:
        """Use this cluster client from now on, and close the client that it replaces."""
        client, wire = self._client, self._wire
        self._use(cluster)
        if wire is not None:
            wire.close()
        client.close()

    def _explain(self, error: Exception) -> str:
        """Return a message that says what is wrong, and what to do."""
        if isinstance(error, redis.exceptions.OutOfMemoryError):
            return f"{self._name} is full (maxmemory): give it more, or wait"
        if str(error).startswith("MISCONF"):  # Redis could not write its log or its dump
            return f"{self._name} cannot write to its own disk, and refuses writes until it can: make room there"
        if isinstance(error, redis.exceptions.AuthenticationError):
            return f"{self._name} refuses the password or user in NIGHTPRESS_REDIS_URL"
        if isinstance(error, redis.exceptions.ConnectionError | redis.exceptions.TimeoutError):
            for fault, reason in FAULTS.items():
                if fault in str(error).lower():
                    return f"{self._name}: {reason}"
            return f"{self._name} does not answer: start it, or correct NIGHTPRESS_REDIS_URL"
        denied = isinstance(error, redis.exceptions.NoPermissionError) or "can't run this command" in str(error)
        remedy = ": its user lacks a right; docs/deployment.md lists all that it needs" if denied else ""
        return f"{self._name}{remedy}: {_first_line(error)}"


@contextlib.contextmanager
def _call_when_slow(slow: Callable[[str], object] | None, message: str) -> Iterator[None]:
    """Call `slow` once with the message if the block takes longer than `SLOW_S`."""
    timer = threading.Timer(SLOW_S, slow, [message]) if slow is not None else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()


def _has_place(parts: SplitResult) -> bool:
    """Whether a URL has the absolute path of a socket, or of a server at most the number of a database.

    The library takes any other path for database 0, and a relative path of a socket for the name of a host.
    """
    if parts.scheme == "unix":
        return not parts.hostname and len(parts.path) > 1
    return _DATABASE.fullmatch(parts.path) is not None


def _readable(ca: Path) -> str:
    try:
        ca.open("rb").close()
    except OSError:
        raise QueueUnavailable(f"NIGHTPRESS_REDIS_CA names no file that can be read: {ca}") from None
    return str(ca)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _retry() -> Retry:
    return Retry(ExponentialBackoff(cap=0.5, base=0.05), TRIES - 1)

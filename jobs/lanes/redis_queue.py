"""The queue on Redis: one script for each atomic step, and with redis_wire.py the only modules that import redis.

All keys of a lane carry its name as their hash tag and are declared, so that every script runs on Redis Cluster. A client
resends a command after a timeout, so each step may happen twice without harm: a feed is a compare-and-set, a claim has an
id, and a report on a lease that no longer holds changes nothing.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import orjson
import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from jobs.errors import QueueUnavailable
from jobs.lanes.job import Lease
from jobs.lanes.protocol import (
    Beat,
    ClaimReply,
    FeedReply,
    FeedRow,
    LanePolicy,
    LaneSnapshot,
    Settlement,
    WorkerRecord,
)
from jobs.lanes.records import (
    feed_args,
    jobs_of,
    lease_lines,
    old_ms,
    pairs,
    record_of,
    report_lines,
    schedules_of,
    shares,
)
from jobs.lanes.redis_wire import Wire
from jobs.settings import Settings

KEYS: Final = (
    *("batches", "jobs", "payload", "ready", "delayed", "leased", "tenants", "meta", "workers", "counts"),
    *("suspects", "crashed", "flights"),
)
LANES: Final = "np:1:lanes"
PROBE: Final = "np:1:probe"
"""Never there: what is taken from it shows whether the server takes writes."""
SCRIPTS: Final = ("feed", "claim", "beat", "settle", "release", "drop", "reset", "snapshot", "pause")
BEFORE: Final[Mapping[str, Sequence[str]]] = {"claim": ("mend", "rescue", "reports"), "settle": ("reports",)}
"""What is put before a script, after lane.lua."""

COMMANDS: Final = (
    *("evalsha", "script|load", "sadd", "smembers", "info", "time", "command", "cluster|slots"),
    *("hget", "hmget", "hset", "hsetnx", "hdel", "hlen", "hkeys", "hgetall", "hexists", "hstrlen"),
    *("zadd", "zrem", "zcard", "zrange", "zrangebyscore", "zrangebylex"),
    *("del", "lrange", "rpush", "pexpire", "scard"),
)
"""All that a user of Redis needs to be allowed, on keys `np:1:*`. The README shows it."""

NOT_TRUSTED: Final = "its certificate is not trusted: name the file of its authority in NIGHTPRESS_REDIS_CA"
LOOK_AT: Final = 1024
"""How many due and how many expired jobs one claim looks at: more than a worker has in hand."""

TIMEOUT_S: Final = 3.0
SLOW_S: Final = 1.0
"""After so long without an answer a person is told what is waited for."""
TRIES: Final = 3
"""How often a command is sent. With the timeout, a server that hangs is noticed in about 10 s."""


class RedisQueue:
    """Implements `Schedule` and `Lanes`. Safe to share between threads. Raises QueueUnavailable.

    `cluster` makes a client for the same server as a cluster; it is called when the server turns out to be part of one.
    """

    def __init__(
        self,
        client: "redis.Redis | redis.RedisCluster",
        max_attempts: int = 5,
        name: str = "Redis",
        policy: LanePolicy | None = None,
        cluster: "Callable[[], redis.RedisCluster] | None" = None,
    ) -> None:
        policy = policy or LanePolicy()
        self._max_attempts = max_attempts
        self._name = name
        self._rules = (LOOK_AT, policy.pause_after_deaths, int(policy.priority_aging_s * 1000), shares(policy))
        self._cluster = cluster
        self._use(client)

    def _use(self, client: "redis.Redis | redis.RedisCluster") -> None:
        self._client: Any = client
        self._scripts = {name: client.register_script(source) for name, source in _sources().items()}
        self._wire = Wire(client.connection_pool) if type(client) is redis.Redis else None

    @classmethod
    def from_settings(cls, settings: Settings, url: str | None = None) -> Self:
        """The queue of the settings, or the one at `url` by their rules. Raises QueueUnavailable."""
        if url is None:
            url = settings.redis_url.get_secret_value() if settings.redis_url is not None else ""
        policy = LanePolicy(settings.pause_after_deaths, settings.priority_aging_s, settings.tenants)
        return cls.from_url(url, settings.max_attempts, policy=policy, ca=settings.redis_ca)

    @classmethod
    def from_url(
        cls,
        url: str,
        max_attempts: int = 5,
        timeout_s: float = TIMEOUT_S,
        policy: LanePolicy | None = None,
        ca: Path | None = None,
    ) -> Self:
        """The queue at `url`: redis://, or rediss:// for TLS, of one server or of any node of a Redis Cluster.

        Nothing is asked of the server yet. One that does not answer is noticed after `TRIES` times `timeout_s`. `ca` is a
        file with the certificates to trust in place of the system's. Raises QueueUnavailable for a wrong URL or file.
        """
        options: dict[str, Any] = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
        options["health_check_interval"] = 0  # it retries within each retry
        try:
            parts = urlsplit(url)
            name = f"Redis at {parts.hostname or parts.path}:{parts.port or 6379}"
            if ca is not None and parts.scheme == "rediss":
                options["ssl_ca_certs"] = _readable(ca)
            client = redis.Redis.from_url(url, retry=_retry(), **options)
            pool = client.connection_pool
            pool.connection_class(**pool.connection_kwargs)  # connects nowhere, and takes no option that is not its own
        except (ValueError, TypeError, redis.exceptions.RedisError):  # its words may hold a part of the password
            raise QueueUnavailable(
                "NIGHTPRESS_REDIS_URL is not a Redis URL such as redis://:password@host:6379/0; "
                "percent-encode special characters in the password, and leave out options that its scheme does not take"
            ) from None
        return cls(
            client, max_attempts, name, policy, lambda: redis.RedisCluster.from_url(url, retry=_retry(), **options)
        )

    def feed(
        self,
        lane: str,
        batch_id: str,
        round_: int,
        cursor: int,
        next_cursor: int,
        at_end: bool,
        rows: Sequence[FeedRow],
        *,
        finish: bool = False,
    ) -> FeedReply:
        self._ask("sadd", LANES, lane)
        head = (batch_id, round_, cursor, next_cursor, int(at_end), self._max_attempts, int(finish))
        args = chain.from_iterable(feed_args(round_, row) for row in rows)
        accepted, refused, truth, stands = self._run("feed", lane, *head, *args)
        return FeedReply(bool(accepted), bool(refused), truth, stands)

    def claim(
        self,
        lane: str,
        claim_id: str,
        n: int,
        lease_ms: int,
        worker: WorkerRecord,
        *,
        settle: Sequence[Settlement] = (),
    ) -> ClaimReply:
        if "|" in claim_id or "\n" in claim_id:  # they part the fields of a record, and leases
            raise ValueError(f"a claim id has no | and is one line: {claim_id}")
        args = (claim_id, n, report_lines(settle), worker.worker, record_of(worker), worker.running)
        reply = self._run(
            "claim",
            lane,
            *args,
            lease_ms,
            old_ms(lease_ms),
            *self._rules,
            more_keys=(f"np:1:{{{lane}}}:claim:{claim_id}",),
        )
        jobs, ready, delayed, leased, paused, apart, reason, lost = reply
        if None in jobs[2:3]:
            jobs[2::3] = self._payloads(lane, jobs[::3])
        return ClaimReply(
            jobs=jobs_of(jobs, claim_id),
            ready=ready,
            delayed=delayed,
            leased=leased,
            paused=bool(paused),
            apart=bool(apart),
            reason=reason.decode(),
            lost=frozenset(settle[i - 1].lease for i in lost),
        )

    def _payloads(self, lane: str, jobs: Sequence[bytes]) -> list[bytes]:
        """The payloads of claimed jobs. One that is gone by now is empty: then storage has the request."""
        key = f"np:1:{{{lane}}}:payload"
        found = self._answered(
            lambda: self._wire.ask("HMGET", key, *jobs) if self._wire else self._client.hmget(key, jobs)
        )
        return [payload or b"" for payload in found]

    def beat(self, lane: str, leases: Sequence[Lease], lease_ms: int, worker: WorkerRecord) -> Beat:
        head = (lease_ms, worker.worker, record_of(worker), old_ms(lease_ms))
        lost, cancelled = self._run("beat", lane, *head, lease_lines(leases))
        return Beat(frozenset(leases[i - 1] for i in lost), frozenset(leases[i - 1] for i in cancelled))

    def settle(self, lane: str, settlements: Sequence[Settlement]) -> frozenset[Lease]:
        lost = self._run("settle", lane, report_lines(settlements)) if settlements else ()
        return frozenset(settlements[i - 1].lease for i in lost)

    def release(self, lane: str, leases: Sequence[Lease]) -> frozenset[Lease]:
        lost = self._run("release", lane, lease_lines(leases)) if leases else ()
        return frozenset(leases[i - 1] for i in lost)

    def lanes(self) -> Sequence[str]:
        return sorted(name.decode() for name in self._ask("smembers", LANES))

    def snapshot(self, lane: str) -> LaneSnapshot:
        paused, ready, delayed, leased, size, batches, counts, workers, reason, suspects = self._run("snapshot", lane)
        live = {name.decode(): max(int(n), 0) for name, n in pairs(counts)}
        schedules = schedules_of(batches, live)
        records = [WorkerRecord(**orjson.loads(raw)) for raw in workers]
        return LaneSnapshot(
            lane, bool(paused), ready, delayed, leased, size, schedules, records, suspects, reason.decode()
        )

    def drop(self, lane: str, batch_id: str, round_: int, *, forget: bool, finish: bool = False) -> int:
        return int(self._run("drop", lane, batch_id, round_, int(forget), int(finish)))

    def reset(self, lane: str, batch_id: str, version: int) -> bool:
        return bool(self._run("reset", lane, batch_id, version))

    def pause(self, lane: str) -> None:
        self._ask("sadd", LANES, lane)
        self._run("pause", lane, 1)

    def resume(self, lane: str) -> None:
        self._run("pause", lane, 0)

    def ping(self, slow: Callable[[str], object] | None = None) -> Mapping[str, str]:
        with _told(slow, f"waiting for {self._name}, which has not answered yet"):
            info = self._ask("info")
        names = ("redis_version", "valkey_version", "maxmemory", "maxmemory_policy", "process_id")
        return {name: str(info[name]) for name in names if name in info}

    def check(self) -> None:
        self._ask("hdel", PROBE, "")

    def close(self) -> None:
        """Close the connections."""
        if self._wire is not None:
            self._wire.close()
        self._client.close()

    def _run(self, script: str, lane: str, *args: Any, more_keys: Sequence[str] = ()) -> Any:
        return self._answered(lambda: self._call(self._scripts[script], lane, more_keys, args))

    def _call(self, script: Any, lane: str, more_keys: Sequence[str], args: Sequence[Any]) -> Any:
        keys = (*_keys(lane), *more_keys)
        if self._wire is not None:
            with contextlib.suppress(redis.exceptions.NoScriptError):
                return self._wire.ask("EVALSHA", script.sha, len(keys), *keys, *args)
        return script(keys=keys, args=args)

    def _ask(self, command: str, *args: Any) -> Any:
        return self._answered(lambda: getattr(self._client, command)(*args))

    def _answered(self, act: Callable[[], Any]) -> Any:
        try:
            try:
                return act()
            except redis.exceptions.MovedError:  # it is a node of a cluster, and the key is another node's
                if self._cluster is None or isinstance(self._client, redis.RedisCluster):
                    raise
                self._join(self._cluster())
                return act()
        except (redis.exceptions.RedisError, redis.exceptions.RedisClusterException) as error:
            raise QueueUnavailable(self._said(error)) from error

    def _join(self, cluster: redis.RedisCluster) -> None:
        """Use this client from now on, and close the one before."""
        alone, wire = self._client, self._wire
        self._use(cluster)
        if wire is not None:
            wire.close()
        alone.close()

    def _said(self, error: Exception) -> str:
        """What is wrong, and what to do."""
        if isinstance(error, redis.exceptions.OutOfMemoryError):
            return f"{self._name} is full (maxmemory): give it more, or wait"
        if str(error).startswith("MISCONF"):  # its log or its dump could not be written
            return f"{self._name} cannot write to its own disk, and refuses writes until it can: make room there"
        if isinstance(error, redis.exceptions.AuthenticationError):
            return f"{self._name} refuses the password or user in NIGHTPRESS_REDIS_URL"
        if isinstance(error, redis.exceptions.ConnectionError | redis.exceptions.TimeoutError):
            if "certificate" in str(error).lower():
                return f"{self._name}: {NOT_TRUSTED}"
            return f"{self._name} does not answer: start it, or mend NIGHTPRESS_REDIS_URL"
        denied = isinstance(error, redis.exceptions.NoPermissionError) or "can't run this command" in str(error)
        remedy = ": its user lacks a right; the README lists all that it needs" if denied else ""
        return f"{self._name}{remedy}: {_first_line(error)}"


@contextlib.contextmanager
def _told(slow: Callable[[str], object] | None, words: str) -> Iterator[None]:
    """Say the words when the block takes longer than `SLOW_S`, once."""
    timer = threading.Timer(SLOW_S, slow, [words]) if slow is not None else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()


@cache
def _keys(lane: str) -> Sequence[str]:
    return tuple(f"np:1:{{{lane}}}:{key}" for key in KEYS)


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


@cache
def _sources() -> Mapping[str, str]:
    """Each script by its name, with what is put before it."""
    scripts = files("jobs.lanes") / "lua"
    parts = {part: (scripts / "parts" / f"{part}.lua").read_text() for part in ("lane", *chain(*BEFORE.values()))}
    return {
        name: "".join(parts[part] for part in ("lane", *BEFORE.get(name, ()))) + (scripts / f"{name}.lua").read_text()
        for name in SCRIPTS
    }

"""The queue on Redis: one script for each atomic step, and the only module that imports redis.

All keys of a lane carry its name as their hash tag and are declared, so that every script runs on Redis Cluster. A client
resends a command after a timeout, so each step may happen twice without harm: a feed is a compare-and-set, a claim has an
id, and a report on a lease that no longer holds changes nothing.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import chain
from typing import Any, Final, Self
from urllib.parse import urlsplit

import orjson
import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from jobs.errors import QueueUnavailable
from jobs.job import InputSlice, Job, JobKey, Lease
from jobs.job_queue import (
    BatchSchedule,
    Beat,
    ClaimReply,
    FeedReply,
    FeedRow,
    LanePolicy,
    LaneSnapshot,
    Settlement,
    WorkerRecord,
)
from jobs.settings import Settings

KEYS: Final = (
    *("batches", "jobs", "payload", "ready", "delayed", "leased", "tenants", "meta", "workers", "counts"),
    *("suspects", "crashed", "flights"),
)
LANES: Final = "np:1:lanes"
LOOK_AT: Final = 1024
"""How many due and how many expired jobs one claim looks at: more than a worker has in hand."""

TIMEOUT_S: Final = 3.0
TRIES: Final = 3
"""How often a command is sent. With the timeout, a server that hangs is noticed in about 10 s."""

RECORD_MS: Final = 15_000
"""A worker that has not spoken for so long, and for longer than its lease, is no longer shown."""


class RedisQueue:
    """Implements `Schedule` and `Lanes`. Safe to share between threads. Raises QueueUnavailable."""

    def __init__(
        self, client: "redis.Redis", max_attempts: int = 5, name: str = "Redis", policy: LanePolicy | None = None
    ) -> None:
        policy = policy or LanePolicy()
        self._client: Any = client
        self._max_attempts = max_attempts
        self._name = name
        self._rules = (policy.most_deaths, int(policy.age_s * 1000), _shares(policy))
        lua = files("jobs") / "lua"
        ground = (lua / "lane.lua").read_text()
        before_claim = "".join((lua / f"{name}.lua").read_text() for name in ("mend", "rescue"))
        scripts = dict.fromkeys(("feed", "beat", "settle", "release", "drop", "reset", "snapshot", "pause"), "")
        self._scripts = {
            name: client.register_script(ground + before + (lua / f"{name}.lua").read_text())
            for name, before in {**scripts, "claim": before_claim}.items()
        }

    @classmethod
    def from_settings(cls, settings: Settings, url: str | None = None) -> Self:
        """The queue of the settings, or the one at `url` by their rules. Raises QueueUnavailable."""
        if url is None:
            url = settings.redis_url.get_secret_value() if settings.redis_url is not None else ""
        policy = LanePolicy(settings.most_deaths, settings.age_s, settings.tenants)
        return cls.from_url(url, settings.max_attempts, policy=policy)

    @classmethod
    def from_url(
        cls, url: str, max_attempts: int = 5, timeout_s: float = TIMEOUT_S, policy: LanePolicy | None = None
    ) -> Self:
        """The queue at `url`. Nothing is asked of the server yet.

        A server that does not answer is noticed after `TRIES` times `timeout_s`. Raises QueueUnavailable for a wrong URL.
        """
        retry = Retry(ExponentialBackoff(cap=0.5, base=0.05), TRIES - 1)
        try:
            client = redis.Redis.from_url(  # no health check: it retries within each retry
                url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=retry, health_check_interval=0
            )
            parts = urlsplit(url)
            name = f"Redis at {parts.hostname or parts.path}:{parts.port or 6379}"
        except ValueError:  # its words may hold a part of the password
            raise QueueUnavailable(
                "NIGHTPRESS_REDIS_URL is not a Redis URL such as redis://:password@host:6379/0; "
                "percent-encode special characters in the password"
            ) from None
        return cls(client, max_attempts, name, policy)

    def feed(
        self,
        lane: str,
        batch_id: str,
        round_: int,
        cursor: int,
        next_cursor: int,
        at_end: bool,
        rows: Sequence[FeedRow],
    ) -> FeedReply:
        with self._answering():
            self._client.sadd(LANES, lane)
        head = (batch_id, round_, cursor, next_cursor, int(at_end), self._max_attempts)
        accepted, refused, truth, stands = self._run("feed", lane, *head, *chain.from_iterable(map(_feed_args, rows)))
        return FeedReply(bool(accepted), bool(refused), truth, stands)

    def claim(self, lane: str, claim_id: str, n: int, lease_ms: int, worker: WorkerRecord) -> ClaimReply:
        args = (claim_id, n, lease_ms, self._max_attempts, worker.worker, _record(worker), _old_ms(lease_ms), LOOK_AT)
        reply = self._run(
            "claim", lane, *args, worker.running, *self._rules, more_keys=(f"np:1:{{{lane}}}:claim:{claim_id}",)
        )
        jobs, ready, delayed, leased, paused, apart, reason = reply
        claimed = [_job(fields, claim_id) for fields in jobs]
        return ClaimReply(claimed, ready, delayed, leased, bool(paused), bool(apart), reason.decode())

    def beat(self, lane: str, leases: Sequence[Lease], lease_ms: int, worker: WorkerRecord) -> Beat:
        head = (lease_ms, worker.worker, _record(worker), _old_ms(lease_ms))
        lost, cancelled = self._run("beat", lane, *head, *chain.from_iterable(map(_lease_args, leases)))
        return Beat(frozenset(leases[i - 1] for i in lost), frozenset(leases[i - 1] for i in cancelled))

    def settle(self, lane: str, settlements: Sequence[Settlement]) -> frozenset[Lease]:
        args = ((*_lease_args(report.lease), report.action, report.delay_ms) for report in settlements)
        lost = self._run("settle", lane, *chain.from_iterable(args)) if settlements else ()
        return frozenset(settlements[i - 1].lease for i in lost)

    def release(self, lane: str, leases: Sequence[Lease]) -> frozenset[Lease]:
        lost = self._run("release", lane, *chain.from_iterable(map(_lease_args, leases))) if leases else ()
        return frozenset(leases[i - 1] for i in lost)

    def lanes(self) -> Sequence[str]:
        with self._answering():
            return sorted(name.decode() for name in self._client.smembers(LANES))

    def snapshot(self, lane: str) -> LaneSnapshot:
        paused, ready, delayed, leased, size, batches, counts, workers, reason, suspects = self._run("snapshot", lane)
        live = {name.decode(): max(int(n), 0) for name, n in _pairs(counts)}
        schedules = {name.decode(): _schedule(name.decode(), orjson.loads(raw), live) for name, raw in _pairs(batches)}
        records = [WorkerRecord(**orjson.loads(raw)) for raw in workers]
        return LaneSnapshot(
            lane, bool(paused), ready, delayed, leased, size, schedules, records, suspects, reason.decode()
        )

    def drop(self, lane: str, batch_id: str, round_: int, *, forget: bool) -> int:
        return int(self._run("drop", lane, batch_id, round_, int(forget)))

    def reset(self, lane: str, batch_id: str, version: int) -> bool:
        return bool(self._run("reset", lane, batch_id, version))

    def pause(self, lane: str) -> None:
        with self._answering():
            self._client.sadd(LANES, lane)
        self._run("pause", lane, 1)

    def resume(self, lane: str) -> None:
        self._run("pause", lane, 0)

    def ping(self) -> Mapping[str, str]:
        with self._answering():
            info = self._client.info()
        names = ("redis_version", "valkey_version", "maxmemory", "maxmemory_policy", "process_id")
        return {name: str(info[name]) for name in names if name in info}

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _run(self, script: str, lane: str, *args: Any, more_keys: Sequence[str] = ()) -> Any:
        keys = [f"np:1:{{{lane}}}:{key}" for key in KEYS]
        with self._answering():
            return self._scripts[script](keys=[*keys, *more_keys], args=args)

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except redis.exceptions.OutOfMemoryError as error:
            raise QueueUnavailable(f"{self._name} is full (maxmemory): give it more, or wait") from error
        except redis.exceptions.AuthenticationError as error:
            raise QueueUnavailable(f"{self._name} refuses the password or user in NIGHTPRESS_REDIS_URL") from error
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError) as error:
            raise QueueUnavailable(f"{self._name} does not answer: start it, or mend NIGHTPRESS_REDIS_URL") from error
        except redis.exceptions.RedisError as error:
            raise QueueUnavailable(f"{self._name}: {str(error).splitlines()[0][:200]}") from error


def _shares(policy: LanePolicy) -> bytes:
    shares = {name: {"weight": share.weight, "cap": share.rows_in_flight} for name, share in policy.tenants.items()}
    return orjson.dumps({name: {n: v for n, v in share.items() if v is not None} for name, share in shares.items()})


def _feed_args(row: FeedRow) -> tuple[Any, ...]:
    cost = min(max(row.cost, 1), 10**9)
    return (row.row, row.priority, row.tenant, cost, row.attempts, row.crashes, row.solo_crashes, _packed(row.payload))


def _packed(payload: bytes | InputSlice) -> bytes:
    if isinstance(payload, InputSlice):
        return f"@{payload.offset},{payload.length}".encode()
    return b"=" + payload


def _unpacked(packed: bytes) -> bytes | InputSlice:
    """The payload; bytes that are not one of ours come back as they are, and fail when the request is read."""
    if packed.startswith(b"@"):
        offset, _, length = packed[1:].partition(b",")
        if offset.isdigit() and length.isdigit():
            return InputSlice(int(offset), int(length))
    return packed[1:]


def _lease_args(lease: Lease) -> tuple[Any, ...]:
    return (str(lease.key), lease.round, lease.fence, lease.claim_id)


def _job(fields: Sequence[Any], claim_id: str) -> Job:
    name, round_, fence, attempt, crashes, burial, lost_fence, lost_claim, payload, solo, lost_solo, suspect = fields
    key = JobKey.parse(name.decode())
    lost = (Lease(key, round_, lost_fence, lost_claim.decode()),) if lost_fence >= 0 else ()
    return Job(
        lease=Lease(key, round_, fence, claim_id),
        payload=_unpacked(payload),
        attempt=max(attempt, 1),
        crashes=crashes,
        rescued=bool(lost) or bool(burial),
        burial=bool(burial),
        lost=lost,
        solo_crashes=solo,
        lost_solo=bool(lost_solo),
        suspect=bool(suspect),
    )


def _schedule(batch_id: str, record: Mapping[str, Any], live: Mapping[str, int]) -> BatchSchedule:
    return BatchSchedule(
        batch_id=batch_id,
        round=record["round"],
        cursor=record["cursor"],
        at_end=record["at_end"],
        closed=record["closed"],
        ready=live.get(f"{batch_id}|r", 0),
        delayed=live.get(f"{batch_id}|d", 0),
        leased=live.get(f"{batch_id}|l", 0),
        version=record["version"],
    )


def _record(worker: WorkerRecord) -> bytes:
    return orjson.dumps(worker)


def _old_ms(lease_ms: int) -> int:
    return max(lease_ms, RECORD_MS)


def _pairs(flat: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)

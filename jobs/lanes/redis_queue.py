"""The queue on Redis implements `Schedule` and `Lanes` of protocol.py with one script for each atomic step.

A call may be sent twice after a lost connection. A step that happens twice does no harm: a feed compares the cursor, a claim
with the same id gives the same jobs, and a report on a lease that is no longer valid changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final, Self

from jobs.errors import QueueUnavailable, StoreUnavailable
from jobs.lanes.job import Lease
from jobs.lanes.protocol import Beat, ClaimReply, FeedReply, FeedRow, LanePolicy, LaneSnapshot, Settlement, WorkerRecord
from jobs.lanes.records import (
    feed_args,
    jobs_of,
    lease_lines,
    pairs,
    report_lines,
    schedules_of,
    shown_ms,
    tenants_json,
    worker_bytes,
    workers_of,
)
from jobs.lanes.redis_connection import TIMEOUT_S, RedisClient, RedisConnection
from jobs.lanes.scripts import PROBE, lane_key, lane_keys, lanes_key
from jobs.settings import Settings
from jobs.store.identity import NO_ID, StoreId
from jobs.store.store import Store

LOOK_AT: Final = 1024
"""One claim makes at most this many delayed jobs ready, and rescues at most this many: more than a worker has in hand."""

REPORTS: Final = ("beat", "settle", "release")
"""The scripts by which a worker reports on its leases. They use the id of the store as it was last read (rule 42)."""

BLOCKED_PART: Final = 0.6
"""`wait_for_rows` waits for at most this part of the time after which a command counts as lost."""

INFO: Final = ("redis_version", "valkey_version", "maxmemory", "maxmemory_policy", "process_id")
"""The fields of the server's INFO that `ping` returns, if the server has them."""


class RedisQueue:
    """This queue implements `Schedule` and `Lanes`. Threads may share it. Every call may raise QueueUnavailable.

    A row that is fed after `max_attempts` attempts is dying: it is claimed as a burial (rule 11 of jobs/PROTOCOL.md). The queue
    has only the lanes of `store`, by the id of that store (rule 42). If `store` is None, it has the lanes that belong to no
    store.
    """

    def __init__(
        self,
        redis: RedisConnection | RedisClient,
        max_attempts: int = 5,
        policy: LanePolicy | None = None,
        store: Store | None = None,
    ) -> None:
        policy = policy or LanePolicy()
        self._store_id = StoreId(store) if store is not None else None
        self._redis = redis if isinstance(redis, RedisConnection) else RedisConnection(redis)
        self._max_attempts = max_attempts
        self._rules = (LOOK_AT, policy.pause_after_deaths, int(policy.priority_aging_s * 1000), tenants_json(policy))

    @classmethod
    def from_settings(cls, settings: Settings, store: Store | None, url: str | None = None) -> Self:
        """Return the queue of `store`, with the policy of the settings. It is at `url`, or by default at the URL of the
        settings.
        """
        if url is None:
            url = settings.redis_url.get_secret_value() if settings.redis_url is not None else ""
        policy = LanePolicy(settings.pause_after_deaths, settings.priority_aging_s, settings.tenants)
        return cls.from_url(url, settings.max_attempts, policy=policy, ca=settings.redis_ca, store=store)

    @classmethod
    def from_url(
        cls,
        url: str,
        max_attempts: int = 5,
        timeout_s: float = TIMEOUT_S,
        policy: LanePolicy | None = None,
        ca: Path | None = None,
        store: Store | None = None,
    ) -> Self:
        """Return the queue of `store` at `url`, which `RedisConnection.from_url` describes."""
        return cls(RedisConnection.from_url(url, timeout_s, ca), max_attempts, policy, store)

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
        due_ms: int = 0,
    ) -> FeedReply:
        self._redis.command("SADD", lanes_key(self._made_id()), lane)
        head = (batch_id, round_, cursor, next_cursor, int(at_end), self._max_attempts, int(finish), due_ms)
        args = chain.from_iterable(feed_args(round_, row) for row in rows)
        accepted, refused, found_round, found_cursor = self._run("feed", lane, *head, *args)
        return FeedReply(bool(accepted), bool(refused), found_round, found_cursor)

    def claim(
        self,
        lane: str,
        claim_id: str,
        n: int,
        lease_ms: int,
        worker: WorkerRecord,
        *,
        keep_ms: int = 0,
        scope: str = "",
    ) -> ClaimReply:
        if "|" in claim_id or "\n" in claim_id:  # | separates the fields of a record, and a newline separates leases
            raise ValueError(f"a claim id has no | and is one line: {claim_id}")
        args = (claim_id, n, worker.worker, worker_bytes(worker), worker.running)
        times = (lease_ms, shown_ms(lease_ms))
        names = (f"claim:{claim_id}", f"keeper:{scope}")
        more_keys = tuple(lane_key(self._id(), lane, name) for name in names)
        reply = self._run("claim", lane, *args, *times, *self._rules, keep_ms, more_keys=more_keys)
        jobs, ready, delayed, leased, paused, apart, reason, dry, keeps, news, workers = reply
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
            dry=bool(dry),
            keeps=bool(keeps),
            news=news.decode(),
            workers=workers,
        )

    def _payloads(self, lane: str, jobs: Sequence[bytes]) -> list[bytes]:
        """Return the stored payload of each claimed job. A lost payload is empty, and its request is then read from storage."""
        found = self._redis.command("HMGET", lane_key(self._known_id(), lane, "payload"), *jobs)
        return [payload or b"" for payload in found]

    def beat(self, lane: str, leases: Sequence[Lease], lease_ms: int, worker: WorkerRecord) -> Beat:
        head = (lease_ms, worker.worker, worker_bytes(worker), shown_ms(lease_ms))
        ended = self._run("beat", lane, *head, lease_lines(leases))
        return Beat(*(frozenset(leases[i - 1] for i in numbers) for numbers in ended))

    def make_id(self) -> None:
        self._made_id()

    def wait_for_rows(self, lane: str, timeout_s: float) -> bool:
        wait_s = min(timeout_s, self._redis.timeout_s * BLOCKED_PART)
        return self._redis.command("BLPOP", lane_key(self._known_id(), lane, "wake"), f"{wait_s:.3f}") is not None

    def leave(self, lane: str, worker: str) -> None:
        self._redis.command("HDEL", lane_key(self._known_id(), lane, "workers"), worker)

    def settle(self, lane: str, settlements: Sequence[Settlement]) -> frozenset[Lease]:
        lost = self._run("settle", lane, report_lines(settlements)) if settlements else ()
        return frozenset(settlements[i - 1].lease for i in lost)

    def release(self, lane: str, leases: Sequence[Lease]) -> frozenset[Lease]:
        lost = self._run("release", lane, lease_lines(leases)) if leases else ()
        return frozenset(leases[i - 1] for i in lost)

    def lanes(self) -> Sequence[str]:
        return sorted(name.decode() for name in self._redis.command("SMEMBERS", lanes_key(self._id())))

    def snapshot(self, lane: str, *batch_ids: str, workers: bool = True) -> LaneSnapshot:
        reply = self._run("snapshot", lane, int(workers and not batch_ids), *batch_ids)
        paused, ready, delayed, leased, size, batches, counts, records, reason, suspects, now_ms = reply
        live = {name.decode(): max(int(n), 0) for name, n in pairs(counts)}
        return LaneSnapshot(
            lane=lane,
            paused=bool(paused),
            ready=ready,
            delayed=delayed,
            leased=leased,
            bytes=size,
            batches=schedules_of(batches, live),
            workers=workers_of(records[1::2], int(now_ms)),
            suspects=suspects,
            reason=reason.decode(),
        )

    def drop(self, lane: str, batch_id: str, round_: int, *, forget: bool, finish: bool = False) -> int:
        return int(self._run("drop", lane, batch_id, round_, int(forget), int(finish)))

    def reset(self, lane: str, batch_id: str, version: int) -> bool:
        return bool(self._run("reset", lane, batch_id, version))

    def pause(self, lane: str) -> None:
        self._redis.command("SADD", lanes_key(self._made_id()), lane)
        self._run("pause", lane, 1)

    def resume(self, lane: str) -> None:
        self._run("pause", lane, 0)

    def announce(self, lane: str, batch_id: str) -> None:
        self._redis.command("SADD", lanes_key(self._made_id()), lane)
        self._run("announce", lane, batch_id)

    def ping(self, slow: Callable[[str], object] | None = None) -> Mapping[str, str]:
        info = self._redis.info(slow)
        return {name: str(info[name]) for name in INFO if name in info}

    def check(self) -> None:
        self._redis.command("HSET", PROBE, "check", "")  # a full Redis refuses this write, as it refuses new rows
        self._redis.command("HDEL", PROBE, "check")

    def check_wakes(self) -> None:
        self._redis.command("BLPOP", PROBE, "0.01")

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _run(self, script: str, lane: str, *args: Any, more_keys: Sequence[str] = ()) -> Any:
        store_id = self._known_id() if script in REPORTS else self._id()
        return self._redis.run(script, (*lane_keys(store_id, lane), *more_keys), args)

    def _known_id(self) -> str:
        """Return the id of the store as it was last read. Beats and reports use this id, so that a slow storage does not hold
        them up.
        """
        return NO_ID if self._store_id is None else self._store_id.known

    def _id(self) -> str:
        """Return the id of the store. If no id is known, the store is read. Raises QueueUnavailable if it cannot be read."""
        return NO_ID if self._store_id is None else _or_unavailable(self._store_id.look)

    def _made_id(self) -> str:
        """Return the id of the store, and create the id if the store has none. Raises QueueUnavailable if the storage fails."""
        return NO_ID if self._store_id is None else _or_unavailable(self._store_id.make)


def _or_unavailable(read: Callable[[], str]) -> str:
    try:
        return read()
    except StoreUnavailable as error:
        raise QueueUnavailable(f"which queue belongs to this store is not known: {error}") from error

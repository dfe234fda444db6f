"""Shows jobs/lanes/redis_queue.py over an imitation and real servers: all scripts together, many jobs, and a full server."""

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from jobs.errors import QueueUnavailable, StoreUnavailable
from jobs.lanes.job import Lease
from jobs.lanes.protocol import Settlement
from jobs.lanes.redis_queue import RedisQueue
from jobs.lanes.scripts import PROBE
from jobs.store.identity import PATH, make_id
from jobs.store.local import LocalStore
from tests.support.lane import LANE, LEASE_MS, ME, claim, counts, fed, key, row, rows_of

if TYPE_CHECKING:
    from tests.conftest import Server


def test_more_jobs_than_a_command_takes_arguments(queue: RedisQueue) -> None:
    """Every step is made on 2,500 jobs at once."""
    fed(queue, [row(n) for n in range(2500)])
    jobs = claim(queue, 2500)
    assert claim(queue, 2500) == jobs
    leases = [job.lease for job in jobs]
    assert len(set(rows_of(jobs))) == 2500
    assert queue.beat(LANE, leases, LEASE_MS, ME).lost == frozenset()
    assert queue.release(LANE, leases[:1200]) == frozenset()
    assert queue.settle(LANE, [Settlement(lease) for lease in leases[1200:]]) == frozenset()
    assert counts(queue) == (1200, 0, 0)
    assert queue.drop(LANE, "b", 1, forget=True) == 1200


def test_all_forgotten_is_fed_again(queue: RedisQueue, client: redis.Redis) -> None:
    fed(queue, [row(0)])
    (job,) = claim(queue)
    client.flushall()
    client.script_flush()
    assert queue.settle(LANE, [Settlement(job.lease)]) == {job.lease}
    assert queue.beat(LANE, [job.lease], LEASE_MS, ME).lost == {job.lease}
    fed(queue, [row(0)])
    assert rows_of(claim(queue, claim_id="c-2")) == [0]


def test_a_server_that_was_killed_and_started_again_has_forgotten_all(redis_server: "Server") -> None:
    queue = RedisQueue.from_url(redis_server.url, max_attempts=3)
    fed(queue, [row(0)])
    (job,) = claim(queue)
    redis_server.kill()
    with pytest.raises(QueueUnavailable, match="does not answer"):
        claim(queue, claim_id="c-2")
    redis_server.start()
    assert queue.lanes() == []
    assert queue.settle(LANE, [Settlement(job.lease)]) == {job.lease}
    fed(queue, [row(0)])
    assert rows_of(claim(queue, claim_id="c-2")) == [0]
    queue.close()


def test_a_lane_that_went_back_in_time_gives_out_again_what_was_settled(queue: RedisQueue, client: redis.Redis) -> None:
    """Leases from before the saved moment hold, and leases from after it do not. Storage knows which rows are done already."""
    fed(queue, [row(n) for n in range(3)])
    (first,) = claim(queue, 1)
    names: list[Any] = client.keys("np:2:*")
    saved = {name: client.dump(name) or b"" for name in names}
    (second,) = claim(queue, 1, "c-2")
    queue.settle(LANE, [Settlement(first.lease)])
    client.flushall()
    for name, value in saved.items():
        client.restore(name, 0, value, replace=True)
    assert queue.settle(LANE, [Settlement(second.lease)]) == {second.lease}
    assert len(claim(queue, 5, "c-3")) == 2
    assert queue.settle(LANE, [Settlement(first.lease)]) == frozenset()
    assert counts(queue) == (0, 0, 2)


def test_threads_claim_and_settle_each_job_once(client: redis.Redis) -> None:
    queue = RedisQueue(client, max_attempts=3)
    total = 2000
    fed(queue, [row(n, cost=n % 7, tenant=f"t{n % 3}") for n in range(total)])
    seen: list[int] = []
    lost: list[Lease] = []

    def work(name: str) -> None:
        n = 0
        while jobs := claim(queue, 32, f"{name}-{n}"):
            seen.extend(rows_of(jobs))
            lost.extend(queue.settle(LANE, [Settlement(job.lease) for job in jobs]))
            n += 1

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(seen) == Counter(range(total))
    assert lost == []
    assert counts(queue) == (0, 0, 0)


@pytest.mark.parametrize("server", ["redis-server", "valkey"])
def test_at_maxmemory_only_feeding_is_refused(servers: Callable[[str], str], server: str) -> None:
    with redis.Redis.from_url(servers(server)) as client:
        client.flushall()
        queue = RedisQueue(client, max_attempts=3)
        fed(queue, [row(0), row(1)])
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(QueueUnavailable, match="full"):
                queue.feed(LANE, "b2", 1, 0, 1, True, [row(5)])
            client.delete(key("ready"))  # the claim must mend the lane, which takes memory too
            jobs = claim(queue)
            assert queue.beat(LANE, [job.lease for job in jobs], LEASE_MS, ME).lost == frozenset()
            assert queue.release(LANE, [jobs[0].lease]) == frozenset()
            assert queue.settle(LANE, [Settlement(jobs[1].lease)]) == frozenset()
            assert queue.drop(LANE, "b", 1, forget=True) == 1
        finally:
            client.config_set("maxmemory", 0)


@pytest.mark.parametrize("server", ["redis-server", "valkey"])
def test_rescue_and_retry_at_maxmemory_do_not_grow(servers: Callable[[str], str], server: str) -> None:
    """A worker lives and dies many times. Each life releases, retries and loses jobs. scripts/checks/full_redis.py does this
    for longer.
    """
    with redis.Redis.from_url(servers(server)) as client:
        client.flushall()
        client.config_set("hash-max-listpack-value", 1)  # a record that grows by a byte must not change the key's form
        queue = RedisQueue(client, max_attempts=3)
        fed(queue, [row(n) for n in range(60)], at_end=False)
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        sizes = []
        try:
            for life in range(300):
                leases = [job.lease for job in claim(queue, 9, f"w-{life}-0")]
                queue.release(LANE, leases[::2])
                queue.settle(LANE, [Settlement(lease, "retry", 0) for lease in leases[1::2]])
                claim(queue, 5, f"w-{life}-1", lease_ms=1)  # the worker dies with these jobs
                queue.resume(LANE)
                names: list[Any] = [name for name in client.keys("np:2:*") if b":claim:" not in name]
                sizes.append(sum(client.memory_usage(name, samples=0) or 0 for name in names))
                client.delete(*client.keys("*:claim:*"))
            assert sum(counts(queue)) == 60
            with pytest.raises(QueueUnavailable, match="full"):
                queue.feed(LANE, "b", 1, 100, 200, True, [row(99)])
        finally:
            client.config_set("maxmemory", 0)
            client.config_set("hash-max-listpack-value", 64)
    assert max(sizes[250:]) <= max(sizes[150:250]) * 1.02


@pytest.mark.parametrize("record", [b"{}", b"9999999999999|{}", b"9999999999999|\xff", b"9999999999999|[1]"])
def test_a_damaged_record_of_a_worker_is_left_out(queue: RedisQueue, client: redis.Redis, record: bytes) -> None:
    queue.beat(LANE, [], LEASE_MS, ME)
    client.hset(key("workers"), "w-2", record)
    assert queue.snapshot(LANE).workers == [ME]


def test_ping_returns_version_and_memory(servers: Callable[[str], str]) -> None:
    info = RedisQueue.from_url(servers("valkey")).ping(pytest.fail)
    assert {"redis_version", "maxmemory", "maxmemory_policy"} <= info.keys()


def test_check_leaves_nothing(servers: Callable[[str], str]) -> None:
    queue = RedisQueue.from_url(servers("valkey"))
    queue.check()
    with redis.Redis.from_url(servers("valkey")) as client:
        assert not client.exists(PROBE)


def test_check_finds_a_server_that_is_full(redis_url: str) -> None:
    """A full Redis refuses new rows, but not the commands that free memory."""
    queue = RedisQueue.from_url(redis_url)
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(QueueUnavailable, match="is full"):
            queue.check()
        client.config_set("maxmemory", "0")
    queue.check()


def test_a_worker_that_has_left_is_shown_no_more(queue: RedisQueue) -> None:
    queue.beat(LANE, [], LEASE_MS, ME)
    queue.leave(LANE, "w-2")
    assert queue.snapshot(LANE).workers == [ME]
    queue.leave(LANE, ME.worker)
    queue.leave(LANE, ME.worker)
    assert queue.snapshot(LANE).workers == []


def test_check_finds_a_replica(redis_url: str) -> None:
    """A replica answers reads and refuses writes."""
    queue = RedisQueue.from_url(redis_url)
    with redis.Redis.from_url(redis_url) as client:
        client.replicaof("127.0.0.1", 1)
        assert queue.ping()
        with pytest.raises(QueueUnavailable, match="read only replica") as raised:
            queue.check()
    assert "\n" not in str(raised.value)


def test_stores_on_one_server_see_nothing_of_each_other(client: redis.Redis, tmp_path: Path) -> None:
    """One store, another store and a store without an id have lanes of the same name. A call of one store's queue changes no
    other lane.
    """
    ours, theirs, new = (RedisQueue(client, 3, store=LocalStore(str(tmp_path / name))) for name in ("a", "b", "c"))
    fed(ours, [row(0), row(1)])
    fed(theirs, [row(0)])
    (job, _) = claim(ours)
    theirs.pause(LANE)
    for queue, lanes, paused, live in ((ours, [LANE], False, 2), (theirs, [LANE], True, 1), (new, [], False, 0)):
        seen = queue.snapshot(LANE)
        assert (queue.lanes(), seen.paused, seen.ready + seen.leased) == (lanes, paused, live)
    assert claim(new, claim_id="c-2") == claim(theirs, claim_id="c-2") == []
    assert theirs.beat(LANE, [job.lease], LEASE_MS, ME).lost == {job.lease}
    assert theirs.settle(LANE, [Settlement(job.lease)]) == theirs.release(LANE, [job.lease]) == {job.lease}
    assert theirs.drop(LANE, "b", 1, forget=True) == 1
    theirs.resume(LANE)
    assert counts(ours) == (0, 0, 2)
    assert not new.reset(LANE, "b", ours.snapshot(LANE).batches["b"].version)
    assert not ours.settle(LANE, [Settlement(job.lease)])
    assert not (tmp_path / "c").exists(), "a queue that only looks makes no store"


def test_a_pause_before_the_first_batch_is_kept(client: redis.Redis, tmp_path: Path) -> None:
    queue = RedisQueue(client, 3, store=LocalStore(str(tmp_path)))
    queue.pause(LANE)
    fed(queue, [row(0)])
    assert queue.snapshot(LANE).paused


def test_a_beat_needs_no_storage_and_the_first_claim_waits_for_it(client: redis.Redis, tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    make_id(store)
    queue, late = (RedisQueue(client, 3, store=Away(str(tmp_path))) for _ in range(2))
    fed(queue, [row(0)])
    (job,) = claim(queue)
    Away.away = True
    try:
        assert not queue.beat(LANE, [job.lease], LEASE_MS, ME).lost
        assert not queue.settle(LANE, [Settlement(job.lease)])
        with pytest.raises(QueueUnavailable, match="away"):
            claim(late)
    finally:
        Away.away = False
    assert claim(late) == []


class Away(LocalStore):
    """A store whose id cannot be read while the store is away."""

    away = False

    def read(self, path: str) -> bytes:
        assert path == PATH
        if self.away:
            raise StoreUnavailable("the store is away")
        return super().read(path)


def test_a_snapshot_of_some_batches_has_these_alone(queue: RedisQueue) -> None:
    for batch in ("a", "b", "c"):
        fed(queue, [row(0), row(1)], batch)
    claim(queue, 3)
    whole, part = queue.snapshot(LANE), queue.snapshot(LANE, "c", "none", "a")
    assert part.batches == {name: whole.batches[name] for name in ("a", "c")}
    assert (part.ready, part.leased, len(part.workers), len(whole.workers)) == (whole.ready, whole.leased, 0, 1)

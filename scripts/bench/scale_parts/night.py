"""Runs the night of `scripts/bench/scale.py`: light workers, a feeder and one whole worker on a real Redis and a real store.

To Redis and storage, a light worker looks like a real worker: it has a name and a record, claims, waits as long as the stub
engine would take, writes segments and settles. A light worker has no engine and no separate process, so a thousand light workers
fit on a laptop. It sends no beats, because its leases are long enough. The one whole worker is the real runner over the stub
engine. It is there to measure the memory of a real worker. Claims are sent as EVAL, and all other scripts as EVALSHA, so that
Redis' own statistics of EVAL are those of claims.
"""

import heapq
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from jobs.batches.batch import BatchPaths
from jobs.batches.open_batches import OpenBatches
from jobs.batches.segments import segment
from jobs.kinds.registry import load_kinds
from jobs.lanes.feed import Feeder
from jobs.lanes.job import ClaimId, Lease
from jobs.lanes.protocol import Settlement, WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from jobs.lanes.scripts import lane_keys, sources
from jobs.settings import Settings
from jobs.store.opening import open_store
from jobs.store.store import Store
from scripts.bench.scale_parts.batches import LANE, completed
from workers.engines.stub.engine import StubEngine, StubOptions
from workers.worker.context import WorkerContext
from workers.worker.runner import Runner

LEASE_MS: Final = 180_000
"""Milliseconds of a lease. A lease must last until a light worker has claimed, finished, written and settled a row."""
CLAIMED: Final = 16
"""Rows that a light worker claims in one call."""
FLUSHED: Final = 192
"""A light worker writes a segment when at least this many rows are finished."""
STEP_S: Final = 0.02
"""Seconds of a step of the stub engine, which gives each running row one word. Light workers wait as long for a word."""
WORDS: Final = (40, 160)
"""The fewest and the most words of a row of a light worker. Their number is random."""
POLL_S: Final = 0.1


class EvalClaims(RedisQueue):
    """A queue that sends claims as EVAL, so that Redis measures claims separately."""

    def _run(self, script: str, lane: str, *args: Any, more_keys: Sequence[str] = ()) -> Any:
        if script != "claim":
            return super()._run(script, lane, *args, more_keys=more_keys)
        keys = (*lane_keys(self._known_id(), lane), *more_keys)
        return self._redis.command("EVAL", sources()["claim"], len(keys), *keys, *args)


class LightWorker:
    """A light worker. `next_at` is the time at which its rows are done and `turn` must be called, in seconds of the monotonic
    clock.
    """

    def __init__(self, name: str, store: Store, queue: RedisQueue, size: int) -> None:
        self.name = name
        self.next_at = 0.0
        self._store, self._queue, self._size = store, queue, size
        self._chance = random.Random(name)
        self._claims = self._segments = 0
        self._running: list[Lease] = []
        self._finished: list[Lease] = []

    def turn(self, now: float) -> int:
        """End the running rows, and claim new rows. Write and settle the finished rows if there are FLUSHED or no row is running.

        Returns the number of settled rows.
        """
        self._finished += self._running
        record = WorkerRecord(self.name, 1, "bench", LANE, 0)
        reply = self._queue.claim(LANE, str(ClaimId(self.name, "1", self._claims)), CLAIMED, LEASE_MS, record)
        self._claims += 1
        self._running = [job.lease for job in reply.jobs]
        settled = self._flush() if len(self._finished) >= FLUSHED or not self._running else 0
        words = max((self._chance.randint(*WORDS) for _ in self._running), default=10)
        self.next_at = now + words * STEP_S
        return settled

    def _flush(self) -> int:
        done, self._finished = self._finished, []
        if not done:
            return 0
        self._segments += 1
        outcomes = [
            completed(lease.key.row, self._size, round=lease.round, fence=lease.fence, claim_id=lease.claim_id)
            for lease in done
        ]
        segment.write(self._store, BatchPaths(done[0].key.batch_id), outcomes, self.name, "1", self._segments)
        if self._queue.settle(LANE, [Settlement(lease) for lease in done]):
            sys.exit("a lease was lost: the benchmark runs too slowly for its leases")
        return len(done)


def settings_of(store_url: str, redis_url: str, window: int) -> Settings:
    """Return the default settings, with this storage and this Redis, and with a window of `window` rows on the lane."""
    values = {
        "store_url": store_url,
        "redis_url": redis_url,
        "window_rows": window,
        "window_bytes": max(64 << 20, window * 4096),
    }
    return Settings.model_validate(values)


def light(settings: Settings, workers: int, size: int, name: str) -> None:
    """Run `workers` light workers until SIGTERM."""
    store = open_store(settings.store_url)
    queue = EvalClaims.from_settings(settings, store)
    due = [(0.0, n, LightWorker(f"{name}{n}", store, queue, size)) for n in range(workers)]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        at, n, worker = heapq.heappop(due)
        if (early := at - time.monotonic()) > 0:
            time.sleep(early)
        worker.turn(time.monotonic())
        heapq.heappush(due, (worker.next_at, n, worker))


def feed(settings: Settings) -> None:
    """Until SIGTERM, feed the lane as a worker's claimer does, whenever the lane is less than half full.

    At SIGTERM, print three numbers and exit: the rows that were fed, the seconds that feeding took, and the seconds of CPU time
    that feeding took.
    """
    store = open_store(settings.store_url)
    queue = EvalClaims.from_settings(settings, store)
    batches = OpenBatches(store, batch_scan_s=settings.batch_scan_s)
    feeder = Feeder(store, queue, batches, settings)
    rows, busy_s, cpu_s = 0, 0.0, 0.0

    def end(*_: object) -> None:
        os.write(1, f"{rows} {busy_s} {cpu_s}\n".encode())
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    while True:
        ready = queue.snapshot(LANE).ready
        if ready * 2 < settings.window_rows:
            batches.scan()
            began, cpu_began = time.perf_counter(), time.process_time()
            if added := feeder.top_up(LANE, ready):
                rows += added
                busy_s += time.perf_counter() - began
                cpu_s += time.process_time() - cpu_began
        time.sleep(POLL_S)


def whole(settings: Settings) -> None:
    """Run one real worker over the stub engine until SIGTERM."""
    store = open_store(settings.store_url)
    queue = EvalClaims.from_settings(settings, store)
    batches = OpenBatches(store, batch_scan_s=settings.batch_scan_s)
    engine = StubEngine(StubOptions(step_s=STEP_S))
    context = WorkerContext.over(
        store, queue, batches, settings, worker="whole", node="bench", model=LANE, stats=engine.stats(), kinds=load_kinds(),
        identity={"engine": "stub"},
    )  # fmt: skip
    runner = Runner(context, engine)
    signal.signal(signal.SIGTERM, lambda *_: runner.stop(10))
    runner.run()

"""The one builder of "a store, a queue, a batch" for tests in one process.

A `Night` has a store, a queue on a Redis (or on its imitation), settings, kinds and a clock. Each method is one event of a
night, named by the field's term, so a test reads as a sequence of events:

    night = Night(store, client)
    batch = night.accept(4)                    # intake: rows 0 to 3 of chats on the lane `stub`
    jobs = night.claim(2)                      # feed the lane, then lease two rows
    night.finish(jobs)                         # a segment, then the settlement
    night.finish(night.claim(2), failed)
    night.sweep()                              # publish what is complete
    output, errors = night.published(batch.batch_id)

Settings are given once, as `settings_of(flush_s=0.1)`, or changed with `night.change(...)`. Time is real unless a test
passes the methods of a `MovedClock` (`tests/support/clocks.py`). This module does not need the extra `workers`: tests that run
real workers use `WorkerNight` (`tests/support/worker_night.py`), and tests with processes use `tests/faults/premises.py`. A
test that needs only storage never calls the methods of the queue.
"""

import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import redis

from jobs.batches.batch import Batch, BatchPaths, Done
from jobs.batches.open_batches import OpenBatches
from jobs.batches.published import ERRORS, OUTPUT, read_published, verify
from jobs.batches.rounds import latest_done
from jobs.batches.segments.line import Outcome
from jobs.batches.segments.name import SegmentName
from jobs.batches.segments.segment import read_outcomes, write
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.kind import Kind
from jobs.kinds.registry import load_kinds
from jobs.lanes.feed import Feeder
from jobs.lanes.job import ClaimId, Job, Lease
from jobs.lanes.protocol import LanePolicy, LaneSnapshot, Settlement, WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from jobs.prices import Prices
from jobs.publishing.publish import publish
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.store import Store
from tests.support.outcomes import completed

LANE: Final = "stub"
"""The lane of the model `stub`, which is the lane of all rows unless they or the options name another model."""
LEASE_MS: Final = 60_000


def settings_of(**given: Any) -> Settings:
    """Settings for a test: three attempts without backoff, and quick flushes and sweeps."""
    quick = {"model": LANE, "max_attempts": 3, "backoff_s": 0.0, "flush_s": 0.02, "publish_check_s": 0.01}
    return Settings(**{**quick, **given})


def chats(n: int, **fields: Any) -> list[dict[str, Any]]:
    """`n` rows of the kind chat. `fields` are added to each of them."""
    return [{"kind": "chat", "prompt": f"Say {i}.", **fields} for i in range(n)]


def real_now() -> datetime:
    """The real time of day."""
    return datetime.now(UTC)


@dataclass
class Night:
    """A store and a queue, and everything that can happen between them without workers."""

    store: Store
    client: redis.Redis
    settings: Settings = field(default_factory=settings_of)
    kinds: dict[str, Kind] = field(default_factory=lambda: dict(load_kinds()))
    now: Callable[[], datetime] = real_now
    monotonic: Callable[[], float] = time.monotonic
    batch_id: str = ""
    """The batch that was accepted last. Methods use it if the caller names no batch."""

    def __post_init__(self) -> None:
        self._claims = itertools.count()
        self._segments = itertools.count(1)
        self.change()

    def change(self, **settings: Any) -> None:
        """Change settings, without validation. They hold for all objects that are made afterwards."""
        self.settings = self.settings.model_copy(update=settings)
        policy = LanePolicy(
            self.settings.pause_after_deaths, self.settings.priority_aging_s, dict(self.settings.tenants)
        )
        self.queue = RedisQueue(self.client, self.settings.max_attempts, policy=policy)
        self.batches = self.open_batches()
        self.feeder = Feeder(self.store, self.queue, self.batches, self.settings, self.monotonic)

    def open_batches(self) -> OpenBatches:
        """Return the open batches as another process would find them. They ask the storage at every scan."""
        return OpenBatches(self.store, batch_scan_s=0.0, monotonic=self.monotonic)

    # -- intake

    def accept(self, rows: int | Sequence[Mapping[str, Any] | bytes], name: str = "night", **options: Any) -> Batch:
        """Accept a batch of `rows` chats, or of these rows; bytes are used unchanged. `options` are those of IntakeOptions.

        The name is the run key too, so the same rows under the same name are the same batch.
        """
        given = chats(rows) if isinstance(rows, int) else rows
        lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in given]
        batch = accept(
            self.store,
            lines,
            IntakeOptions(name=name, **{"model": LANE, **options}),
            kinds=self.kinds,
            settings=self.settings,
            run_key=name,
            clock=self.now,
        ).batch
        self.batch_id = batch.batch_id
        return batch

    # -- the queue

    def feed(self, lane: str = LANE) -> int:
        """Fill the lane's window from storage. Returns the number of rows that were added."""
        self.batches.scan(now=True)
        return self.feeder.top_up(lane)

    def claim(self, n: int = 100, worker: str = "other", incarnation: str = "i", lane: str = LANE) -> Sequence[Job]:
        """Feed, then lease up to `n` rows, as a worker with no rows in hand."""
        self.feed(lane)
        claim_id = ClaimId(worker, incarnation, next(self._claims))
        record = WorkerRecord(worker, 1, "n-1", lane, 0)
        return self.queue.claim(lane, str(claim_id), n, LEASE_MS, record).jobs

    def finish(self, jobs: Sequence[Job], outcome: Callable[[Lease], Outcome] = completed, lane: str = LANE) -> None:
        """Write a segment with an outcome for each job, then settle. All jobs must be of one batch."""
        self.write([outcome(job.lease) for job in jobs], jobs[0].key.batch_id)
        self.queue.settle(lane, [Settlement(job.lease) for job in jobs])

    def expire_leases(self, lane: str = LANE) -> None:
        """Let all leases of a lane run out at once."""
        leased = f"np:2:{{-/{lane}}}:leased"
        held: Any = self.client.zrange(leased, 0, -1)
        self.client.zadd(leased, dict.fromkeys(held, 1))

    def snapshot(self, lane: str = LANE) -> LaneSnapshot:
        """The lane at this moment."""
        return self.queue.snapshot(lane)

    # -- storage

    def write(self, outcomes: Sequence[Outcome], batch_id: str = "", worker: str = "other") -> str:
        """Write one more segment. Returns its name."""
        paths = BatchPaths(batch_id or self.batch_id)
        return write(self.store, paths, outcomes, worker, "i", next(self._segments))

    def outcomes(self, batch_id: str = "") -> list[Outcome]:
        """Every line of the batch's segments, in the order in which a worker numbered them."""
        paths = BatchPaths(batch_id or self.batch_id)
        names = sorted(self.store.list(paths.segments), key=lambda name: SegmentName.parse(name).n)
        return [line for name in names for line in read_outcomes(self.store, paths.segment(name))]

    # -- publishing

    def sweeper(self) -> Sweeper:
        """A sweeper over the store and the queue, with open batches of its own."""
        return Sweeper(
            self.store,
            self.queue,
            self.open_batches(),
            self.settings.prices,
            clock=self.now,
            breaker_rows=self.settings.breaker_rows,
            compact_segments=self.settings.compact_segments,
        )

    def sweep(self) -> Sweeper:
        """Make a new sweeper, sweep once, and return it."""
        sweeper = self.sweeper()
        sweeper.sweep()
        return sweeper

    def publish(self, batch_id: str = "", prices: Prices | None = None) -> Done:
        """Publish a batch without a sweeper. Fails if the batch is not complete."""
        done = publish(self.store, batch_id or self.batch_id, prices=prices or self.settings.prices, clock=self.now)
        assert isinstance(done, Done), done
        return done

    def published(self, batch_id: str = "") -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The rows of output.jsonl and of errors.jsonl of the latest round. Fails if a sum or a hash is wrong."""
        batch_id = batch_id or self.batch_id
        assert verify(self.store, batch_id) == []
        done = self.done(batch_id)
        output, errors = (list(read_published(self.store, done, batch_id, name)) for name in (OUTPUT, ERRORS))
        return output, errors

    def done(self, batch_id: str = "") -> Done:
        """The latest published round. Fails if there is none."""
        done = latest_done(self.store, batch_id or self.batch_id)
        assert done is not None
        return done

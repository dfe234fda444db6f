"""The context of a worker: the parts that its runner, claimer, flusher and heartbeat share."""

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Self

from jobs.batches.known_batches import KnownBatches
from jobs.batches.open_batches import OpenBatches
from jobs.errors import QueueUnavailable
from jobs.kinds.kind import Kind
from jobs.kinds.row_checks import RowChecks, row_checks, unchecked
from jobs.lanes.feed import Feeder, FeedQueue
from jobs.lanes.job import ClaimId, Lease
from jobs.lanes.protocol import Schedule, WorkerRecord
from jobs.logs import logger
from jobs.settings import Settings
from jobs.store.store import Store
from jobs.writing.templates import Templates
from workers.engines.protocol import EngineStats
from workers.monitoring.traces import RowTraces
from workers.monitoring.worker_metrics import WorkerMetrics
from workers.worker.failing_batches import FailingBatches
from workers.worker.leases import Leases
from workers.worker.outcome import OutcomeBuilder
from workers.worker.retry import RetryPolicy


def now() -> datetime:
    """Return the present date and time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """Everything that a worker works with, except the engine, which only the runner's thread may touch.

    A context serves one life of a worker. `incarnation` tells this life from other lives with the same worker name. `slots` is
    the number of rows that the engine works on at once, and `load_s` the seconds that its model took to load. `batches` are for
    the worker that keeps the lane, and for rows that need the outcomes of others; `known_batches` are for each row. `scope` tells
    workers of all batches, for which it is empty, from workers of some batches (rule 47 of jobs/PROTOCOL.md).
    """

    worker: str
    incarnation: str
    node: str
    lane: str
    slots: int
    load_s: float
    store: Store
    schedule: Schedule
    batches: OpenBatches
    known_batches: KnownBatches
    scope: str
    feeder: Feeder
    kinds: Mapping[str, Kind]
    templates: Templates
    outcome_builder: OutcomeBuilder
    checks: RowChecks
    settings: Settings
    leases: Leases
    failing_batches: FailingBatches
    metrics: WorkerMetrics
    traces: RowTraces | None
    clock: Callable[[], datetime]
    monotonic: Callable[[], float]

    @classmethod
    def over(
        cls,
        store: Store,
        queue: FeedQueue,
        batches: OpenBatches,
        settings: Settings,
        *,
        worker: str,
        model: str,
        stats: EngineStats,
        kinds: Mapping[str, Kind],
        identity: Mapping[str, Any],
        adapters: Mapping[str, str] = MappingProxyType({}),
        node: str = "",
        metrics: WorkerMetrics | None = None,
        traces: RowTraces | None = None,
        clock: Callable[[], datetime] = now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Self:
        """Make the context of a new life of a worker on the lane of `model`.

        `stats` are the statistics of the worker's engine. `identity` is what every receipt says about the model, and
        `adapters` what it says about its adapters (see `OutcomeBuilder`).
        """
        retry = RetryPolicy(settings.max_attempts, settings.backoff_s, settings.backoff_max_s)
        return cls(
            worker=worker,
            incarnation=secrets.token_hex(4),
            node=node,
            lane=settings.lane_of(model),
            slots=stats.slots,
            load_s=round(stats.load_ns / 1e9, 1),
            store=store,
            schedule=queue,
            batches=batches,
            known_batches=KnownBatches(store),
            scope=batches.scope,
            feeder=Feeder(store, queue, batches, settings, monotonic),
            kinds=kinds,
            templates=Templates(settings.templates_dir),
            outcome_builder=OutcomeBuilder(worker, model, stats.device, identity, settings.prices, retry, adapters),
            checks=row_checks(settings, model) if model in settings.catalog else unchecked,
            settings=settings,
            leases=Leases.from_settings(settings, monotonic),
            failing_batches=FailingBatches(settings.breaker_rows),
            metrics=metrics or WorkerMetrics(),
            traces=traces,
            clock=clock,
            monotonic=monotonic,
        )

    @property
    def lease_ms(self) -> int:
        """The milliseconds from a claim or a renewal until the lease runs out."""
        return int(self.settings.lease_s * 1000)

    def claim_id(self, n: int) -> str:
        """Return the id of the `n`-th claim of this life."""
        return str(ClaimId(self.worker, self.incarnation, n))

    def record(self) -> WorkerRecord:
        """Return this worker's record for the queue: who and where it is, its leases and slots, and what it took so far."""
        begun, age_s = self.leases.begun()
        began_at = round(self.clock().timestamp() - age_s, 3) if begun else 0.0
        spent = self.metrics.spent
        return WorkerRecord(
            self.worker,
            os.getpid(),
            self.node,
            self.lane,
            self.leases.holding,
            self.slots,
            begun=begun,
            began_at=began_at,
            device=self.outcome_builder.device,
            load_s=self.load_s,
            prompt_tokens=spent.prompt_tokens,
            completion_tokens=spent.completion_tokens,
            device_ns=spent.device_ns,
        )

    def release(self, leases: Sequence[Lease]) -> None:
        """Give leases back to the queue, which counts no attempt. If Redis is away, this is logged, and the leases run out."""
        self.leases.mark_ending(leases)
        try:
            self.leases.count_released(len(leases) - len(self.schedule.release(self.lane, leases)))
        except QueueUnavailable as error:
            logger().warning("queue.unavailable", error=str(error))

"""The flusher: a thread that makes outcomes durable and then reports them, in this order.

Finished rows wait here for the next segment. A segment is written when the oldest has waited `flush_s`, when they have
grown to `flush_bytes`, or at a drain; once it is durable, its rows are settled. While the storage is away outcomes wait,
their leases are kept alive, and `full` asks the runner to claim no more. A row whose lease is gone is not written.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import orjson

from jobs import segment
from jobs.batch import BatchPaths
from jobs.errors import QueueUnavailable, StoreUnavailable
from jobs.job_queue import Schedule, Settlement
from jobs.logs import logger
from jobs.segment import Outcome
from jobs.storage import Store
from workers.heartbeat import Heartbeat

RETRY_S: Final = 0.5
GIVE_UP_S: Final = 30.0
"""A draining worker waits no longer for a storage or a Redis that is away: its rows are then done again by another."""
FULL_FLUSHES: Final = 8
"""Outcomes of so many full segments may wait before the runner claims no more."""


@dataclass(frozen=True, slots=True)
class Finished:
    """One line to write, and the report that follows once it is durable. Some lines need no report."""

    batch_id: str
    outcome: Outcome
    settlement: Settlement | None
    size: int


class Flusher:
    """Writes the segments of one worker. Use as a context manager: leaving it writes and settles all that waits."""

    def __init__(
        self,
        store: Store,
        schedule: Schedule,
        heartbeat: Heartbeat,
        *,
        lane: str,
        worker: str,
        incarnation: str,
        flush_s: float,
        flush_bytes: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._schedule = schedule
        self._heartbeat = heartbeat
        self._lane = lane
        self._worker = worker
        self._incarnation = incarnation
        self._flush_s = flush_s
        self._flush_bytes = flush_bytes
        self._monotonic = monotonic
        self._written = 0
        self._waiting: list[Finished] = []
        self._waiting_bytes = 0
        self._since = 0.0
        self._busy = False
        self._draining = False
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="flusher", daemon=True)

    def __enter__(self) -> "Flusher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._condition:
            self._draining = True
            self._condition.notify_all()
        self._thread.join()

    @property
    def full(self) -> bool:
        """More waits than may: the storage is slow or away."""
        with self._condition:
            return self._waiting_bytes > FULL_FLUSHES * self._flush_bytes

    def put(self, batch_id: str, outcome: Outcome, settlement: Settlement | None) -> None:
        """Take one outcome; it is written soon."""
        size = 512 + len(orjson.dumps(outcome.output)) if outcome.output else 512
        with self._condition:
            if not self._waiting:
                self._since = self._monotonic()
            self._waiting.append(Finished(batch_id, outcome, settlement, size))
            self._waiting_bytes += size
            self._condition.notify_all()

    def hasten(self) -> None:
        """Write what waits now, and do not wait for that."""
        with self._condition:
            self._since = float("-inf")
            self._condition.notify_all()

    def wait_empty(self) -> None:
        """Write and settle what waits now, and return when that is done."""
        with self._condition:
            self._since = float("-inf")
            self._condition.notify_all()
            self._condition.wait_for(lambda: not self._waiting and not self._busy)

    def _run(self) -> None:
        while (due := self._due()) is not None:
            self._write(due)
            with self._condition:
                self._busy = False
                self._condition.notify_all()

    def _due(self) -> Sequence[Finished] | None:
        """Wait for what is to be written next; None when all is done and the flusher is to end."""
        with self._condition:
            while True:
                waited = self._monotonic() - self._since
                full = self._waiting_bytes >= self._flush_bytes
                if self._waiting and (self._draining or full or waited >= self._flush_s):
                    due, self._waiting, self._waiting_bytes, self._busy = self._waiting, [], 0, True
                    return due
                if self._draining:
                    return None
                self._condition.wait(self._flush_s - waited if self._waiting else None)

    def _write(self, due: Sequence[Finished]) -> None:
        lost = self._heartbeat.lost()
        batches: dict[str, list[Finished]] = defaultdict(list)
        for finished in due:
            if finished.settlement is not None and finished.settlement.lease in lost:
                logger().info("lease.lost", job=str(finished.settlement.lease.key))
                self._heartbeat.let_go([finished.settlement.lease])
            else:
                batches[finished.batch_id].append(finished)
        settlements: list[Settlement] = []
        for batch_id, lines in batches.items():
            self._written += 1
            if self._until_done(StoreUnavailable, "store.unavailable", partial(self._segment, batch_id, lines)):
                settlements += [finished.settlement for finished in lines if finished.settlement is not None]
        if settlements:
            self._until_done(QueueUnavailable, "queue.unavailable", partial(self._settle, settlements))

    def _segment(self, batch_id: str, lines: Sequence[Finished]) -> None:
        outcomes = [finished.outcome for finished in lines]
        name = segment.write(
            self._store, BatchPaths(batch_id), outcomes, self._worker, self._incarnation, self._written
        )
        size = sum(finished.size for finished in lines)
        logger().debug("segment.written", segment=name, batch=batch_id, rows=len(lines), bytes=size)

    def _settle(self, settlements: Sequence[Settlement]) -> None:
        gone = self._schedule.settle(self._lane, settlements)
        for lease in gone:
            logger().info("lease.lost", job=str(lease.key))
        self._heartbeat.let_go(settlement.lease for settlement in settlements)

    def _until_done(self, error_type: type[Exception], event: str, act: Callable[[], None]) -> bool:
        since = self._monotonic()
        said = False
        while True:
            try:
                act()
            except error_type as error:
                if not said:
                    logger().warning(event, error=str(error))
                said = True
                if self._draining and self._monotonic() - since > GIVE_UP_S:
                    return False
                time.sleep(RETRY_S)
            else:
                return True

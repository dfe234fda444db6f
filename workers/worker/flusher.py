"""The flusher: a thread that makes outcomes durable and then reports them, in this order.

Finished rows wait here for the next segment. A segment is written when the oldest has waited `flush_s`, when they have
grown to `flush_bytes`, or at a drain; once it is durable, its rows are settled. While the storage is slow or away, what
has grown to `flush_bytes` goes to the spool on local disk, and is written in its order when the storage is back; when
the spool has no more room, `full` asks for no more claims. Their leases are kept alive meanwhile.

Of a row whose lease is gone nothing is written: each try to write a segment looks again, also for what was on the spool.
Unless a try had no answer: the segment may stand then, and is tried again as it was, since without some of its lines it would
be a second one.
"""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import orjson

from jobs.batches.batch import BatchPaths
from jobs.batches.segments import segment
from jobs.batches.segments.line import Outcome
from jobs.errors import QueueUnavailable, StoreTimeout, StoreUnavailable
from jobs.lanes.job import Lease
from jobs.lanes.protocol import Schedule, Settlement
from jobs.logs import logger
from jobs.settings import Settings
from jobs.store.store import Store
from workers.worker.failing_batches import Doubts
from workers.worker.heartbeat import Heartbeat
from workers.worker.leases import Leases
from workers.worker.metrics import WorkerMetrics
from workers.worker.outcome_spool import OutcomeSpool

RETRY_S: Final = 0.5
GIVE_UP_S: Final = 30.0
"""A worker that ends unasked waits no longer for a storage or a Redis that is away: its rows are done again by another."""
FULL_FLUSHES: Final = 2
"""Outcomes of so many full segments may wait in memory before no more is claimed."""


@dataclass(frozen=True, slots=True)
class Finished:
    """One line to write, and the report that follows once it is durable. Some lines need no report."""

    batch_id: str
    outcome: Outcome
    settlement: Settlement | None
    size: int


@dataclass(slots=True)
class _Segment:
    """Lines of a batch that are to be the `n`-th segment of this life of the worker. `may_stand`: a try had no answer."""

    batch_id: str
    n: int
    lines: list[Finished]
    may_stand: bool = False


class Flusher:
    """Writes the segments of one worker. Use as a context manager: leaving it writes and settles all that waits.

    `store_fault` says why the storage takes nothing at the moment; empty while it does.
    """

    def __init__(
        self,
        store: Store,
        schedule: Schedule,
        leases: Leases,
        heartbeat: Heartbeat,
        *,
        lane: str,
        worker: str,
        incarnation: str,
        settings: Settings,
        metrics: WorkerMetrics | None = None,
        doubts: Doubts | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics = metrics or WorkerMetrics()
        self._doubts = doubts or Doubts(0)
        self._taken = self._through = 0
        self._store = store
        self._schedule = schedule
        self._leases = leases
        self._heartbeat = heartbeat
        self._lane = lane
        self._worker = worker
        self._incarnation = incarnation
        self._flush_s = settings.flush_s
        self._flush_bytes = settings.flush_bytes
        self._spool: OutcomeSpool[Finished] = OutcomeSpool(settings.spool_dir, settings.spool_bytes)
        self._spooled: deque[tuple[int, Sequence[Lease]]] = deque()
        self._unread: list[Lease] = []
        self._monotonic = monotonic
        self._written = 0
        self._waiting: list[Finished] = []
        self._waiting_bytes = 0
        self._since = 0.0
        self._busy = False
        self._draining = False
        self._end_by: float | None = None
        self.store_fault = ""
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="flusher", daemon=True)

    def __enter__(self) -> "Flusher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._condition:
            self._draining = True
            if self._end_by is None:
                self._end_by = self._monotonic() + GIVE_UP_S
            self._condition.notify_all()
        self._thread.join()
        self._spool.close()

    def end_by(self, moment: float) -> None:
        """A drain is to be over by then: what cannot be written until then is done again by another worker."""
        with self._condition:
            self._end_by = moment if self._end_by is None else min(self._end_by, moment)

    @property
    def alive(self) -> bool:
        """Whether the thread runs, as it does until the end."""
        return self._thread.is_alive()

    @property
    def full(self) -> bool:
        """More waits than may: the storage is slow or away."""
        with self._condition:
            return self._waiting_bytes > FULL_FLUSHES * self._flush_bytes

    @property
    def taken(self) -> int:
        """How many outcomes were ever put here."""
        return self._taken

    @property
    def through(self) -> int:
        """How many of those, counted from the first, wait no more: they are durable, or were dropped or given back."""
        return self._through

    def put(self, batch_id: str, outcome: Outcome, settlement: Settlement | None) -> None:
        """Take one outcome; it is written soon. Unless its lease is gone: then there is nothing to be written."""
        if settlement is not None and not self._leases.settling(settlement.lease):
            self._drop(settlement)
            return
        size = 512 + len(orjson.dumps(outcome.output)) if outcome.output else 512
        self._doubts.note(batch_id, outcome)
        with self._condition:
            self._taken += 1
            if not self._waiting:
                self._since = self._monotonic()
            self._waiting.append(Finished(batch_id, outcome, settlement, size))
            self._waiting_bytes += size
            if self._busy and self._waiting_bytes >= self._flush_bytes and self._spool.push(self._waiting):
                self._spooled.append((len(self._waiting), _leases_of(self._waiting)))
                self._waiting, self._waiting_bytes = [], 0
            self._condition.notify_all()

    def hasten(self) -> None:
        """Write what waits now, and do not wait for that."""
        with self._condition:
            self._since = float("-inf")
            self._condition.notify_all()

    def _run(self) -> None:
        while (due := self._due()) is not None:
            self._write(due)
            if self._unread:
                self._until_done(QueueUnavailable, "queue.unavailable", self._give_back)
            with self._condition:
                self._busy = False
                self._through += len(due)

    def _due(self) -> Sequence[Finished] | None:
        """Wait for what is to be written next; None when all is done and the flusher is to end."""
        with self._condition:
            while True:
                if self._spool:
                    self._busy = True
                    return self._from_spool()
                waited = self._monotonic() - self._since
                full = self._waiting_bytes >= self._flush_bytes
                if self._waiting and (self._draining or full or waited >= self._flush_s):
                    due, self._waiting, self._waiting_bytes, self._busy = self._waiting, [], 0, True
                    return due
                if self._draining:
                    return None
                self._condition.wait(self._flush_s - waited if self._waiting else None)

    def _from_spool(self) -> Sequence[Finished]:
        """The oldest chunk. Nothing when the disk does not give it back: its rows are to be done again then."""
        lines, leases = self._spooled.popleft()
        try:
            return self._spool.pop()
        except OSError as error:
            logger().error("spool.lost", rows=len(leases), error=error.strerror or str(error))
            self._through += lines
            self._unread += leases
            return ()

    def _give_back(self) -> None:
        self._schedule.release(self._lane, self._unread)
        self._leases.let_go(self._unread)
        self._unread = []

    def _write(self, due: Sequence[Finished]) -> None:
        batches: dict[str, list[Finished]] = defaultdict(list)
        for finished in due:
            batches[finished.batch_id].append(finished)
        settlements: list[Settlement] = []
        for batch_id, lines in batches.items():
            self._written += 1
            new = _Segment(batch_id, self._written, lines)
            if self._until_done(StoreUnavailable, "store.unavailable", partial(self._segment, new)):
                settlements += [finished.settlement for finished in lines if finished.settlement is not None]
        if settlements:
            self._until_done(QueueUnavailable, "queue.unavailable", partial(self._settle, settlements))

    def _segment(self, due: _Segment) -> None:
        """One try. Takes out of the lines those whose lease is gone by now, unless they may stand already."""
        self._heartbeat.confirm()
        if not due.may_stand:
            due.lines[:] = self._held(due.lines)
        if not due.lines:
            return
        outcomes = [finished.outcome for finished in due.lines]
        paths = BatchPaths(due.batch_id)
        try:
            with self._metrics.flush_time():
                name = segment.write(self._store, paths, outcomes, self._worker, self._incarnation, due.n)
        except StoreTimeout:
            due.may_stand = True
            raise
        self._metrics.written(outcomes)
        size = sum(finished.size for finished in due.lines)
        logger().debug("segment.written", segment=name, batch=due.batch_id, rows=len(outcomes), bytes=size)

    def _held(self, lines: Sequence[Finished]) -> Iterator[Finished]:
        for finished in lines:
            if finished.settlement is None or self._leases.holds(finished.settlement.lease):
                yield finished
            else:
                self._drop(finished.settlement)

    def _drop(self, settlement: Settlement) -> None:
        logger().info("lease.lost", job=str(settlement.lease.key))
        self._leases.let_go([settlement.lease])

    def _settle(self, settlements: Sequence[Settlement]) -> None:
        gone = self._schedule.settle(self._lane, settlements)
        for lease in gone:
            logger().info("lease.lost", job=str(lease.key))
        self._leases.let_go(settlement.lease for settlement in settlements)

    def _until_done(self, error_type: type[Exception], event: str, act: Callable[[], None]) -> bool:
        said = False
        while True:
            try:
                act()
            except error_type as error:
                if not said:
                    logger().warning(event, error=str(error))
                said = True
                self.store_fault = str(error) if isinstance(error, StoreUnavailable) else ""
                with self._condition:
                    draining = self._draining
                    if draining and self._end_by is not None and self._monotonic() >= self._end_by:
                        return False
                    self._condition.wait_for(lambda: self._draining is not draining, RETRY_S)  # noqa: B023 - called here
            else:
                self.store_fault = ""
                return True


def _leases_of(lines: Sequence[Finished]) -> Sequence[Lease]:
    return [finished.settlement.lease for finished in lines if finished.settlement is not None]

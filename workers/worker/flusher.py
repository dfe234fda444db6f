"""The flusher: a thread that makes outcomes durable and then settles them, in this order (rule 10 of jobs/PROTOCOL.md).

Outcomes wait in memory until they are written, in one segment for each batch. They are written when the oldest outcome has waited
`flush_s` seconds, when the outcomes have grown to `flush_bytes`, or at a drain. Once a segment is durable, its rows are settled.
While the storage is slow or away, outcomes that have grown to `flush_bytes` go to the spool on local disk, and are written in
their order when the storage is back. If the spool has no room, outcomes stay in memory, and `full` tells the claimer to claim
nothing. The heartbeat renews the leases of all outcomes that wait.

If the lease of a row is gone, its outcome is not written. Therefore each try to write a segment checks the leases first. But
after a timeout the segment may already exist. In this case the same lines are written again, even if some leases are gone by
now, because other lines would make a second segment (rule 7).
"""

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

import orjson

from jobs.batches.batch import BatchPaths
from jobs.batches.segments import segment
from jobs.batches.segments.line import Outcome
from jobs.errors import QueueUnavailable, StoreTimeout, StoreUnavailable, UnavailableError
from jobs.lanes.job import Lease
from jobs.lanes.protocol import Settlement
from jobs.logs import logger
from workers.worker.context import WorkerContext
from workers.worker.heartbeat import Heartbeat
from workers.worker.outage import Outage
from workers.worker.outcome_spool import OutcomeSpool

RETRY_S: Final = 0.5
"""Seconds between two tries while the storage or Redis is away."""
END_WAIT_S: Final = 30.0
"""Seconds that a worker waits for storage or Redis if it ends without a drain. After that, other workers run its rows again."""
FULL_FLUSHES: Final = 2
"""The claimer claims nothing while the outcomes in memory are larger than this many times `flush_bytes`."""
LINE_BYTES: Final = 512
"""The estimated size of a line without its output, in bytes. Sums of estimated sizes are compared with `flush_bytes`."""


@dataclass(frozen=True, slots=True)
class Finished:
    """One line to write, and the settlement to send once the line is durable. The line of a lost attempt has no settlement.

    `size` is the estimated size of the line, in bytes. `created_at` is when the batch was accepted, if that is known, and
    `ended_ns` when the attempt ended, in nanoseconds of the monotonic clock; it is 0 if no row is traced.
    """

    batch_id: str
    outcome: Outcome
    settlement: Settlement | None
    size: int
    created_at: datetime | None = None
    ended_ns: int = 0


@dataclass(slots=True)
class _Segment:
    """The lines of one batch that become segment number `n` of this life of the worker.

    `may_exist` is True after a try to write the segment got no answer.
    """

    batch_id: str
    n: int
    lines: list[Finished]
    may_exist: bool = False


@dataclass(slots=True)
class _Reports:
    """The settlements of rows whose outcomes are durable. `may_be_known`: they were sent without an answer."""

    settlements: list[Settlement]
    may_be_known: bool = False


class Flusher:
    """Writes the segments of one worker. Use it as a context manager: leaving it writes and settles everything that waits.

    If the storage or Redis stays away, the flusher gives up at the moment that `end_by` sets. If `end_by` was not called, it
    gives up END_WAIT_S seconds after the context manager was left.

    `store_fault` is the reason why the storage takes nothing at the moment; it is empty if the storage works.
    """

    def __init__(self, context: WorkerContext, heartbeat: Heartbeat) -> None:
        settings = context.settings
        self._context = context
        self._leases = context.leases
        self._heartbeat = heartbeat
        self._flush_s = settings.flush_s
        self._flush_bytes = settings.flush_bytes
        self._outcome_spool: OutcomeSpool[Finished] = OutcomeSpool(settings.spool_dir, settings.spool_bytes)
        self._spooled: deque[tuple[int, Sequence[Lease]]] = deque()
        self._unreadable: list[Lease] = []
        self._received = self._handled = 0
        self._segments = 0
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
                self._end_by = self._context.monotonic() + END_WAIT_S
            self._condition.notify_all()
        self._thread.join()
        self._outcome_spool.close()

    def end_by(self, moment: float) -> None:
        """Give up at this moment of the monotonic clock. If an earlier call has set an earlier moment, the earlier moment
        stays.

        Rows whose outcomes are not written by then are run again by other workers.
        """
        with self._condition:
            self._end_by = moment if self._end_by is None else min(self._end_by, moment)

    @property
    def alive(self) -> bool:
        """Whether the thread runs. It ends when the flusher is left as a context manager, or if it fails."""
        return self._thread.is_alive()

    @property
    def full(self) -> bool:
        """Whether too many outcomes wait in memory, because the storage is slow or away and the spool has no room."""
        with self._condition:
            return self._waiting_bytes > FULL_FLUSHES * self._flush_bytes

    @property
    def received(self) -> int:
        """How many outcomes the flusher has taken since the start."""
        return self._received

    @property
    def handled(self) -> int:
        """How many of the received outcomes, counted from the first, no longer wait: they are durable, abandoned or released."""
        return self._handled

    def put(
        self, batch_id: str, outcome: Outcome, settlement: Settlement | None, created_at: datetime | None = None
    ) -> None:
        """Take an outcome to be written soon. If the lease of its row is gone, the outcome is dropped.

        `created_at` is when its batch was accepted.
        """
        if settlement is not None and not self._leases.mark_settling(settlement.lease):
            self._leases.remove([settlement.lease])
            return
        size = LINE_BYTES + len(orjson.dumps(outcome.output)) if outcome.output else LINE_BYTES
        traces = self._context.traces
        ended_ns = traces.monotonic_ns() if traces is not None else 0
        self._context.failing_batches.count(batch_id, outcome)
        with self._condition:
            self._received += 1
            if not self._waiting:
                self._since = self._context.monotonic()
            self._waiting.append(Finished(batch_id, outcome, settlement, size, created_at, ended_ns))
            self._waiting_bytes += size
            if self._busy and self._waiting_bytes >= self._flush_bytes and self._outcome_spool.push(self._waiting):
                self._spooled.append((len(self._waiting), _leases_of(self._waiting)))
                self._waiting, self._waiting_bytes = [], 0
            self._condition.notify_all()

    def flush_now(self) -> None:
        """Begin to write the outcomes that wait, without waiting for `flush_s`. Returns at once."""
        with self._condition:
            self._since = float("-inf")
            self._condition.notify_all()

    def _run(self) -> None:
        while (due := self._next_due()) is not None:
            self._flush(due)
            if self._unreadable:
                self._until_done(QueueUnavailable, self._release_unreadable)
            with self._condition:
                self._busy = False
                self._handled += len(due)

    def _next_due(self) -> Sequence[Finished] | None:
        """Wait for the next lines to write, and return them. Returns None if no line is left and the flusher must end."""
        with self._condition:
            while True:
                if self._outcome_spool:
                    self._busy = True
                    return self._from_spool()
                waited = self._context.monotonic() - self._since
                full = self._waiting_bytes >= self._flush_bytes
                if self._waiting and (self._draining or full or waited >= self._flush_s):
                    due, self._waiting, self._waiting_bytes, self._busy = self._waiting, [], 0, True
                    return due
                if self._draining:
                    return None
                self._condition.wait(self._flush_s - waited if self._waiting else None)

    def _from_spool(self) -> Sequence[Finished]:
        """Take the oldest chunk from the spool, and return its lines.

        If the disk does not give the chunk back, return no lines, and note the chunk's leases so that they are released.
        """
        lines, leases = self._spooled.popleft()
        try:
            return self._outcome_spool.pop()
        except OSError as error:
            logger().error("spool.lost", rows=len(leases), error=error.strerror or str(error))
            self._handled += lines
            self._unreadable += leases
            return ()

    def _release_unreadable(self) -> None:
        self._leases.mark_ending(self._unreadable)
        self._context.schedule.release(self._context.lane, self._unreadable)
        self._leases.remove(self._unreadable)
        self._unreadable = []

    def _flush(self, due: Sequence[Finished]) -> None:
        """Write one segment for each batch, then settle the rows of all segments that became durable."""
        batches: dict[str, list[Finished]] = defaultdict(list)
        for finished in due:
            batches[finished.batch_id].append(finished)
        reports = _Reports([])
        for batch_id, lines in batches.items():
            self._segments += 1
            new = _Segment(batch_id, self._segments, lines)
            if self._until_done(StoreUnavailable, partial(self._write, new)):
                reports.settlements += [finished.settlement for finished in lines if finished.settlement is not None]
        if reports.settlements:
            self._until_done(QueueUnavailable, partial(self._settle, reports))

    def _write(self, new: _Segment) -> None:
        """Try once to write a segment. Lines whose lease is gone by now are left out, unless the segment may exist already."""
        self._heartbeat.confirm()
        if not new.may_exist:
            new.lines[:] = self._held(new.lines)
        if not new.lines:
            return
        context, outcomes = self._context, [finished.outcome for finished in new.lines]
        paths, began = BatchPaths(new.batch_id), context.monotonic()
        try:
            name = segment.write(context.store, paths, outcomes, context.worker, context.incarnation, new.n)
        except StoreTimeout:
            new.may_exist = True
            raise
        finally:
            context.metrics.flushed(context.monotonic() - began)
        context.metrics.written(outcomes)
        if context.traces is not None:
            for one in new.lines:
                context.traces.written(new.batch_id, one.outcome, one.ended_ns, one.created_at)
        size = sum(finished.size for finished in new.lines)
        logger().debug("segment.written", segment=name, batch=new.batch_id, rows=len(outcomes), bytes=size)

    def _held(self, lines: Sequence[Finished]) -> Iterator[Finished]:
        """Yield the lines whose lease is still held, and lines without a settlement. Abandon the leases of the other lines."""
        for finished in lines:
            if finished.settlement is None or self._leases.holds(finished.settlement.lease):
                yield finished
            else:
                self._leases.remove([finished.settlement.lease])

    def _settle(self, reports: _Reports) -> None:
        """Try once to settle. If an earlier try got no answer, it may have settled, so missing leases are not lost."""
        leases = [settlement.lease for settlement in reports.settlements]
        self._leases.mark_ending(leases)
        try:
            gone = self._context.schedule.settle(self._context.lane, reports.settlements)
        except QueueUnavailable:
            reports.may_be_known = True
            raise
        for lease in self._leases.remove(leases, lost=() if reports.may_be_known else gone):
            logger().info("lease.lost", job=str(lease.key))

    def _until_done(self, error_type: type[UnavailableError], act: Callable[[], None]) -> bool:
        """Call `act` until it no longer raises `error_type`, and log the first error.

        Returns False if the flusher must end and gives up before that, else True.
        """
        outage = Outage()
        while True:
            try:
                act()
            except error_type as error:
                outage.log(error)
                self.store_fault = outage.reason if isinstance(error, StoreUnavailable) else ""
                with self._condition:
                    draining = self._draining
                    if draining and self._end_by is not None and self._context.monotonic() >= self._end_by:
                        return False
                    self._condition.wait_for(lambda: self._draining is not draining, RETRY_S)  # noqa: B023 - the lambda is called only here
            else:
                self.store_fault = ""
                outage.log_end()
                return True


def _leases_of(lines: Sequence[Finished]) -> Sequence[Lease]:
    return [finished.settlement.lease for finished in lines if finished.settlement is not None]

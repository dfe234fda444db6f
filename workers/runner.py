"""The runner: one row's life as a straight line, for one engine. It knows no Ray.

    claim --> compose --> engine --> check --> flush --> settle

One thread claims, composes and steps; the heartbeat keeps the leases, the flusher makes outcomes durable and settles
them. Every claimed job ends in exactly one way: settled after its outcome is durable, released unharmed, or let go
because its lease is gone, and then nothing more is written of it.
"""

import contextlib
import os
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from jobs.errors import CheckFailed, QueueUnavailable, RowError, StoreUnavailable, UnavailableError
from jobs.feed import Feeder, load_request
from jobs.generation import Completion, GenerationRequest
from jobs.job import Job, Lease, RowRequest
from jobs.job_queue import ClaimReply, Schedule, Settlement, WorkerRecord
from jobs.kinds import Kind
from jobs.logs import logger
from jobs.open_batches import OpenBatches
from jobs.settings import Settings
from jobs.storage import Store
from workers.attempt import Attempt
from workers.engine import Engine
from workers.flusher import Flusher
from workers.heartbeat import Heartbeat
from workers.outcomes import Outcomes

POLL_S: Final = 0.2
"""How long an idle worker waits before it asks for jobs again."""

HASTE_S: Final = 0.02
"""How often a worker that has to become empty looks whether its outcomes are written."""


@dataclass(frozen=True, slots=True)
class Line:
    """What a runner stands between: where its jobs come from, and where their outcomes go."""

    lane: str
    store: Store
    schedule: Schedule
    batches: OpenBatches
    feeder: Feeder
    kinds: Mapping[str, Kind]
    outcomes: Outcomes
    settings: Settings


class Runner:
    """Runs the jobs of one lane on one engine until it is told to stop.

    `stop` drains: nothing more is claimed, what runs may finish within `grace_s`, the rest is released and costs no
    attempt. `running` is the number of jobs in hand, for status.
    """

    def __init__(
        self,
        line: Line,
        engine: Engine,
        *,
        worker: str,
        node: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._line = line
        self._engine = engine
        self._worker = worker
        self._clock = clock
        self._monotonic = monotonic
        self._incarnation = secrets.token_hex(4)
        self._stopping = threading.Event()
        self._give_up_at = float("inf")
        self._attempts: dict[Lease, Attempt] = {}
        self._of_request: dict[str, Attempt] = {}
        self._claims = 0
        self._said_away = False
        self._said_reason = ""
        self._to_be_empty = False
        settings = line.settings
        self._rng = rng or random.Random()

        def record(running: int) -> WorkerRecord:
            return WorkerRecord(worker, os.getpid(), node, line.lane, running)

        self._record = record
        self._heartbeat = Heartbeat(line.schedule, line.lane, settings.lease_s, record)
        self._flusher = Flusher(
            line.store,
            line.schedule,
            self._heartbeat,
            lane=line.lane,
            worker=worker,
            incarnation=self._incarnation,
            flush_s=settings.flush_s,
            flush_bytes=settings.flush_bytes,
        )

    @property
    def running(self) -> int:
        """Jobs in hand."""
        return len(self._attempts)

    def stop(self, grace_s: float) -> None:
        """Begin to drain. May be called from any thread, and again with less grace."""
        self._give_up_at = min(self._give_up_at, self._monotonic() + grace_s)
        self._stopping.set()
        timer = threading.Timer(grace_s, self._cancel_all)
        timer.daemon = True
        timer.start()

    def run(self) -> None:
        """Work until stopped and drained."""
        logger().info("worker.started", worker=self._worker, lane=self._line.lane)
        with self._heartbeat, self._flusher:
            while not self._drained():
                self._claim()
                self._step()
                self._give_up()
            released = self._release(list(self._attempts))
        logger().info("worker.stopped", worker=self._worker, released=released)

    # -- claim ----------------------------------------------------------------------------------------------------

    def _claim(self) -> None:
        room = 2 * self._engine.stats().slots - len(self._attempts)
        if (
            self._stopping.is_set()
            or self._flusher.full
            or room * 4 < self._engine.stats().slots
            or not self._may_claim()
        ):
            return
        with self._waiting_for_what_is_away():
            reply = self._claimed(room)
            self._to_be_empty = reply.apart or any(job.suspect for job in reply.jobs)
            self._say_paused(reply)
            self._take_up(reply.jobs)
            self._feed(reply)
            self._said_away = False
        if not self._attempts:
            self._stopping.wait(POLL_S)

    def _claimed(self, room: int) -> ClaimReply:
        """Ask for jobs. Until an answer comes the claim keeps its id, so that no answer that was lost costs a lease."""
        line = self._line
        lease_ms = int(line.settings.lease_s * 1000)
        claim_id = f"{self._worker}-{self._incarnation}-{self._claims}"
        reply = line.schedule.claim(line.lane, claim_id, room, lease_ms, self._record(self._heartbeat.holding))
        self._claims += 1
        self._heartbeat.hold(job.lease for job in reply.jobs)
        return reply

    def _may_claim(self) -> bool:
        """Whether all is done that must be done first: suspects stand alone, so that a crash points at nobody else."""
        if self._to_be_empty and self._heartbeat.holding:
            if not self._attempts:
                self._flusher.hasten()
                self._stopping.wait(HASTE_S)
            return False
        return True

    def _say_paused(self, reply: ClaimReply) -> None:
        if reply.reason and reply.reason != self._said_reason:
            logger().error("lane.paused", lane=self._line.lane, reason=reply.reason)
        self._said_reason = reply.reason

    def _feed(self, reply: ClaimReply) -> None:
        """Keep the lane's window filled, if this claim found it low."""
        if not reply.paused and reply.ready * 2 < self._line.settings.window_rows:
            self._line.batches.scan()
            self._line.feeder.top_up(self._line.lane, reply.ready)

    @contextlib.contextmanager
    def _waiting_for_what_is_away(self) -> Iterator[None]:
        """Redis or the storage may be away for a while: say so once, and go on with what is in hand."""
        try:
            yield
        except (QueueUnavailable, StoreUnavailable) as error:
            event = "queue.unavailable" if isinstance(error, QueueUnavailable) else "store.unavailable"
            if not self._said_away:
                logger().warning(event, error=str(error))
            self._said_away = True

    # -- compose --------------------------------------------------------------------------------------------------

    def _take_up(self, jobs: Sequence[Job]) -> None:
        """Begin claimed jobs. What one needs may be away: then it and those after it go back unharmed."""
        for n, job in enumerate(jobs):
            try:
                self._begin(job)
            except UnavailableError:
                self._release([other.lease for other in jobs[n:]])
                raise

    def _begin(self, job: Job) -> None:
        if job.rescued:
            self._report_lost(job)
            if self._has_outcome(job):
                self._settle_only(job)
                return
        try:
            row = load_request(self._line.store, job.key.batch_id, self._line.lane, job)
            kind = self._kind_of(row)
        except RowError as error:
            self._flusher.put(job.key.batch_id, *self._line.outcomes.unreadable(job, error, self._clock()))
            return
        if job.burial:
            logger().warning("job.buried", job=str(job.key), attempt=job.attempt)
            self._flusher.put(job.key.batch_id, *self._line.outcomes.buried(job, row, self._clock()))
            return
        attempt = Attempt(job, row, kind, self._clock())
        self._attempts[job.lease] = attempt
        self._converse(attempt, attempt.start)

    def _kind_of(self, row: RowRequest) -> Kind:
        kind = self._line.kinds.get(row.kind)
        if kind is None:
            raise RowError("unknown_kind", f"this worker has no kind {row.kind!r}: install it on every node")
        return kind

    def _report_lost(self, job: Job) -> None:
        logger().info("job.rescued", job=str(job.key), attempt=job.attempt, crashes=job.crashes)
        for lease in job.lost:
            self._flusher.put(job.key.batch_id, self._line.outcomes.crashed(job, lease, self._clock()), None)

    def _has_outcome(self, job: Job) -> bool:
        """Whether a lost attempt had made its outcome durable, and only its report was missing."""
        index = self._line.batches.get(job.key.batch_id)
        if index is None:
            return False
        index.refresh()
        return index.has_outcome(job.key.row)

    def _settle_only(self, job: Job) -> None:
        self._line.schedule.settle(self._line.lane, [Settlement(job.lease)])
        self._heartbeat.let_go([job.lease])

    # -- engine ---------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        for lease in self._heartbeat.lost() & self._attempts.keys():
            logger().info("lease.lost", job=str(lease.key))
            self._abandon(lease)
            self._heartbeat.let_go([lease])
        for lease in self._heartbeat.cancelled() & self._attempts.keys():
            self._abandon(lease)
            self._release([lease])
        for completion in self._engine.step() if self._attempts else ():
            self._answer(completion)

    def _answer(self, completion: Completion) -> None:
        attempt = self._of_request.pop(completion.request_id, None)
        if attempt is None or attempt.job.lease not in self._attempts:
            return
        if completion.finish_reason == "cancelled":
            self._release([attempt.job.lease])
            return
        self._converse(attempt, lambda: attempt.receive(completion))

    def _converse(self, attempt: Attempt, turn: Callable[[], Sequence[GenerationRequest]]) -> None:
        """One turn of a kind's conversation. Whatever it raises is this job's fault alone."""
        try:
            requests = turn()
        except RowError as error:
            self._finish(attempt, error)
        except Exception as error:  # noqa: BLE001 - a kind's own fault must not become another job's
            self._finish(attempt, CheckFailed("kind_failed", f"kind {attempt.kind.name}: {error!r}"))
        else:
            for request in requests:
                self._of_request[request.request_id] = attempt
                self._engine.submit(request)
            if attempt.output is not None:
                self._finish(attempt, None)

    # -- flush, settle ----------------------------------------------------------------------------------------------

    def _finish(self, attempt: Attempt, error: RowError | None) -> None:
        lease = attempt.job.lease
        self._abandon(lease)
        outcome, settlement = self._line.outcomes.of(attempt, error, self._clock(), self._rng)
        if error is not None:
            values = {"job": str(lease.key), "attempt": attempt.job.attempt, "code": error.code}
            if outcome.final:
                logger().info("job.failed", **values)
            else:
                logger().info("job.retried", **values, delay_s=settlement.delay_ms / 1000)
        self._flusher.put(lease.key.batch_id, outcome, settlement)

    def _abandon(self, lease: Lease) -> None:
        """Take a job out of hand, with whatever the engine still does for it."""
        attempt = self._attempts.pop(lease)
        attempt.close()
        for request_id in attempt.under_way:
            self._of_request.pop(request_id, None)
            self._engine.cancel(request_id)

    def _release(self, leases: Sequence[Lease]) -> int:
        for lease in leases:
            if lease in self._attempts:
                self._abandon(lease)
        if leases:
            try:
                self._line.schedule.release(self._line.lane, leases)
            except QueueUnavailable as error:
                logger().warning("queue.unavailable", error=str(error))  # their leases will run out
            self._heartbeat.let_go(leases)
        return len(leases)

    # -- drain ------------------------------------------------------------------------------------------------------

    def _drained(self) -> bool:
        return self._stopping.is_set() and (not self._attempts or self._monotonic() >= self._give_up_at)

    def _give_up(self) -> None:
        if self._stopping.is_set() and self._monotonic() >= self._give_up_at:
            self._cancel_all()

    def _cancel_all(self) -> None:
        """Ask the engine to end what it runs. Called from the timer's thread too, while a step is under way."""
        for request_id in list(self._of_request):
            self._engine.cancel(request_id)

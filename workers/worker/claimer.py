"""The claimer: a thread that keeps a few composed jobs ready, so that no step of the engine waits for Redis or storage.

It claims jobs for the slots that are free, and more jobs ahead (see `AHEAD`). It reads the request of each job and begins the
conversation. If there are no jobs, it waits longer and longer, until it is woken (idling.py). If it keeps the lane, it feeds the
lane when few rows wait there (lane_keeper.py). Three sorts of jobs need no engine and end here: a job that is buried
because its workers died (rule 11 of jobs/PROTOCOL.md), a job whose request cannot be read, and a job whose outcome is durable
already, because an earlier attempt wrote it before the lease was lost. The claimer never touches the engine.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from jobs.batches.breaker import trip
from jobs.batches.request_row import RowRequest
from jobs.errors import NoBatch, QueueUnavailable, RowError, StoreDamaged, StoreUnavailable, UnavailableError
from jobs.kinds.avoiding import avoiding
from jobs.kinds.kind import Kind
from jobs.lanes.idling import OUTAGE_S, SHORTEST_S, BackOff, WakeCalls
from jobs.lanes.job import Job, Lease
from jobs.lanes.protocol import ClaimReply, Settlement
from jobs.lanes.requests import load_request, renewed
from jobs.logs import logger
from jobs.store.damage import collect_damage
from workers.worker.attempt import Attempt, Turn, take_turn
from workers.worker.context import WorkerContext
from workers.worker.failing_batches import Round
from workers.worker.flusher import Flusher
from workers.worker.heartbeat import Pulse
from workers.worker.lane_keeper import LaneKeeper
from workers.worker.outage import Outage

POLL_S: Final = SHORTEST_S
"""Seconds between two looks of a claimer at its own state: whether there is room for jobs, and whether the lane must be kept."""

EMPTYING_POLL_S: Final = 0.02
"""Seconds between two checks while the claimer may not claim.

It may not claim while the breaker must be asked about a failing batch (rule 36 of jobs/PROTOCOL.md). Also, if suspects run or
wait to be claimed, it may not claim until the worker holds no job (rule 34: suspects run apart).
"""

AHEAD: Final = 1.0
"""Jobs that are claimed ahead, for each slot of the engine. At 1 the next rows are ready even if all slots come free at once."""


class Claimer:
    """Claims jobs for one runner. Use it as a context manager: leaving it ends the thread, but releases no lease.

    `outage` holds the present fault of Redis or the storage, if there is one. `pulse` is marked while a kind begins a
    conversation, so that the heartbeat notices a kind that hangs.
    """

    def __init__(self, context: WorkerContext, flusher: Flusher, pulse: Pulse) -> None:
        self._context = context
        self._leases = context.leases
        self._flusher = flusher
        self._pulse = pulse
        self._to_ask_about: tuple[int, Sequence[Round]] | None = None
        self._ready: deque[Turn] = deque()
        self._claims = 0
        self._keeper = LaneKeeper(context, lambda: self._claim(0))
        self._back_off = BackOff()
        self._wake_calls = WakeCalls(lambda s: context.schedule.wait_for_rows(context.lane, s), self._call)
        self._found_none = False
        self._is_called = False
        self.outage = Outage()
        self._logged_reason = ""
        self._must_be_empty = False
        self._stopping = False
        self._has_room = threading.Event()
        self._has_ready = threading.Event()
        self._thread = ThreadPoolExecutor(1, "claimer")
        self._ended: Future[None] | None = None

    def __enter__(self) -> "Claimer":
        self._ended = self._thread.submit(self._run)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._wake_calls.stop()
        self._thread.shutdown()

    def stop(self) -> None:
        """Claim nothing more. Returns at once."""
        self._stopping = True
        self._has_room.set()

    def wake(self) -> None:
        """Check at once whether there is room for more jobs. Called when the runner has finished or released a job.

        If the last claim found no jobs, more room is no reason to claim, so the claimer goes on waiting.
        """
        self._has_room.set()

    def _call(self) -> None:
        """Claim at once: there may be jobs. Called when the queue has woken this worker."""
        self._is_called = True
        self._has_room.set()

    def ready(self) -> Iterator[Turn]:
        """Yield the first turn of each job that has been begun. If an error has ended the thread, raise that error."""
        self._has_ready.clear()
        while self._ready:
            yield self._ready.popleft()
        if self._ended is not None and self._ended.done():
            self._ended.result()

    def wait(self, timeout_s: float) -> None:
        """Wait until a job is ready, for `timeout_s` seconds at most."""
        self._has_ready.wait(timeout_s)

    def _run(self) -> None:
        while not self._stopping:
            self._has_room.clear()
            self._is_called = False
            self._wait(self._claim_if_room())

    def _wait(self, wait_s: float) -> None:
        """Wait before the next check. `stop` and the queue may end the wait, and so may `wake` unless no jobs were found."""
        self._wake_calls.want(self._found_none and not self._keeper.keeps)
        until = time.monotonic() + wait_s
        while wait_s and not self._stopping and self._has_room.wait(max(until - time.monotonic(), 0.0)):
            self._has_room.clear()
            if self._is_called or not self._found_none:
                return

    def _claim_if_room(self) -> float:
        """Claim if there is room. Returns the seconds to wait before the next check."""
        slots = self._context.slots
        room = int(slots * (1 + AHEAD)) - self._leases.in_hand
        self._found_none = False
        if self._flusher.full or room * 4 < slots:
            self._keep_lane()
            return POLL_S
        if not self._breaker_was_asked():
            return EMPTYING_POLL_S
        if self._must_be_empty and self._leases.holding:  # suspects run alone, so a crash shows which rows caused it
            if not self._leases.in_hand:
                self._flusher.flush_now()
            return EMPTYING_POLL_S
        found = 0
        with self._noting_outages():
            reply = self._claim(room)
            found, self._back_off.workers = len(reply.jobs), reply.workers
            self._must_be_empty = reply.apart or any(job.suspect for job in reply.jobs)
            self._log_pause(reply)
            self._compose(reply.jobs)
            found += self._keeper.feed(reply, hungry=reply.dry or (found < room and not self._must_be_empty))
            self.outage.log_end()
        return self._after(found)

    def _after(self, found: int) -> float:
        """Return the seconds to wait after a claim that found, or brought to the lane, this many jobs.

        The keeper of a lane asks again soon. The others wait longer each time, and forget what they knew of batches.
        """
        if found:
            self._back_off.reset()
            return 0.0
        self._found_none = True
        if self.outage.error is not None:
            return self._back_off.next_s(OUTAGE_S)
        if self._keeper.keeps:
            return POLL_S
        self._context.batches.forget_all()
        self._context.known_batches.clear()
        return self._back_off.next_s()

    def _keep_lane(self) -> None:
        """Feed the lane, and go on keeping it, while this worker keeps it and has no room for jobs."""
        if self._keeper.is_due:
            with self._noting_outages():
                reply = self._claim(0)
                self._keeper.feed(reply, hungry=reply.dry)
                self.outage.log_end()

    def _breaker_was_asked(self) -> bool:
        """Ask the breaker about the batches whose rows only fail. Returns whether no such batch is left to ask about.

        The breaker reads storage, so it is asked only after the flusher has written all outcomes that it had received before.
        """
        failing = self._context.failing_batches
        if self._to_ask_about is None:
            found = failing.to_ask_about()
            if not found:
                return True
            self._to_ask_about = self._flusher.received, found
        received, found = self._to_ask_about
        if self._flusher.handled < received:
            self._flusher.flush_now()
            return False
        with self._noting_outages():
            faults: list[StoreDamaged] = []
            for batch_id, _ in found:
                # The breaker cannot judge a damaged batch. The sweeper asks again once the batch is restored.
                with collect_damage(faults), contextlib.suppress(NoBatch):
                    self._ask_breaker(batch_id)
            failing.clear(found)
            self._to_ask_about = None
            if faults:
                raise faults[-1]
        return self._to_ask_about is None

    def _ask_breaker(self, batch_id: str) -> None:
        """Let the breaker pause the batch if its rows only fail. A paused batch leaves the lane before the next claim."""
        context = self._context
        index = context.batches.get(batch_id)
        if index is None:
            return
        index.refresh()
        if trip(context.store, index, context.settings.breaker_rows, context.clock):
            context.feeder.drop_what_ended(context.lane, index)

    def _claim(self, room: int) -> ClaimReply:
        """Ask the queue for jobs.

        The claim keeps its id until an answer comes. If an answer is lost, the next try gets the same jobs (rule 9).
        """
        context = self._context
        reply = context.schedule.claim(
            context.lane,
            context.claim_id(self._claims),
            room,
            context.lease_ms,
            context.record(),
            keep_ms=self._keeper.keep_ms,
            scope=context.scope,
        )
        self._claims += 1
        self._keeper.note(reply)
        self._leases.add(job.lease for job in reply.jobs)
        return reply

    def _log_pause(self, reply: ClaimReply) -> None:
        if reply.reason and reply.reason != self._logged_reason:
            logger().error("lane.paused", lane=self._context.lane, reason=reply.reason)
        self._logged_reason = reply.reason

    @contextlib.contextmanager
    def _noting_outages(self) -> Iterator[None]:
        """If Redis or the storage is away or a file is damaged, end the block and log the fault once. Jobs in hand continue."""
        try:
            yield
        except (QueueUnavailable, StoreUnavailable) as error:
            self.outage.log(error)

    def _compose(self, jobs: Sequence[Job]) -> None:
        """Begin claimed jobs. If storage or Redis is away, release the job that met this fault and all jobs after it.

        If a batch is damaged, release its jobs and take its waiting rows off the lane, so that these rows are not claimed again
        at once. The other jobs begin as usual (rule 37). In both cases the fault is raised at the end. The jobs of a deleted
        batch are taken off the lane in the same way, and no fault is raised.
        """
        damaged: list[Lease] = []
        fault: StoreDamaged | None = None
        for n, job in enumerate(jobs):
            try:
                turn = self._begin(job)
            except (StoreDamaged, NoBatch) as error:
                damaged.append(job.lease)
                fault = error if isinstance(error, StoreDamaged) else fault
                continue
            except UnavailableError:
                self._release([*damaged, *(other.lease for other in jobs[n:])])
                raise
            if turn is not None:
                self._ready.append(turn)
                self._has_ready.set()
        if damaged:
            self._release(damaged)
            for batch_id, round_ in {(lease.key.batch_id, lease.round) for lease in damaged}:
                self._context.feeder.set_aside(self._context.lane, batch_id, round_)
        if fault is not None:
            raise fault

    def _begin(self, job: Job) -> Turn | None:
        """Return the first turn of a job's conversation; None if the job needs no engine and ends here."""
        context, batch_id = self._context, job.key.batch_id
        if job.rescued:
            self._write_lost(job)
            if self._has_outcome(job):
                self._leases.mark_ending([job.lease])
                context.schedule.settle(context.lane, [Settlement(job.lease)])
                self._leases.remove([job.lease])
                return None
        try:
            known = context.known_batches.get(batch_id, job.lease.round)
            row = load_request(context.store, batch_id, context.lane, job)
            row = renewed(context.store, job, row, known.current if known is not None else None)
            kind = self._kind_of(row)
        except RowError as error:
            self._flusher.put(batch_id, *context.outcome_builder.unreadable(job, error, context.clock()))
            return None
        if job.burial:
            logger().warning("job.buried", job=str(job.key), attempt=job.attempt)
            self._flusher.put(batch_id, *context.outcome_builder.buried(job, row, context.clock()))
            return None
        created_at = known.batch.created_at if known is not None else None
        prices = known.prices if known is not None else None
        attempt = Attempt(job, row, kind, context.clock(), created_at, context.checks, prices)
        if context.traces is not None:
            attempt.trace = context.traces.attempt(job)
        self._pulse.mark()
        turn = take_turn(attempt, attempt.start)
        self._pulse.rest()
        return turn

    def _kind_of(self, row: RowRequest) -> Kind:
        kind = self._context.kinds.get(row.kind)
        if kind is None:
            raise RowError("unknown_kind", f"this worker has no kind {row.kind!r}: install it on every node")
        return avoiding(kind, row.avoid, self._context.templates)

    def _write_lost(self, job: Job) -> None:
        """Have a `crashed` line written for each lease that the job lost before (rule 12)."""
        logger().info("job.rescued", job=str(job.key), attempt=job.attempt, crashes=job.crashes)
        for lease in job.lost:
            line = self._context.outcome_builder.crashed(job, lease, self._context.clock())
            self._flusher.put(job.key.batch_id, line, None)

    def _has_outcome(self, job: Job) -> bool:
        """Whether an attempt whose lease was lost had made its outcome durable, so that only the settlement is missing."""
        with contextlib.suppress(StoreDamaged, NoBatch):  # it is then unknown; running the row twice does no harm
            index = self._context.batches.get(job.key.batch_id)
            if index is not None:
                index.refresh()
                return index.has_outcome(job.key.row)
        return False

    def _release(self, leases: Sequence[Lease]) -> None:
        self._context.release(leases)
        self._leases.remove(leases)

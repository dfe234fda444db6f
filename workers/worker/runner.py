"""The runner: one row's life as a straight line, for one engine. It knows no Ray.

    claim --> compose --> engine --> check --> flush --> settle

This thread steps the engine, and does nothing that could wait: the claimer brings jobs with their first prompts, the
flusher makes outcomes durable and settles them, the heartbeat keeps the leases. Every claimed job ends in exactly one way:
settled after its outcome is durable, released unharmed, or let go because its lease is gone, and then nothing more is
written of it. When the engine itself fails, what it raised leaves `run`, and the leases in hand are left to run out: that
costs each of these jobs a crash, not an attempt.
"""

import os
import random
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from jobs.errors import QueueUnavailable, RowError
from jobs.generation import Completion
from jobs.lanes.job import ClaimId, Lease
from jobs.lanes.protocol import WorkerRecord
from jobs.logs import logger
from workers.engines.protocol import Engine
from workers.worker.attempt import Attempt
from workers.worker.claimer import POLL_S, Claimer, Turn, taken
from workers.worker.context import Line
from workers.worker.failing_batches import Doubts
from workers.worker.flusher import Flusher
from workers.worker.heartbeat import Heartbeat, Pulse
from workers.worker.leases import Leases, Phase

__all__ = ["Line", "Runner"]


class Runner:
    """Runs the jobs of one lane on one engine until it is told to stop.

    `stop` drains: nothing more is claimed, what runs may finish, the rest is released and costs no attempt. `running` is the
    number of jobs in hand, for status. `end_process` is called when the engine hangs and nothing else can end it.
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
        end_process: Callable[[int], object] = os._exit,
    ) -> None:
        self._line = line
        self._engine = engine
        self._worker = worker
        self._clock = clock
        self._monotonic = monotonic
        self._rng = rng or random.Random()
        self._stopping = threading.Event()
        self._give_up_at = float("inf")
        self._timers: list[threading.Timer] = []
        self._attempts: dict[Lease, Attempt] = {}
        self._of_request: dict[str, Attempt] = {}
        self._submitted: deque[str] = deque()
        self._pulse = Pulse(monotonic)
        self._connect(node, end_process)

    def _connect(self, node: str, end_process: Callable[[int], object]) -> None:
        line, worker, incarnation, composing = self._line, self._worker, secrets.token_hex(4), Pulse(self._monotonic)
        slots, doubts = self._engine.stats().slots, Doubts(line.settings.breaker_rows)

        def record(running: int) -> WorkerRecord:
            return WorkerRecord(worker, os.getpid(), node, line.lane, running, slots)

        self._leases = Leases.from_settings(line.settings, self._monotonic)
        self._heartbeat = Heartbeat(
            line.schedule,
            self._leases,
            line.lane,
            line.settings,
            record,
            pulses=(self._pulse, composing),
            monotonic=self._monotonic,
            end_process=end_process,
        )
        self._flusher = Flusher(
            line.store,
            line.schedule,
            self._leases,
            self._heartbeat,
            lane=line.lane,
            worker=worker,
            incarnation=incarnation,
            settings=line.settings,
            metrics=line.metrics,
            doubts=doubts,
        )
        self._claimer = Claimer(
            line,
            self._leases,
            self._flusher,
            doubts,
            slots=slots,
            claim_id=lambda n: str(ClaimId(worker, incarnation, n)),
            record=record,
            clock=self._clock,
            pulse=composing,
        )

    @property
    def running(self) -> int:
        """Jobs in hand."""
        return self._leases.in_hand

    @property
    def store_fault(self) -> str:
        """Why the storage takes or gives nothing at the moment; empty while it does."""
        return self._flusher.store_fault or self._claimers("store.unavailable")

    @property
    def queue_fault(self) -> str:
        """Why Redis gives or takes no rows at the moment, as when it is full; empty while it does."""
        return self._claimers("queue.unavailable")

    @property
    def store_damage(self) -> str:
        """Which file of the storage is damaged, so that its batch waits; empty while none is known."""
        return self._claimers("store.damaged")

    def _claimers(self, event: str) -> str:
        said, why = self._claimer.fault
        return why if said == event else ""

    @property
    def lease_losses(self) -> int:
        """Leases that ran out or were given up, ever."""
        return self._leases.losses

    def stop(self, drain_s: float) -> None:
        """Begin to drain. May be called from any thread, and again with less grace.

        What the engine has not begun goes back at once. Rows that run may finish for the first three quarters of the grace
        time, or all but its last 2 s; the rest of it is for giving back what did not and writing what did, so that the
        worker is done when it is over.
        """
        finish_s = drain_s - min(2.0, drain_s / 4)
        self._give_up_at = min(self._give_up_at, self._monotonic() + finish_s)
        self._flusher.end_by(time.monotonic() + drain_s)
        self._stopping.set()
        self._claimer.stop()
        for after_s, phases in ((0.0, [Phase.WAITING]), (finish_s, [Phase.WAITING, Phase.RUNNING])):
            timer = threading.Timer(after_s, self._hand_back, phases)  # a step may be under way, and a long one
            timer.daemon = True
            self._timers.append(timer)
            timer.start()

    def run(self) -> None:
        """Work until stopped and drained. Raises what the engine raises."""
        logger().info("worker.started", worker=self._worker, lane=self._line.lane)
        with self._heartbeat:
            with self._flusher, self._claimer:
                while not self._drained():
                    self._take_up()
                    self._step()
            self._pulse.rest()
            self._await_giving_back()
            released = self._hand_back(*Phase)
        for lease in list(self._attempts):
            self._abandon(lease)
        logger().info("worker.stopped", worker=self._worker, released=released)

    def _await_giving_back(self) -> None:
        """A drain's timer may be in the middle of giving back what nobody holds any more: the process must not end before it."""
        for timer in list(self._timers):
            timer.cancel()
            if timer.ident is not None:
                timer.join()

    # -- claim, compose ---------------------------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Give the engine what the claimer has ready."""
        for turn in self._claimer.ready():
            lease = turn.attempt.job.lease
            self._attempts[lease] = turn.attempt
            if self._leases.holds(lease):
                self._go_on(turn)
        if not self._flusher.alive:
            raise RuntimeError("the flusher has ended: its own error is above")
        if not self._attempts:
            self._pulse.rest()
            self._claimer.wait(POLL_S)

    # -- engine, check ----------------------------------------------------------------------------------------------

    def _step(self) -> None:
        self._drop_what_is_gone()
        if not self._attempts:
            return
        self._pulse.mark()
        for completion in self._engine.step():
            self._answer(completion)
        self._note_what_runs()

    def _drop_what_is_gone(self) -> None:
        for lease in self._leases.lost() & self._attempts.keys():
            if not self._stopping.is_set():  # else it was handed back
                logger().info("lease.lost", job=str(lease.key))
            self._abandon(lease)
            self._leases.let_go([lease])
            self._claimer.free()
        for lease in self._leases.cancelled() & self._attempts.keys():
            self._give_up(lease)

    def _note_what_runs(self) -> None:
        """Engines begin requests in order: all but the last of those submitted run, as many as `stats` says wait."""
        waiting = self._engine.stats().waiting
        while len(self._submitted) > waiting:
            attempt = self._of_request.get(self._submitted.popleft())
            if attempt is not None:
                self._leases.running(attempt.job.lease)

    def _answer(self, completion: Completion) -> None:
        attempt = self._of_request.pop(completion.request_id, None)
        if attempt is None or attempt.job.lease not in self._attempts:
            return
        lease = attempt.job.lease
        if completion.finish_reason == "cancelled":
            self._give_up(lease)
            return
        self._leases.running(lease)
        self._go_on(taken(attempt, lambda: attempt.receive(completion)))

    def _go_on(self, turn: Turn) -> None:
        for request in turn.requests:
            self._of_request[request.request_id] = turn.attempt
            self._submitted.append(request.request_id)
            self._engine.submit(request)
        if turn.error is not None or turn.attempt.output is not None:
            self._finish(turn.attempt, turn.error)

    # -- flush, settle ----------------------------------------------------------------------------------------------

    def _finish(self, attempt: Attempt, error: RowError | None) -> None:
        lease = attempt.job.lease
        self._abandon(lease)
        outcome, settlement = self._line.outcomes.of(attempt, error, self._clock(), self._rng)
        if outcome.error is not None:
            values = {"job": str(lease.key), "attempt": attempt.job.attempt, "code": outcome.error["code"]}
            if outcome.final:
                logger().info("job.failed", **values)
            else:
                logger().info("job.retried", **values, delay_s=settlement.delay_ms / 1000)
        self._flusher.put(lease.key.batch_id, outcome, settlement)
        self._claimer.free()

    def _abandon(self, lease: Lease) -> None:
        """Take a job out of hand, with whatever the engine still does for it."""
        attempt = self._attempts.pop(lease)
        attempt.close()
        for request_id in attempt.under_way:
            self._of_request.pop(request_id, None)
            self._engine.cancel(request_id)

    # -- drain ------------------------------------------------------------------------------------------------------

    def _drained(self) -> bool:
        return self._stopping.is_set() and (not self._attempts or self._monotonic() >= self._give_up_at)

    def _give_up(self, lease: Lease) -> None:
        """Take a job out of hand and give it back unharmed."""
        self._abandon(lease)
        self._release([lease])
        self._leases.let_go([lease])
        self._claimer.free()

    def _hand_back(self, *phases: Phase) -> int:
        """Release what is in these phases. Timers call it too; the runner then drops what is gone."""
        leases = self._leases.take_back(*phases)
        self._release(leases)
        return len(leases)

    def _release(self, leases: Sequence[Lease]) -> None:
        try:
            self._line.schedule.release(self._line.lane, leases)
        except QueueUnavailable as error:
            logger().warning("queue.unavailable", error=str(error))  # their leases will run out

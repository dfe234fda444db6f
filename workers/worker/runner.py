"""The runner: the loop that takes rows through one engine. It knows no Ray.

    claim --> compose --> engine --> check --> flush --> settle
    |---- claimer -----|     |-- this loop --|     |--- flusher ---|

The loop steps the engine, and leaves what may wait long to other threads: the claimer brings jobs with their first prompts, the
flusher makes outcomes durable and settles them, and the heartbeat renews the leases.

Every claimed job ends in exactly one of three ways. It is *settled* after its outcome is durable. It is *released*, and no
attempt is counted. It is *abandoned* because its lease is gone, and nothing more is written of it. If the engine itself fails,
`run` raises the engine's error and leaves the leases in hand to run out. Each of these jobs is charged a crash, but no attempt.
"""

import contextlib
import os
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final

from jobs.errors import QueueUnavailable
from jobs.generation import Completion
from jobs.lanes.job import Lease
from jobs.logs import logger
from workers.engines.protocol import Engine
from workers.worker.attempt import Attempt, Turn, take_turn
from workers.worker.claimer import POLL_S, Claimer
from workers.worker.context import WorkerContext
from workers.worker.flusher import Flusher
from workers.worker.heartbeat import Heartbeat, Pulse
from workers.worker.leases import Phase
from workers.worker.outage import event_of

RELEASE_S: Final = 2.0
"""Seconds at the end of a drain that are kept for releasing rows and writing outcomes.

If a quarter of the drain is shorter, only that quarter is kept.
"""


class Runner:
    """Runs the jobs of one lane on one engine until it is told to stop.

    `end_process` is called with an exit status if the engine or a kind hangs and nothing else can end the process.
    """

    def __init__(
        self,
        context: WorkerContext,
        engine: Engine,
        *,
        rng: random.Random | None = None,
        end_process: Callable[[int], object] = os._exit,
    ) -> None:
        self._context = context
        self._engine = engine
        self._rng = rng or random.Random()
        self._leases = context.leases
        self._stopping = threading.Event()
        self._finish_by = float("inf")
        self._released_before = 0
        self._timers: list[threading.Timer] = []
        self._attempts: dict[Lease, Attempt] = {}
        self._attempt_of: dict[str, Attempt] = {}
        self._submitted: deque[str] = deque()
        self._pulse, composing = Pulse(context.monotonic), Pulse(context.monotonic)
        self._heartbeat = Heartbeat(context, pulses=(self._pulse, composing), end_process=end_process)
        self._flusher = Flusher(context, self._heartbeat)
        self._claimer = Claimer(context, self._flusher, composing)

    @property
    def running(self) -> int:
        """How many jobs are in hand: claimed and not finished."""
        return self._leases.in_hand

    @property
    def store_fault(self) -> str:
        """The reason why the storage cannot be written or read at the moment; empty if the storage works."""
        return self._flusher.store_fault or self._claimer_fault("store.unavailable")

    @property
    def queue_fault(self) -> str:
        """The reason why Redis gives or takes no rows at the moment, for example that it is full; empty if Redis works."""
        return self._claimer_fault("queue.unavailable")

    @property
    def store_damage(self) -> str:
        """The damaged file that a batch waits for, as a message; empty if none is known."""
        return self._claimer_fault("store.damaged")

    def _claimer_fault(self, event: str) -> str:
        error = self._claimer.outage.error
        return str(error) if error is not None and event_of(error) == event else ""

    @property
    def lease_losses(self) -> int:
        """How many leases were ever lost, or abandoned because a phase took too long or the engine or a kind hung."""
        return self._leases.losses

    def stop(self, drain_s: float) -> None:
        """Begin to drain (rule 33 of jobs/PROTOCOL.md). May be called from any thread, and again with a shorter `drain_s`.

        Nothing more is claimed, and rows that the engine has not begun are released at once. Running rows may finish until
        `RELEASE_S` seconds before the end of the drain. Rows that run after that are released too. The drain lasts `drain_s`
        seconds at most.
        """
        finish_s = drain_s - min(RELEASE_S, drain_s / 4)
        now = self._context.monotonic()
        self._finish_by = min(self._finish_by, now + finish_s)
        self._flusher.end_by(now + drain_s)
        if not self._stopping.is_set():
            self._released_before = self._leases.released
        self._stopping.set()
        self._claimer.stop()
        for after_s, phases in ((0.0, [Phase.WAITING]), (finish_s, [Phase.WAITING, Phase.RUNNING])):
            # Timers release the leases, because a step of the loop may take long.
            timer = threading.Timer(after_s, self._release_in, [phases])
            timer.daemon = True
            self._timers.append(timer)
            timer.start()

    def run(self) -> None:
        """Work until stopped and drained. Raises the error of an engine that fails."""
        context = self._context
        logger().info("worker.started", worker=context.worker, lane=context.lane)
        with self._heartbeat:
            with self._flusher, self._claimer:
                while not self._drained():
                    self._submit_or_flush(self._claimed_and_composed())
                    self._submit_or_flush(self._checked(self._step_engine()))
            self._pulse.rest()
            self._await_timers()
            self._release_in(Phase)
            released = self._leases.released - self._released_before
        with contextlib.suppress(QueueUnavailable):  # without Redis, this worker stays in snapshots for a while
            context.schedule.leave(context.lane, context.worker)
        for lease in list(self._attempts):
            self._cancel(lease)
        logger().info("worker.stopped", worker=context.worker, released=released)

    def _submit_or_flush(self, turns: Iterable[Turn]) -> None:
        """Submit the requests of each turn to the engine. After the last turn of a conversation, flush the attempt's outcome."""
        for turn in turns:
            if turn.is_last:
                self._flush(turn)
            else:
                self._submit(turn)

    # -- claim, compose: done by the claimer ------------------------------------------------------------------------

    def _claimed_and_composed(self) -> Iterator[Turn]:
        """Yield the first turns of the jobs that the claimer has begun. Waits up to `POLL_S` seconds if no job is in hand."""
        for turn in self._claimer.ready():
            lease = turn.attempt.job.lease
            self._attempts[lease] = turn.attempt
            if self._leases.holds(lease):
                yield turn
        if not self._flusher.alive:
            raise RuntimeError("the flusher has ended: its own error is above")
        if not self._attempts:
            self._pulse.rest()
            self._claimer.wait(POLL_S)

    # -- engine -----------------------------------------------------------------------------------------------------

    def _submit(self, turn: Turn) -> None:
        if turn.attempt.trace is not None:
            turn.attempt.trace.submitted(turn.requests)
        for request in turn.requests:
            self._attempt_of[request.request_id] = turn.attempt
            self._submitted.append(request.request_id)
            self._engine.submit(request)

    def _step_engine(self) -> Sequence[Completion]:
        """Step the engine if any job is in hand. Returns the completions of the step."""
        self._end_what_is_gone()
        if not self._attempts:
            return ()
        self._pulse.mark()
        return self._engine.step()

    # -- check ------------------------------------------------------------------------------------------------------

    def _checked(self, completions: Sequence[Completion]) -> Iterator[Turn]:
        """Give each completion to its attempt, and yield the turn that follows.

        If the attempt waits for further completions, the turn has no requests, and is not the last.
        """
        for completion in completions:
            attempt = self._attempt_of.pop(completion.request_id, None)
            if attempt is None or attempt.job.lease not in self._attempts:
                continue
            if completion.finish_reason == "cancelled":
                self._release(attempt.job.lease)
                continue
            self._leases.mark_running(attempt.job.lease)
            if attempt.trace is not None:
                attempt.trace.answered(completion)
            yield take_turn(attempt, partial(attempt.receive, completion))
        self._note_what_runs()

    def _note_what_runs(self) -> None:
        """Note which rows the engine has begun.

        The engine begins requests in the order in which they were submitted. So the requests that still wait are those
        submitted last.
        """
        waiting = self._engine.stats().waiting
        while len(self._submitted) > waiting:
            attempt = self._attempt_of.get(self._submitted.popleft())
            if attempt is not None:
                self._leases.mark_running(attempt.job.lease)

    # -- flush, settle: done by the flusher -------------------------------------------------------------------------

    def _flush(self, turn: Turn) -> None:
        """Hand the outcome of a finished attempt to the flusher, which makes it durable and then settles it."""
        context, attempt = self._context, turn.attempt
        job = attempt.job
        self._cancel(job.lease)
        outcome, settlement = context.outcome_builder.ended(attempt, turn.error, context.clock(), self._rng)
        if outcome.error is not None:
            values = {"job": str(job.key), "attempt": job.attempt, "code": outcome.error["code"]}
            if outcome.final:
                logger().info("job.failed", **values)
            else:
                logger().info("job.retried", **values, delay_s=settlement.delay_ms / 1000)
        if attempt.trace is not None:
            attempt.trace.ended(outcome, attempt.created_at)
        self._flusher.put(job.key.batch_id, outcome, settlement, attempt.created_at)
        self._claimer.wake()

    # -- the other ends of a lease ----------------------------------------------------------------------------------

    def _end_what_is_gone(self) -> None:
        """Abandon the attempts whose lease is gone, and release those whose batch was closed."""
        for lease in self._leases.gone() & self._attempts.keys():
            self._abandon(lease)
        for lease in self._leases.cancelled() & self._attempts.keys():
            self._release(lease)

    def _abandon(self, lease: Lease) -> None:
        """End the attempt and write nothing of it, because its lease is gone."""
        self._cancel(lease)
        self._leases.remove([lease])
        self._claimer.wake()

    def _release(self, lease: Lease) -> None:
        """End the attempt, and give its lease back: no attempt is counted."""
        self._cancel(lease)
        self._context.release([lease])
        self._leases.remove([lease])
        self._claimer.wake()

    def _cancel(self, lease: Lease) -> None:
        """Remove and close the attempt, and cancel its requests at the engine."""
        attempt = self._attempts.pop(lease)
        attempt.close()
        for request_id in attempt.under_way:
            self._attempt_of.pop(request_id, None)
            self._engine.cancel(request_id)

    # -- drain ------------------------------------------------------------------------------------------------------

    def _drained(self) -> bool:
        return self._stopping.is_set() and (not self._attempts or self._context.monotonic() >= self._finish_by)

    def _release_in(self, phases: Iterable[Phase]) -> None:
        """Release the leases in these phases.

        Timers call this on threads of their own, so it does not touch the attempts; the loop abandons them later.
        """
        self._context.release(self._leases.start_release(*phases))

    def _await_timers(self) -> None:
        """Wait for the drain timers: a timer may still be releasing leases, and ending the process now would lose that call."""
        for timer in list(self._timers):
            timer.cancel()
            if timer.ident is not None:
                timer.join()

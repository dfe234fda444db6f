"""The heartbeat: a thread that renews the leases of a worker, learns which of them are gone, and notices a hung engine.

It does no work, and writes nothing: what it learns is kept in `Leases`, where the runner and the flusher read it.

While Redis is away it keeps trying. Once Redis was silent for longer than a lease, no lease is sure any more: it may have run
out, and another worker may have the row. Rows in hand go on all the same, since throwing them away would cost more than doing
some of them twice, and the flusher calls `confirm` before each segment. If that gets no answer either, finished lines are
written without one (rule 32 of jobs/PROTOCOL.md): the winner of a row is the same for every reader, and a second line of a row
is waste, which is never billed.
"""

import os
import threading
import time
from collections.abc import Callable
from typing import Final

from jobs.errors import QueueUnavailable
from jobs.logs import logger
from workers.worker.context import WorkerContext
from workers.worker.outage import Outage

BEAT_S: Final = 5.0
"""The longest time between two beats, in seconds."""

AGAIN_S: Final = 0.2
"""Seconds between two tries while Redis is away. An idle worker claims as often, and finds the leases that ran out meanwhile."""


class Pulse:
    """When a loop that may hang last began to work. `age_s` is 0 while it has nothing to do."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._at: float | None = None

    def mark(self) -> None:
        """The loop is here now, and begins to work."""
        self._at = self._monotonic()

    def rest(self) -> None:
        """The loop waits for work."""
        self._at = None

    @property
    def age_s(self) -> float:
        """Seconds since the last mark."""
        at = self._at
        return 0.0 if at is None else self._monotonic() - at


class Heartbeat:
    """Beats three times in a lease until stopped, and as soon as Redis is back. Use as a context manager.

    When one of `pulses` is older than `step_limit_s`, the engine or a kind hangs: all leases in hand are abandoned. After
    `exit_limit_s` more the process ends by `end_process`, so that the fleet replaces it: nothing else stops a hung thread.
    """

    def __init__(
        self,
        context: WorkerContext,
        *,
        pulses: tuple[Pulse, ...] = (),
        end_process: Callable[[int], object] = os._exit,
    ) -> None:
        settings = context.settings
        self._context = context
        self._leases = context.leases
        self._step_limit_s = settings.step_limit_s
        self._exit_limit_s = settings.exit_limit_s
        self._beat_s = min(settings.lease_s / 3, BEAT_S)
        self._pulses = pulses
        self._end_process = end_process
        self._answered_at = context.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def beat(self) -> None:
        """Renew the leases now, and note which are gone. Raises QueueUnavailable."""
        context = self._context
        hung_s = max((pulse.age_s for pulse in self._pulses), default=0.0)
        for lease, phase in self._leases.abandon_overdue(hung=hung_s > self._step_limit_s):
            logger().warning("lease.abandoned", job=str(lease.key), phase=str(phase))
        if hung_s > self._step_limit_s + self._exit_limit_s:
            logger().error("worker.hung", hung_s=round(hung_s, 1))
            self._end_process(1)
        answer = context.schedule.beat(context.lane, self._leases.renewable(), context.lease_ms, context.record())
        self._leases.mark_ended(lost=answer.lost, cancelled=answer.cancelled)
        self._answered_at = context.monotonic()

    def confirm(self) -> None:
        """Beat before a write if the last answer is older than a lease. Without an answer nothing is known, and it returns."""
        if self._context.monotonic() - self._answered_at > self._context.settings.lease_s:
            try:
                self.beat()
            except QueueUnavailable as error:
                logger().warning("queue.unavailable", error=str(error))

    def _run(self) -> None:
        outage = Outage()
        while not self._stop.wait(self._beat_s if outage.error is None else AGAIN_S):
            try:
                self.beat()
                outage.end()
            except QueueUnavailable as error:
                outage.log(error)

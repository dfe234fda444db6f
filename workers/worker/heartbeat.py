"""The heartbeat: a thread that renews the leases of a worker, learns which of them are gone, and notices a hung engine.

The thread runs no rows and writes nothing. What it learns is kept in `Leases`, where the runner and the flusher read it.

While Redis is away, the heartbeat keeps trying. If Redis has been silent for longer than `lease_s`, each lease may have run out,
and another worker may have its row. Rows in hand continue all the same, because stopping all rows would cost more than running
some rows twice. The flusher calls `confirm` before each segment. If Redis does not answer that call either, finished lines are
written all the same (rule 32 of jobs/PROTOCOL.md). This is safe: every reader finds the same winner of a row, and a second line
of a row is waste, which is never billed.
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
"""The longest time between two beats, in seconds. If a third of `lease_s` is shorter, the heartbeat beats after that third."""

AGAIN_S: Final = 0.2
"""Seconds between two tries while Redis is away.

If this time were longer, leases would be lost when Redis is back: other workers ask for jobs soon after, and may take jobs whose
lease ran out.
"""


class Pulse:
    """Holds the time when a loop last began to work, so that the heartbeat notices a loop that hangs."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._at: float | None = None

    def mark(self) -> None:
        """Note that the loop begins to work now."""
        self._at = self._monotonic()

    def rest(self) -> None:
        """Note that the loop waits for work."""
        self._at = None

    @property
    def age_s(self) -> float:
        """Seconds since the last mark; 0 while the loop waits for work."""
        at = self._at
        return 0.0 if at is None else self._monotonic() - at


class Heartbeat:
    """Renews the leases at least three times in `lease_s`, and more often while Redis is away. Use it as a context manager.

    If one of `pulses` is older than `step_limit_s`, the engine or a kind counts as hung, and all leases in hand are abandoned.
    After a further `exit_limit_s`, `end_process` ends the process, because nothing else stops a hung thread. The fleet then
    replaces the worker.
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
        """Abandon overdue leases, renew the other leases, and note which of these are gone or cancelled.

        Raises QueueUnavailable if Redis does not answer.
        """
        context = self._context
        hung_s = max((pulse.age_s for pulse in self._pulses), default=0.0)
        for lease, phase in self._leases.abandon_overdue(hung=hung_s > self._step_limit_s):
            logger().warning("lease.abandoned", job=str(lease.key), phase=str(phase))
        if hung_s > self._step_limit_s + self._exit_limit_s:
            logger().error("worker.hung", hung_s=round(hung_s, 1))
            self._end_process(1)
        answer = context.schedule.beat(context.lane, self._leases.renewable(), context.lease_ms, context.record())
        ended = {"lost": answer.lost, "cancelled": answer.cancelled, "forgotten": answer.forgotten}
        for lease in self._leases.mark_ended(**ended):
            logger().info("lease.lost", job=str(lease.key))
        self._answered_at = context.monotonic()

    def confirm(self) -> None:
        """Renew the leases before a write if the last answer is older than `lease_s`.

        If Redis does not answer, this is logged, and the caller writes all the same (rule 32).
        """
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
                outage.log_end()
            except QueueUnavailable as error:
                outage.log(error)

"""The heartbeat: a thread that renews the leases of a worker, learns which of them are gone, and notices a hung engine.

It does no work, and writes nothing: what it learns stands in `Leases`, for the runner and the flusher to read.

While Redis is away it keeps trying. Once it was away for longer than a lease, each lease is in doubt: it may have run out
in Redis, and another worker may have the row. Rows in hand go on, since to throw them away would cost more than to do
some of them twice, and each segment is written only after `confirm` has asked again. When that gets no answer either, the
finished lines are written all the same: storage decides, Redis only schedules (rules 8, 18 and 25 of jobs/PROTOCOL.md). A line
carries its fence, the winner of a row is the same whoever reads, and the second one is waste, which is never billed.
"""

import os
import threading
import time
from collections.abc import Callable
from typing import Final

from jobs.errors import QueueUnavailable
from jobs.lanes.protocol import Schedule, WorkerRecord
from jobs.logs import logger
from jobs.settings import Settings
from workers.worker.leases import Leases

BEAT_S: Final = 5.0
AGAIN_S: Final = 0.2
"""How soon it tries again while Redis is away: as soon as idle workers claim, who find leases that ran out meanwhile."""


class Pulse:
    """When the loop that steps the engine last came round. `age_s` is 0 while it has nothing to do."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._at: float | None = None

    def mark(self) -> None:
        """It is here now, and about to work."""
        self._at = self._monotonic()

    def rest(self) -> None:
        """It waits for work."""
        self._at = None

    @property
    def age_s(self) -> float:
        """How long ago the last mark was."""
        at = self._at
        return 0.0 if at is None else self._monotonic() - at


class Heartbeat:
    """Beats three times in a lease until stopped, and at once when Redis is back. Use as a context manager.

    When one of `pulses` is older than `step_limit_s`, the engine (or a kind) hangs: all leases in hand are given up. After
    `exit_limit_s` more the process ends by `end_process`, so that the fleet replaces it: nothing else stops a hung thread.
    """

    def __init__(
        self,
        schedule: Schedule,
        leases: Leases,
        lane: str,
        settings: Settings,
        record: Callable[[int], WorkerRecord],
        *,
        pulses: tuple[Pulse, ...] = (),
        monotonic: Callable[[], float] = time.monotonic,
        end_process: Callable[[int], object] = os._exit,
    ) -> None:
        self._schedule = schedule
        self._leases = leases
        self._lane = lane
        self._lease_s = settings.lease_s
        self._step_limit_s = settings.step_limit_s
        self._exit_limit_s = settings.exit_limit_s
        self._beat_s = min(settings.lease_s / 3, BEAT_S)
        self._record = record
        self._pulses = pulses
        self._monotonic = monotonic
        self._end_process = end_process
        self._heard = monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def beat(self) -> None:
        """One beat, now. Raises QueueUnavailable."""
        hung_s = max((pulse.age_s for pulse in self._pulses), default=0.0)
        renewed, given_up = self._leases.renewable(hung=hung_s > self._step_limit_s)
        for lease, phase in given_up:
            logger().warning("lease.given_up", job=str(lease.key), phase=str(phase))
        if hung_s > self._step_limit_s + self._exit_limit_s:
            logger().error("worker.hung", hung_s=round(hung_s, 1))
            self._end_process(1)
        answer = self._schedule.beat(self._lane, renewed, int(self._lease_s * 1000), self._record(self._leases.holding))
        self._leases.report(answer.lost, answer.cancelled)
        self._heard = self._monotonic()

    def confirm(self) -> None:
        """Ask again before a write, if the last answer is older than a lease. Without an answer the doubt remains."""
        if self._monotonic() - self._heard > self._lease_s:
            try:
                self.beat()
            except QueueUnavailable as error:
                logger().warning("queue.unavailable", error=str(error))

    def _run(self) -> None:
        away = False
        while not self._stop.wait(AGAIN_S if away else self._beat_s):
            try:
                self.beat()
                away = False
            except QueueUnavailable as error:
                if not away:
                    logger().warning("queue.unavailable", error=str(error))
                away = True

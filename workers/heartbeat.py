"""The heartbeat: a thread that keeps the leases of a worker alive, and learns which of them are gone.

Owns the set of leases that the worker holds. It does no work, and writes nothing: what it learns, the runner reads.
While Redis is away it keeps trying; a lease that ran out meanwhile is reported as lost afterwards.
"""

import threading
from collections.abc import Callable, Iterable

from jobs.errors import QueueUnavailable
from jobs.job import Lease
from jobs.job_queue import Beat, Schedule, WorkerRecord
from jobs.logs import logger


class Heartbeat:
    """Beats three times in a lease, or when `beat_s` says, until stopped. Use as a context manager."""

    def __init__(self, schedule: Schedule, lane: str, lease_s: float, record: Callable[[int], WorkerRecord]) -> None:
        self._schedule = schedule
        self._lane = lane
        self._lease_ms = int(lease_s * 1000)
        self._beat_s = min(lease_s / 3, 5.0)
        self._record = record
        self._held: set[Lease] = set()
        self._lost: set[Lease] = set()
        self._cancelled: set[Lease] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def hold(self, leases: Iterable[Lease]) -> None:
        """Keep these alive from now on."""
        with self._lock:
            self._held.update(leases)

    def let_go(self, leases: Iterable[Lease]) -> None:
        """These are settled, released or lost: beat them no more."""
        gone = set(leases)
        with self._lock:
            self._held -= gone
            self._lost -= gone
            self._cancelled -= gone

    @property
    def holding(self) -> int:
        """How many leases are held: jobs in hand, and those whose outcome is not reported yet."""
        with self._lock:
            return len(self._held)

    def lost(self) -> frozenset[Lease]:
        """Held leases that the queue no longer knows: nothing may be written for their jobs."""
        with self._lock:
            return frozenset(self._lost)

    def cancelled(self) -> frozenset[Lease]:
        """Held leases whose batch was closed."""
        with self._lock:
            return frozenset(self._cancelled)

    def beat(self) -> None:
        """One beat, now. Raises QueueUnavailable."""
        with self._lock:
            held = tuple(self._held)
        answer: Beat = self._schedule.beat(self._lane, held, self._lease_ms, self._record(len(held)))
        with self._lock:
            self._lost |= answer.lost & self._held
            self._cancelled |= answer.cancelled & self._held

    def _run(self) -> None:
        away = False
        while not self._stop.wait(self._beat_s):
            try:
                self.beat()
                away = False
            except QueueUnavailable as error:
                if not away:
                    logger().warning("queue.unavailable", error=str(error))
                away = True

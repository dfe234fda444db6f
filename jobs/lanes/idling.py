"""How long a worker waits before it asks for jobs again, and the thread that hears when it is woken earlier (rule 47 of
jobs/PROTOCOL.md).

All workers of a lane that find no jobs ask about `CLAIMS_S` times a second together, however many they are, and each of them at
least once in `LONGEST_S` seconds. So what idle workers cost Redis does not grow with their number until there are hundreds, and
grows slowly from there. In between each waits for a wake, which comes as soon as there are rows for it.
"""

import random
import threading
from collections.abc import Callable
from typing import Final

from jobs.errors import QueueUnavailable, UnavailableError
from jobs.logs import logger

SHORTEST_S: Final = 0.2
"""Seconds that an idle worker waits at first, and that the worker that keeps the lane always waits."""

LONGEST_S: Final = 10.0
"""An idle worker asks for jobs at least once in this many seconds. A wake that is lost costs no more."""

OUTAGE_S: Final = 1.0
"""A worker asks at least once in this many seconds while Redis or the storage is away."""

CLAIMS_S: Final = 50
"""Idle workers wait as long as it takes all workers of the lane together to ask this many times a second."""

DEAF_S: Final = 5.0
"""Seconds until a worker tries to be woken again after Redis refused it or was away."""


class BackOff:
    """The waits of one of `workers` workers of a lane: each is up to twice as long as the one before, until `reset`."""

    def __init__(self, rng: random.Random | None = None) -> None:
        self._rng = rng or random.Random()
        self._next_s = SHORTEST_S
        self.workers = 1

    def reset(self) -> None:
        """Begin with the shortest wait again, since there were jobs."""
        self._next_s = SHORTEST_S

    def next_s(self, most_s: float = LONGEST_S) -> float:
        """Return the seconds to wait, `most_s` at most. Half of it is random, so that the workers spread out."""
        wait_s = min(self._next_s, max(self.workers / CLAIMS_S, SHORTEST_S), most_s)
        self._next_s = min(2 * self._next_s, LONGEST_S)
        return wait_s * self._rng.uniform(0.5, 1.0)


class WakeCalls:
    """A thread that waits for a wake once one is wanted, and calls `called` when it comes.

    `wait` waits for a wake for some seconds at most, and returns whether one came. If Redis does not let this worker wait, that
    is logged once; the worker then only looks for jobs by itself.
    """

    def __init__(self, wait: Callable[[float], bool], called: Callable[[], object]) -> None:
        self._wait = wait
        self._called = called
        self._wanted = threading.Event()
        self._stop = threading.Event()
        self._refused = False
        self._thread = threading.Thread(target=self._run, name="wake-calls", daemon=True)

    def want(self, is_wanted: bool) -> None:
        """Begin or end to wait for one wake. The thread is started when it is first needed."""
        if not is_wanted:
            self._wanted.clear()
        elif not self._stop.is_set():
            self._wanted.set()
            if self._thread.ident is None:
                self._thread.start()

    def stop(self) -> None:
        """End the thread. Returns at once: the thread ends with its present wait, and calls nothing more."""
        self._stop.set()
        self._wanted.set()

    def _run(self) -> None:
        while self._wanted.wait() and not self._stop.is_set():
            try:
                if self._wait(LONGEST_S) and not self._stop.is_set():
                    self._wanted.clear()  # a further wake is for another worker
                    self._called()
            except QueueUnavailable as error:
                self._log(error)
                self._stop.wait(DEAF_S)

    def _log(self, error: UnavailableError) -> None:
        if not self._refused and not self._stop.is_set():
            logger().debug("queue.deaf", error=str(error))
        self._refused = True

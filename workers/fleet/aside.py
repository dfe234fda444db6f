"""Runs tasks on other threads, so that the thread of a supervisor waits for none of them.

The threads are daemons: a task that hangs, because its cluster or its disk does not answer, keeps no command from ending.
"""

import queue
import threading
import time
from collections.abc import Callable
from typing import Final

THREADS: Final = 16
"""At most this many tasks run at once; the others wait for their turn."""


class Aside:
    """Runs each task that it is called with, in the order of the calls. A task must not raise.

    `threads` are started as they are needed.
    """

    def __init__(self, threads: int = THREADS, name: str = "aside") -> None:
        self._tasks: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._most = threads
        self._name = name
        self._lock = threading.Lock()
        self._threads = 0
        self._unfinished = 0

    def __call__(self, task: Callable[[], object]) -> None:
        """Run a task soon. Returns at once."""
        with self._lock:
            self._unfinished += 1
            is_short_of = self._threads < min(self._most, self._unfinished)
            self._threads += is_short_of
        self._tasks.put(task)
        if is_short_of:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()

    def finish(self, timeout_s: float, *, monotonic: Callable[[], float] = time.monotonic) -> bool:
        """Wait until no task is left, for `timeout_s` seconds at most. Returns whether none is left."""
        until = monotonic() + timeout_s
        while self._unfinished and monotonic() < until:
            time.sleep(0.01)
        return not self._unfinished

    def _work(self) -> None:
        while True:
            task = self._tasks.get()
            try:
                task()
            finally:
                with self._lock:
                    self._unfinished -= 1


def in_line(task: Callable[[], object]) -> None:
    """Run a task at once, on the caller's own thread, as tests with a clock of their own do."""
    task()

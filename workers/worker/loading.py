"""Lets snapshots of the queue, and so `status`, show a worker while it loads its model."""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from typing import Final

from jobs.errors import QueueUnavailable
from jobs.lanes.protocol import Schedule, WorkerRecord

SHOW_S: Final = 5.0
"""Seconds between two beats of a worker that loads its model."""


class LoadingSign:
    """A context manager that sends beats without leases, from a thread, while its block loads the model.

    While Redis is away, the worker is not shown, and loading goes on. If loading fails, the worker is no longer shown. `look` is
    called before each beat to read the id of the store, which the beat uses; it may raise QueueUnavailable.
    """

    def __init__(
        self,
        schedule: Schedule,
        lane: str,
        worker: str,
        node: str,
        lease_ms: int,
        look: Callable[[], object] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._schedule = schedule
        self._lane = lane
        self._worker = worker
        self._node = node
        self._lease_ms = lease_ms
        self._look = look
        self._monotonic = monotonic
        self._began = monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loading", daemon=True)

    def __enter__(self) -> "LoadingSign":
        self._thread.start()
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if failed is not None:
            with contextlib.suppress(QueueUnavailable):
                self._schedule.leave(self._lane, self._worker)

    def show(self) -> None:
        """Send one beat that shows the worker as loading. Raises QueueUnavailable."""
        loading_s = int(self._monotonic() - self._began)
        record = WorkerRecord(self._worker, os.getpid(), self._node, self._lane, 0, loading_s=loading_s)
        self._look()
        self._schedule.beat(self._lane, [], self._lease_ms, record)

    def _run(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(QueueUnavailable):
                self.show()
            self._stop.wait(SHOW_S)

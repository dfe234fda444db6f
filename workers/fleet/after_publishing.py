"""What follows a published round and may take long, such as the delivery to a slow place: tasks on a thread of their own.

No sweep waits for the tasks, so other batches are published meanwhile. The tasks run one after the other, at once after a round
was published, and from time to time for rounds that other processes have published. A task that needs something that is away
is logged and run again later. Any other error is raised by the next call, as if it had happened there.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from jobs.errors import UnavailableError
from jobs.logs import logger
from workers.worker.outage import Outage

RUN_EVERY_S: Final = 10.0
"""Seconds after which the tasks run again although this process has published nothing."""


class AfterPublishing:
    """Runs its tasks, never twice at the same time. It may be called at any time, and returns at once."""

    def __init__(self, *tasks: Callable[[], object], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._tasks = [(task, Outage()) for task in tasks]
        self._monotonic = monotonic
        self._due = False
        self._ran_at = float("-inf")
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def __call__(self, published: bool) -> None:
        """Start the tasks if something was `published` or it is time. While they run, `published` is kept for the next start."""
        self._due = self._due or published
        if self._error is not None:
            raise self._error
        if self._is_running():
            return
        if self._due or self._monotonic() - self._ran_at >= RUN_EVERY_S:
            self._due, self._ran_at = False, self._monotonic()
            self._thread = threading.Thread(target=self._run, name="after publishing", daemon=True)
            self._thread.start()

    def finish(self, timeout_s: float) -> bool:
        """Wait up to `timeout_s` for tasks that run, then start those that are due. Returns whether nothing is left to do."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        if self._due or self._error is not None:
            self(published=False)
        return not self._is_running()

    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        try:
            for task, outage in self._tasks:
                self._try(task, outage)
        except BaseException as error:  # noqa: BLE001 - raised again by the next call
            self._error = error

    def _try(self, task: Callable[[], object], outage: Outage) -> None:
        try:
            task()
        except UnavailableError as error:
            if outage.begin(error):
                logger().warning("after_publishing.failed", error=outage.reason)
        else:
            outage.end()

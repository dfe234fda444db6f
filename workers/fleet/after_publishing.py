"""Tasks that run on a separate thread after a round was published, because they may take long, such as a slow delivery.

No sweep waits for the tasks, so other batches are published while the tasks run. The tasks run one after the other. They start at
once after this process has published a round, and every RUN_EVERY_S seconds for rounds that other processes have published. If
Redis or the storage is away, a task that needs it fails; this is logged, and the task runs again later. Any other error of a task
is raised by the next call of AfterPublishing.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from jobs.errors import UnavailableError
from jobs.logs import logger
from workers.worker.outage import Outage

RUN_EVERY_S: Final = 10.0
"""Seconds after the last start of the tasks when they run again, even if this process has published nothing."""


class AfterPublishing:
    """Runs its tasks, never twice at the same time. Call it at any time: it returns at once."""

    def __init__(self, *tasks: Callable[[], object], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._tasks = [(task, Outage()) for task in tasks]
        self._monotonic = monotonic
        self._due = False
        self._ran_at = float("-inf")
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def __call__(self, published: bool) -> None:
        """Start the tasks if something was `published`, or if RUN_EVERY_S have passed.

        If the tasks are still running, nothing is started, and `published` is remembered for the next call. Raises the error of a
        task that failed.
        """
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
        """Wait up to `timeout_s` seconds for running tasks; after that, start the tasks if they are due.

        Returns whether nothing is left to do. Raises the error of a task that failed.
        """
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

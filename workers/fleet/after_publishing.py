"""Errands: what follows a published round and may take its time, such as delivery to a slow place.

They are run one after the other by a thread of their own, so that no sweep waits for them: other batches are published
meanwhile. They are run at once after a publishing, and now and then for what others have published. An errand that needs
something that is away is said and run again; any other error ends whoever comes by next, as if it had been made there.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from jobs.errors import UnavailableError
from jobs.logs import logger

LOOK_S: Final = 10.0
"""How often they are run although this process has published nothing."""


class Errands:
    """Runs its errands, never twice at once. Call it as often as one likes: it returns at once."""

    def __init__(self, *errands: Callable[[], object], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._errands = errands
        self._monotonic = monotonic
        self._owed = False
        self._ran_at = float("-inf")
        self._said = ""
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def __call__(self, published: bool) -> None:
        """Run them if it is time, or something was `published`. While they run, that is kept in mind."""
        self._owed = self._owed or published
        if self._error is not None:
            raise self._error
        if self._thread is not None and self._thread.is_alive():
            return
        if self._owed or self._monotonic() - self._ran_at >= LOOK_S:
            self._owed, self._ran_at = False, self._monotonic()
            self._thread = threading.Thread(target=self._run, name="errands", daemon=True)
            self._thread.start()

    def finish(self, timeout_s: float) -> bool:
        """Wait for what is under way, and begin what is owed. Whether nothing was."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        if self._owed or self._error is not None:
            self(published=False)
        return self._thread is None or not self._thread.is_alive()

    def _run(self) -> None:
        try:
            for errand in self._errands:
                self._try(errand)
        except BaseException as error:  # noqa: BLE001 - raised again where somebody sees it
            self._error = error

    def _try(self, errand: Callable[[], object]) -> None:
        try:
            errand()
        except UnavailableError as error:
            if str(error) != self._said:
                self._said = str(error)
                logger().warning("after_publishing.failed", error=self._said)

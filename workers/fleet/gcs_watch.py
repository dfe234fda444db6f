"""The watch over the control store (GCS) of the Ray cluster, which ends a command before Ray would.

Without its control store Ray starts no worker. After a timeout it ends every process of the cluster, with status 1 and a
traceback. A command that watches the store ends some seconds before that, with a message and the exit status of
UnavailableError. Finished rows are kept, and another fleet goes on from there.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

from jobs.errors import UnavailableError

LOOK_S: Final = 0.5
"""Seconds between two looks at the store."""
ANSWER_S: Final = 2.0
"""Seconds after which a connection that is not accepted counts as no answer."""
ORDERLY_S: Final = 8.0
"""The store counts as lost this many seconds before Ray's timeout, though not before half of the timeout."""
LAST_S: Final = 2.0
"""The process is ended this many seconds before Ray's timeout, though not before three quarters of it: a call of Ray may hang."""


def listens(address: str) -> bool:
    """Whether connections are accepted at the address host:port."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), ANSWER_S):
            return True
    except OSError:
        return False


def end_process(status: int) -> None:
    """End the process without its exit handlers: Ray's would wait for the control store."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


class GcsWatch:
    """Looks at the control store at `address` from a thread, between `start` and `close`.

    `timeout_s` is how long Ray waits for the store. A store that has never answered this process counts as there: it may be
    behind a firewall.
    """

    def __init__(
        self,
        address: str,
        timeout_s: float,
        *,
        answers: Callable[[str], bool] = listens,
        monotonic: Callable[[], float] = time.monotonic,
        leave: Callable[[int], None] = end_process,
    ) -> None:
        self._address = address
        self._orderly_s = max(timeout_s - ORDERLY_S, timeout_s / 2)
        self._last_s = max(timeout_s - LAST_S, timeout_s * 3 / 4)
        self._answers = answers
        self._monotonic = monotonic
        self._leave = leave
        self._looked_at: float | None = None
        self._away_s = 0.0
        self._reported = False
        self._closed = threading.Event()

    def start(self) -> "GcsWatch":
        """Start to look."""
        threading.Thread(target=self._look_on, name="gcs watch", daemon=True).start()
        return self

    def close(self) -> None:
        """Stop looking, unless the store is lost: then the process must end in time."""
        if not self.lost:
            self._closed.set()

    @property
    def away(self) -> bool:
        """Whether the store did not answer at the last look. Calls of Ray hang until it does."""
        return self._away_s > 0.0

    @property
    def lost(self) -> bool:
        """Whether Ray is about to give up."""
        return self._away_s >= self._orderly_s

    def check(self) -> None:
        """Raise UnavailableError if the store is lost."""
        if self.lost:
            self._reported = True
            raise UnavailableError(self._fault())

    def look(self) -> None:
        """Look whether the store answers. If it is Ray's last seconds, end the process, with a message unless `check` raised."""
        answers, now = self._answers(self._address), self._monotonic()
        if answers:
            self._looked_at, self._away_s = now, 0.0
        elif self._looked_at is not None:
            self._away_s += min(now - self._looked_at, LOOK_S + ANSWER_S)  # more means that this process stood still
            self._looked_at = now
        if self._away_s >= self._last_s:
            if not self._reported:
                print(f"nightpress: {self._fault()}", file=sys.stderr)  # noqa: T201 - the command hangs in a call of Ray
            self._leave(UnavailableError.exit_status)

    def _look_on(self) -> None:
        while not self._closed.wait(LOOK_S):
            self.look()

    def _fault(self) -> str:
        return (
            f"Ray's control store (GCS) at {self._address} has not answered for {self._away_s:.0f} s, and Ray ends its workers. "
            "Start the cluster again, then the same command: what is done is kept"
        )

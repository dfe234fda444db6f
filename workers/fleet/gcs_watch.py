"""Watches the control store (GCS) of the Ray cluster, and ends a command before Ray would.

Without its control store Ray starts no worker. After a timeout Ray ends every process of the cluster, with status 1 and a
traceback. A command that watches the store ends some seconds earlier, with a message and the exit status of UnavailableError.
Finished rows are kept, and another fleet continues from there.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

from jobs import logs
from jobs.errors import UnavailableError
from jobs.logs import logger

LOOK_S: Final = 0.5
"""Seconds between two checks of the control store."""
ANSWER_S: Final = 2.0
"""A control store that does not accept a connection within this many seconds does not answer."""
ORDERLY_S: Final = 8.0
"""The control store counts as lost this many seconds before Ray's timeout, but not before half of the timeout has passed.

In the time that is left, the command ends in order.
"""
LAST_S: Final = 2.0
"""This many seconds before Ray's timeout, the process is ended, even if a call of Ray hangs.

The process is never ended before three quarters of the timeout have passed.
"""


def listens(address: str) -> bool:
    """Whether a program accepts connections at the address `host:port`."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), ANSWER_S):
            return True
    except OSError:
        return False


def end_process(status: int) -> None:
    """End the process without running exit handlers, because Ray's handler would wait for the control store."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


class GcsWatch:
    """Checks the control store at `address` on a thread, between `start` and `close`.

    `timeout_s` is how many seconds Ray waits for the control store. A control store that has never answered this process does
    not count as away, because a firewall may block the connection.
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
        """Start the thread."""
        threading.Thread(target=self._look_on, name="gcs watch", daemon=True).start()
        return self

    def close(self) -> None:
        """Stop checking, unless the store is lost: the thread must then end the process in time."""
        if not self.lost:
            self._closed.set()

    @property
    def away(self) -> bool:
        """Whether the control store did not answer the last check. Calls of Ray hang until it answers."""
        return self._away_s > 0.0

    @property
    def lost(self) -> bool:
        """Whether the control store has been away for so long that Ray will soon end the processes of the cluster."""
        return self._away_s >= self._orderly_s

    def check(self) -> None:
        """Raise UnavailableError if the control store is lost."""
        if self.lost:
            self._reported = True
            raise UnavailableError(self._fault())

    def look(self) -> None:
        """Check whether the control store answers. If Ray's timeout is near (`LAST_S`), end the process.

        Before the process ends, print the reason, unless `check` has raised it.
        """
        answers, now = self._answers(self._address), self._monotonic()
        if answers:
            self._looked_at, self._away_s = now, 0.0
        elif self._looked_at is not None:
            # A longer gap means that this process stood still, so only part of the gap counts.
            self._away_s += min(now - self._looked_at, LOOK_S + ANSWER_S)
            self._looked_at = now
        if self._away_s >= self._last_s:
            if not self._reported:
                self._say(self._fault())
            self._leave(UnavailableError.exit_status)

    def _say(self, fault: str) -> None:
        """Print why the process ends. The command cannot do so: it hangs in a call of Ray."""
        if logs.is_json():
            logger().error("command.failed", error=fault, status=UnavailableError.exit_status)
        else:
            print(f"nightpress: {fault}", file=sys.stderr)  # noqa: T201 - a command that hangs cannot say it

    def _look_on(self) -> None:
        while not self._closed.wait(LOOK_S):
            self.look()

    def _fault(self) -> str:
        return (
            f"Ray's control store (GCS) at {self._address} has not answered for {self._away_s:.0f} s, and Ray ends its workers. "
            "Start the cluster again, then the same command: what is done is kept"
        )

"""The control store of the Ray cluster: watched, so that a command says when it is lost, and ends with the status for that.

Without it Ray starts no worker, and after a while it ends every process of the cluster by itself, with status 1 and a trace
of its own. A command that is watched ends shortly before. What its workers have finished is kept: another fleet goes on.
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
ANSWER_S: Final = 2.0
EARLIER_S: Final = 8.0
"""So long before Ray does, a command ends in an orderly way; with little patience, after half of it."""
LAST_S: Final = 2.0
"""So long before Ray does, a command that is held up in a call of Ray ends all the same."""


def listens(address: str) -> bool:
    """Whether anybody takes connections at host:port."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), ANSWER_S):
            return True
    except OSError:
        return False


def end_now(status: int) -> None:
    """End the process at once: what Ray would tidy up at its end waits for the control store."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


class ControlStore:
    """Looks at `address` from a thread, from `start` to `close`.

    Ray is taken to give up when it was away for `patience_s`. One that was never reached from here is not judged.
    """

    def __init__(
        self,
        address: str,
        patience_s: float,
        *,
        answers: Callable[[str], bool] = listens,
        monotonic: Callable[[], float] = time.monotonic,
        leave: Callable[[int], None] = end_now,
    ) -> None:
        self._address = address
        self._orderly_s = max(patience_s - EARLIER_S, patience_s / 2)
        self._last_s = max(patience_s - LAST_S, patience_s * 3 / 4)
        self._answers = answers
        self._monotonic = monotonic
        self._leave = leave
        self._looked: float | None = None
        self._away_s = 0.0
        self._said = False
        self._over = threading.Event()

    def start(self) -> "ControlStore":
        """Begin to look."""
        threading.Thread(target=self._watch, name="control store", daemon=True).start()
        return self

    def close(self) -> None:
        """Look no more. Not once it is lost: then the process must end in time."""
        if not self.lost:
            self._over.set()

    @property
    def away(self) -> bool:
        """Whether it did not answer at the last look: what Ray would ask it takes until it is back."""
        return self._away_s > 0.0

    @property
    def lost(self) -> bool:
        """Whether Ray is about to give up."""
        return self._away_s >= self._orderly_s

    def check(self) -> None:
        """Raise UnavailableError when it is lost."""
        if self.lost:
            self._said = True
            raise UnavailableError(self._fault())

    def look(self) -> None:
        """See whether it answers; end the process when it is late and nobody has."""
        answers, now = self._answers(self._address), self._monotonic()
        if answers:
            self._looked, self._away_s = now, 0.0
        elif self._looked is not None:
            self._away_s += min(now - self._looked, LOOK_S + ANSWER_S)  # a process that stood still has not looked
            self._looked = now
        if self._away_s >= self._last_s:
            if not self._said:
                print(f"nightpress: {self._fault()}", file=sys.stderr)  # noqa: T201 - nobody else can any more
            self._leave(UnavailableError.exit_status)

    def _watch(self) -> None:
        while not self._over.wait(LOOK_S):
            self.look()

    def _fault(self) -> str:
        return (
            f"Ray's control store at {self._address} has not answered for {self._away_s:.0f} s, and Ray ends its workers. "
            "Start the cluster again, then the same command: what is done is kept"
        )

"""The clerk takes up submissions that wait, and has each admitted by a process of its own.

Any gateway and any fleet may have a clerk. A submission whose process died is taken up again once its claim has ended, by any of
them. A submission that ended its process several times is refused, so that no file stops the others.
"""

import os
import pickle
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from jobs.batches.rounds import now
from jobs.errors import StoreUnavailable, UnavailableError
from jobs.logs import logger
from jobs.settings import Settings
from jobs.store.store import Store
from jobs.submissions.admission import refuse
from jobs.submissions.claims import TERM, Claims
from jobs.submissions.journal import Journal, Waiting
from jobs.submissions.records import Submission

MOST_TAKES: Final = 5
"""A submission is refused if this many processes took it up and none decided it."""

RENEW_AFTER: Final = TERM / 3

LOOK_S: Final = 2.0
"""Seconds between two looks for submissions that others left."""


@dataclass
class _Work:
    submission: Submission
    process: subprocess.Popen[bytes]
    renewed_at: datetime


@dataclass
class Clerk:
    """Has waiting submissions admitted, at most `most` at once. One thread at a time may call `look`.

    Attributes:
        store: The storage.
        settings: The settings, which the processes get too.
        most: At most this many processes read files at once.
        clock: Returns the time, in UTC.
        command: What a process of its own runs, without its two arguments.
    """

    store: Store
    settings: Settings
    most: int = 1
    clock: Callable[[], datetime] = now
    command: Sequence[str] = (sys.executable, "-m", "jobs.submissions.process")
    _work: dict[str, _Work] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._journal = Journal(self.store, self.clock)
        self._claims = Claims(self.store, f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}", self.clock)

    def look(self) -> int:
        """Start processes for submissions that wait, and see after those that run. Returns how many run now.

        Raises StoreUnavailable.
        """
        for submission_id in list(self._work):
            self._see_after(submission_id)
        for waiting in self._journal.waiting():
            if len(self._work) >= self.most:
                break
            if waiting.id not in self._work:
                self._take_up(waiting)
        return len(self._work)

    def stop(self) -> None:
        """End the processes. Their submissions are taken up by others, or by the next gateway."""
        for work in self._work.values():
            work.process.terminate()
        for work in self._work.values():
            try:
                work.process.wait(5)
            except subprocess.TimeoutExpired:
                work.process.kill()
                work.process.wait()
        for submission_id in self._work:
            with suppress(StoreUnavailable):
                self._claims.give_up(submission_id)
        self._work.clear()

    def _take_up(self, waiting: Waiting) -> None:
        submission = self._journal.undecided(waiting)
        claim = None if submission is None else self._claims.take(waiting.id)
        if submission is None or claim is None:
            return
        if claim.takes > MOST_TAKES:
            logger().warning("submission.refused", submission=submission.id, takes=claim.takes)
            refuse(
                self._journal, submission, "intake_failed", "reading the file failed again and again: split the file"
            )
            self._claims.give_up(submission.id)
            return
        process = subprocess.Popen(  # noqa: S603 - the command is ours, and the ids are checked
            [*self.command, submission.tenant, submission.id],
            stdin=subprocess.PIPE,
            start_new_session=True,  # an interrupt of this process is not one of that
        )
        _hand_over(process, self.settings)
        logger().info("submission.taken_up", submission=submission.id, takes=claim.takes)
        self._work[submission.id] = _Work(submission, process, self.clock())

    def _see_after(self, submission_id: str) -> None:
        work = self._work[submission_id]
        if work.process.poll() is None:
            if self.clock() - work.renewed_at >= RENEW_AFTER:
                self._claims.renew(submission_id)
                work.renewed_at = self.clock()
            return
        if self._journal.decision(work.submission) is not None:
            self._claims.give_up(submission_id)
        else:  # it is taken up again, by whoever looks first, once this claim has ended
            logger().warning("submission.failed", submission=submission_id, exit_status=work.process.returncode)
            if work.process.returncode == UnavailableError.exit_status:
                self._claims.excuse(submission_id)
        del self._work[submission_id]


def _hand_over(process: subprocess.Popen[bytes], settings: Settings) -> None:
    """Write the settings to the input of a process. One that ended at once is seen after later."""
    assert process.stdin is not None  # noqa: S101 - it was opened as a pipe
    with suppress(BrokenPipeError), process.stdin as target:
        target.write(pickle.dumps(settings))


@dataclass
class ClerkThread:
    """A thread that lets a clerk look, every `LOOK_S` seconds and whenever it is woken."""

    clerk: Clerk
    _woken: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="clerk", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Let the clerk look at once."""
        self._woken.set()

    def stop(self) -> None:
        """End the thread and the clerk's processes."""
        self._ended.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join()
        self.clerk.stop()

    def _run(self) -> None:
        was_away = False
        while not self._ended.is_set():
            try:
                running = self.clerk.look()
                was_away = False
            except StoreUnavailable as error:
                running = 0
                if not was_away:
                    logger().warning("submission.store_away", error=str(error))
                was_away = True
            self._woken.wait(0.2 if running else LOOK_S)
            self._woken.clear()

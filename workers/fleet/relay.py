"""The relay copies the logs of a fleet's workers into the log of its command. Each line gets the names of its worker and node.

Lines are fetched from a worker's files (`workers/logs/files.py`) while the worker runs, and once more after it has ended. So
the last lines of a worker that was killed are not lost.
"""

import contextlib
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from jobs import logs
from jobs.errors import UnavailableError
from jobs.logs import logger

REST_S: Final = 3.0
"""The last lines of a worker on another node are waited for this many seconds."""


class WorkerLog(Protocol):
    """The log of one worker, which is read from its beginning to its end."""

    @property
    def is_near(self) -> bool:
        """Whether the log is on this machine, so that reading it takes no time."""
        ...

    def read(self) -> Sequence[tuple[str, str]]:
        """Return the lines that have come since the last call, each with its stream (see `files.STREAMS`). Never waits."""
        ...

    def read_rest(self, timeout_s: float) -> Sequence[tuple[str, str]]:
        """Return all other lines, once the worker has ended, and delete the log.

        Raises UnavailableError if the lines do not come within `timeout_s`.
        """
        ...


@dataclass(eq=False)
class _Followed:
    worker: str
    log: WorkerLog
    node: str = ""


@dataclass
class Relay:
    """Follows the logs of workers. Call `poll` about once a second, and `end` when a worker has ended."""

    _followed: list[_Followed] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def follow(self, worker: str, log: WorkerLog) -> None:
        """Begin to pass on the log of a worker."""
        self._followed.append(_Followed(worker, log))

    def poll(self) -> None:
        """Pass on the lines that have come."""
        for one in self._followed:
            self._pass_on(one, one.log.read())

    def end(self, log: WorkerLog) -> None:
        """Pass on the rest of the log of a worker that has ended. If the log is on another node, a thread does this, and `end`
        does not wait.
        """
        for one in [one for one in self._followed if one.log is log]:
            self._followed.remove(one)
            if log.is_near:
                self._read_rest(one)
                continue
            thread = threading.Thread(target=self._read_rest, args=[one], name="rest of a log", daemon=True)
            thread.start()
            self._threads = [*(thread for thread in self._threads if thread.is_alive()), thread]

    def finish(self) -> None:
        """Wait until the last lines of all workers that have ended are passed on."""
        for one in list(self._followed):
            self.end(one.log)
        until = time.monotonic() + 2 * REST_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _read_rest(self, one: _Followed) -> None:
        try:
            self._pass_on(one, one.log.read_rest(REST_S))
        except UnavailableError as error:
            logger().warning("worker.log_lost", worker=one.worker, error=str(error))

    def _pass_on(self, one: _Followed, lines: Sequence[tuple[str, str]]) -> None:
        for stream, line in lines:
            event: Any = None
            if stream == "events":
                with contextlib.suppress(ValueError):
                    event = json.loads(line)
            if not isinstance(event, dict):
                self._pass_text(one, stream, line)
            elif "event" in event:
                logs.pass_on({**event, "worker": one.worker, "node": one.node})
            else:
                one.node = str(event.get("node", ""))

    def _pass_text(self, one: _Followed, stream: str, line: str) -> None:
        """Pass on a line that is no event, but only into a log in JSON. A person does not need the texts of other libraries."""
        text = plain(line)
        if not text or not logs.is_json():
            return
        log = logger().info if stream == "stdout" else logger().warning
        log("worker.printed", worker=one.worker, node=one.node, stream=stream, text=text)


def plain(line: str) -> str:
    """Return a line as a terminal would show it in the end: without colours, and without the text that a bar has overwritten."""
    from workers.logs.pump import ANSI

    return ANSI.sub(b"", line.encode(errors="replace")).decode().rstrip("\r").rpartition("\r")[2].rstrip()

"""The relay copies the logs of a fleet's workers into the log of its command. Each line gets the names of its worker and node.

Lines are fetched from a worker's files (`workers/logs/files.py`) while the worker runs, and once more after it has ended. So
the last lines of a worker that was killed are not lost.
"""

import contextlib
import json
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
class Followed:
    """A worker whose log is passed on, and the name of its node once that is known."""

    worker: str
    log: WorkerLog
    node: str = ""


@dataclass
class Relay:
    """Follows the logs of workers. Call `poll` about once a second; when a worker has ended, `leave` and then `read_rest`.

    Only `read_rest` waits, and may be called on any thread.
    """

    _followed: list[Followed] = field(default_factory=list)

    def follow(self, worker: str, log: WorkerLog) -> None:
        """Begin to pass on the log of a worker."""
        self._followed.append(Followed(worker, log))

    def poll(self) -> None:
        """Pass on the lines that have come."""
        for one in self._followed:
            self._pass_on(one, one.log.read())

    def leave(self, log: WorkerLog) -> Followed | None:
        """No longer poll a log. Returns what `read_rest` needs; None if the log is not followed."""
        for one in self._followed:
            if one.log is log:
                self._followed.remove(one)
                return one
        return None

    def read_rest(self, one: Followed | None) -> None:
        """Pass on the rest of the log of a worker that has ended, if it was followed. Waits REST_S seconds at most."""
        if one is None:
            return
        try:
            self._pass_on(one, one.log.read_rest(REST_S))
        except UnavailableError as error:
            logger().warning("worker.log_lost", worker=one.worker, error=str(error))

    def _pass_on(self, one: Followed, lines: Sequence[tuple[str, str]]) -> None:
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

    def _pass_text(self, one: Followed, stream: str, line: str) -> None:
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

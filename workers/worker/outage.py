"""An outage: Redis or the storage is away, or a file is damaged, as one observer sees it.

The observer keeps trying, but reports only a change: once when the outage begins, and once when it is over.
"""

from dataclasses import dataclass
from typing import Final

from jobs.errors import QueueUnavailable, StoreDamaged, UnavailableError
from jobs.logs import logger

BACK: Final = {"queue.unavailable": "Redis answers again", "store.unavailable": "the storage answers again"}
"""The event that an outage began with -> what is logged when it is over."""


@dataclass
class Outage:
    """The last fault that one observer met. `error` is None while all is well."""

    error: UnavailableError | None = None

    def begin(self, error: UnavailableError) -> bool:
        """Note a fault. Returns whether all was well before, so that the caller reports each outage once."""
        is_first = self.error is None
        self.error = error
        return is_first

    def log(self, error: UnavailableError) -> None:
        """Note a fault, and log it if all was well before. If another service was away before, it is back: log this too."""
        if self.event not in ("", event_of(error)):
            self.log_end()
        if self.begin(error):
            logger().warning(self.event, error=self.reason)

    def log_end(self) -> None:
        """Note that all is well, and log it if Redis or the storage was away before."""
        event = self.event
        if self.end() and event in BACK:
            logger().info(event.replace("unavailable", "back"), message=BACK[event])

    def end(self) -> bool:
        """Note that all is well. Returns whether there was a fault before, so that the caller reports the end once."""
        was_away = self.error is not None
        self.error = None
        return was_away

    @property
    def reason(self) -> str:
        """The message of the fault; empty while all is well."""
        return "" if self.error is None else str(self.error)

    @property
    def event(self) -> str:
        """The log event that stands for the fault (see `jobs/logs.py`); empty while all is well."""
        return "" if self.error is None else event_of(self.error)


def event_of(error: UnavailableError) -> str:
    """Return the log event that stands for a fault of Redis or the storage (see `jobs/logs.py`)."""
    if isinstance(error, QueueUnavailable):
        return "queue.unavailable"
    return "store.damaged" if isinstance(error, StoreDamaged) else "store.unavailable"

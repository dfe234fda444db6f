"""An outage: Redis or the storage is away, or a file is damaged, as one observer sees it.

The observer asks again and again, and reports only the change: once when the outage begins, and once when it is over.
"""

from dataclasses import dataclass

from jobs.errors import QueueUnavailable, StoreDamaged, UnavailableError
from jobs.logs import logger


@dataclass
class Outage:
    """The fault that one observer met last; None while all is well."""

    error: UnavailableError | None = None

    def begin(self, error: UnavailableError) -> bool:
        """Note a fault. Returns whether it is the first since all was well, and so is to be reported."""
        is_first = self.error is None
        self.error = error
        return is_first

    def log(self, error: UnavailableError) -> None:
        """Note a fault, and log it if it is the first since all was well."""
        if self.begin(error):
            logger().warning(self.event, error=self.reason)

    def end(self) -> bool:
        """Note that all is well. Returns whether it was not before, and so is to be reported."""
        was_away = self.error is not None
        self.error = None
        return was_away

    @property
    def reason(self) -> str:
        """The message of the fault; empty while all is well."""
        return "" if self.error is None else str(self.error)

    @property
    def event(self) -> str:
        """The event of `jobs/logs.py` that stands for the fault; empty while all is well."""
        return "" if self.error is None else event_of(self.error)


def event_of(error: UnavailableError) -> str:
    """The event of `jobs/logs.py` that stands for a fault of Redis or the storage."""
    if isinstance(error, QueueUnavailable):
        return "queue.unavailable"
    return "store.damaged" if isinstance(error, StoreDamaged) else "store.unavailable"

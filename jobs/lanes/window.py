"""The window of a lane bounds how many rows wait there, and how many of each batch (rule 29 of jobs/PROTOCOL.md).

The window is bounded in rows and in request bytes, and each batch takes all that the batches before it left. So that no tenant
and no priority waits for others, a batch that has no waiting row gets an *allocation*, however full the window is. Allocations
are bounded too, since many open batches would otherwise fill the memory of Redis: the allocations of one priority come to about
two windows, and each tenant has an equal part of them. If the part of its tenant is used up, a batch still gets a few rows.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from jobs.batches.batch import Batch
from jobs.lanes.protocol import BatchSchedule, LaneSnapshot
from jobs.settings import Settings

ALLOCATION_ROWS: Final = 64
"""An allocation has at most this many rows."""

LEAST_ROWS: Final = 8
"""An allocation has at least this many rows if the window does, since opening an input takes as long for a single row."""

ALLOCATED_WINDOWS: Final = 2
"""The allocations of one priority come to about this many windows."""

REFERENCE_BYTES: Final = 32
"""A request takes about this many bytes on the queue if the queue holds only the request's place in the input."""


@dataclass(frozen=True, slots=True)
class Room:
    """A number of rows and of request bytes: what a lane still takes, or what was put there."""

    rows: int
    size: int

    @property
    def is_left(self) -> bool:
        """Whether another row fits in."""
        return self.rows > 0 and self.size > 0

    def minus(self, taken: "Room") -> "Room":
        """Return the room that is left after `taken` is used."""
        return Room(self.rows - taken.rows, self.size - taken.size)


class Window:
    """The window of a lane at one moment, for the open batches that have rows in the lane."""

    def __init__(self, settings: Settings, snapshot: LaneSnapshot, batches: Iterable[Batch]) -> None:
        self._left = Room(
            settings.window_rows - snapshot.ready - snapshot.delayed, settings.window_bytes - snapshot.bytes
        )
        self._request = max(settings.inline_bytes, REFERENCE_BYTES)
        self._most = max(min(settings.window_rows, settings.window_bytes // self._request), 1)
        self._schedules = snapshot.batches
        self._live: Counter[tuple[int, str]] = Counter()
        for batch in batches:
            schedule = self._schedules.get(batch.batch_id)
            self._live[batch.priority, batch.tenant] += 0 if schedule is None else schedule.live
        self._tenants = Counter(priority for priority, _ in self._live)

    def room(self, batch: Batch) -> Room:
        """Return how much of a batch may be fed: what is left of the window, and at least an allocation if no row waits."""
        if waiting(self._schedules.get(batch.batch_id)):
            return self._left
        part = ALLOCATED_WINDOWS * self._most // self._tenants[batch.priority]
        rows = max(LEAST_ROWS, min(ALLOCATION_ROWS, part - self._live[batch.priority, batch.tenant]))
        rows = min(rows, self._most)
        allocation = Room(rows, rows * self._request)
        is_more = self._left.rows < allocation.rows or self._left.size < allocation.size
        return allocation if is_more else self._left

    def take(self, batch: Batch, fed: Room) -> None:
        """Count what was fed of a batch."""
        self._left = self._left.minus(fed)
        self._live[batch.priority, batch.tenant] += fed.rows


def waiting(schedule: BatchSchedule | None) -> int:
    """Return how many rows of a batch wait on a lane: ready or delayed. None stands for a batch that the lane does not know."""
    return 0 if schedule is None else schedule.ready + schedule.delayed

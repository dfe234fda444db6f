"""The window of a lane bounds how many rows wait there, and how many of each batch (rule 29 of jobs/PROTOCOL.md).

The window is bounded in rows and in request bytes. Batches are fed in the order of priority and age, and each may take all the
room that is left. A batch that has no waiting row gets an *allocation* of rows even if the window is full, so that no tenant and
no priority waits for another. Allocations are bounded too, since many open batches would otherwise fill the memory of Redis. The
allocations of one priority come to about two windows, and each tenant has an equal part of that. If a tenant's part is used up,
a batch of the tenant still gets a few rows.
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
"""An allocation has at least this many rows, unless the whole window holds fewer. Opening an input takes as long for one row as
for many, so smaller allocations would not pay."""

ALLOCATED_WINDOWS: Final = 2
"""The allocations of one priority come to about this many windows."""

REFERENCE_BYTES: Final = 32
"""A request takes about this many bytes on the queue if the queue holds only the request's place in the input."""


@dataclass(frozen=True, slots=True)
class Room:
    """A number of rows and of request bytes: what a lane still takes, or what was put on it."""

    rows: int
    size: int

    @property
    def is_left(self) -> bool:
        """Whether a further row may be put on the lane."""
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
        """Return how much of a batch may be fed: the room that is left in the window.

        If no row of the batch waits, and the room is smaller than an allocation in rows or in bytes, the allocation is returned
        instead.
        """
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
    """Return how many rows of a batch wait on a lane, ready or delayed. `schedule` is None if the lane lacks the batch."""
    return 0 if schedule is None else schedule.ready + schedule.delayed

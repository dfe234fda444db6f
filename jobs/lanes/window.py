"""The window of a lane bounds how many rows wait there, and how many of each batch (rule 29 of jobs/PROTOCOL.md).

The window is bounded in rows and in request bytes. Batches are fed in the order of priority and age, and each may take all the
room that is left. So that no batch waits for another, each batch has a *part* of the window, which it may fill even if the
window is full. All parts of one priority together are as large as the window. The tenants of a priority get equal parts of it,
and so do the batches of a tenant. However many batches are open, each part has a few rows.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from jobs.batches.batch import Batch
from jobs.lanes.protocol import BatchSchedule, LaneSnapshot
from jobs.settings import Settings

LEAST_ROWS: Final = 8
"""A part has at least this many rows, unless the whole window holds fewer. Opening an input takes as long for one row as for
many, so smaller parts would cost too much time.
"""

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
        feeding = (batch for batch in batches if not _is_at_end(self._schedules.get(batch.batch_id)))
        self._batches = Counter((batch.priority, batch.tenant) for batch in feeding)
        self._tenants = Counter(priority for priority, _ in self._batches)

    def room(self, batch: Batch) -> Room:
        """Return how much of a batch may be fed: the room that is left in the window, or what the batch's part lacks.

        The part's lack is returned only if less than half of the part waits, and if the lack is larger than the room that is
        left, in rows or in bytes.
        """
        lacking = self._part(batch) - waiting(self._schedules.get(batch.batch_id))
        if self.has_enough(batch):
            return self._left
        part = Room(lacking, lacking * self._request)
        return part if self._left.rows < part.rows or self._left.size < part.size else self._left

    def has_enough(self, batch: Batch) -> bool:
        """Whether at least half of the batch's part waits."""
        return 2 * waiting(self._schedules.get(batch.batch_id)) >= self._part(batch)

    def take(self, fed: Room) -> None:
        """Count what was fed."""
        self._left = self._left.minus(fed)

    def _part(self, batch: Batch) -> int:
        parts = self._tenants[batch.priority] * self._batches[batch.priority, batch.tenant]
        return min(max(self._most // max(parts, 1), LEAST_ROWS), self._most)


def waiting(schedule: BatchSchedule | None) -> int:
    """Return how many rows of a batch wait on a lane, ready or delayed. `schedule`: None if the lane does not know the batch."""
    return 0 if schedule is None else schedule.ready + schedule.delayed


def _is_at_end(schedule: BatchSchedule | None) -> bool:
    return schedule is not None and schedule.at_end

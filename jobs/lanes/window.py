"""The window of a lane: how many rows may wait there, and how many of each batch.

It is bounded in rows and in request bytes, and who comes first takes all that is left of it. So that no tenant and no
priority waits for those before, a batch of which nothing waits has a share of its own, however full the window is. These
shares are bounded too, or many open batches would fill the queue's memory: those of one priority come to about two windows,
and each of its tenants has an equal part of them. Beyond its tenant's part a batch gets only a few rows.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from jobs.batches.batch import Batch
from jobs.lanes.protocol import BatchSchedule, LaneSnapshot
from jobs.settings import Settings

SHARE_ROWS: Final = 64
"""A batch of which nothing waits gets so many rows however full the window is: the urgent wait behind nobody."""

FEW_ROWS: Final = 8
"""So many it gets in any case: to open an input for a single row takes as long."""

WINDOWS: Final = 2
"""The shares of one priority come to so many windows."""

REFERENCE_BYTES: Final = 32
"""About what a request takes on the queue that stays in storage."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many rows and request bytes a lane still takes, or how many were put there."""

    rows: int
    size: int

    @property
    def left(self) -> bool:
        """Whether it takes any more."""
        return self.rows > 0 and self.size > 0

    def minus(self, taken: "Room") -> "Room":
        """What is left of it."""
        return Room(self.rows - taken.rows, self.size - taken.size)


class Window:
    """A lane at one moment, with the open batches that have rows in it."""

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
        """How much of a batch may be fed: what is left, or where that is less and nothing of the batch waits, its share."""
        if waiting(self._schedules.get(batch.batch_id)):
            return self._left
        part = WINDOWS * self._most // self._tenants[batch.priority]
        rows = max(FEW_ROWS, min(SHARE_ROWS, part - self._live[batch.priority, batch.tenant]))
        rows = min(rows, self._most)
        share = Room(rows, rows * self._request)
        return share if self._left.rows < share.rows or self._left.size < share.size else self._left

    def take(self, batch: Batch, fed: Room) -> None:
        """So much of a batch was fed."""
        self._left = self._left.minus(fed)
        self._live[batch.priority, batch.tenant] += fed.rows


def waiting(schedule: BatchSchedule | None) -> int:
    """How many rows of a batch wait on a lane."""
    return 0 if schedule is None else schedule.ready + schedule.delayed

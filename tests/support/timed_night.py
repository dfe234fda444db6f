"""A `Night` whose time of day a test moves, for tests of deadlines."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from jobs.batches.batch import Done
from jobs.batches.published import verify
from jobs.lanes.job import Job
from jobs.lanes.protocol import WorkerRecord
from tests.support.clocks import MovedClock
from tests.support.night import LANE, Night

ME: Final = WorkerRecord("other", 1, "n-1", LANE, 0)
"""The record of the worker for which `claim` claims."""


@dataclass
class TimedNight(Night):
    """A night that begins at EVENING, and whose time of day changes only through `at`."""

    clock: MovedClock = field(default_factory=MovedClock)

    def __post_init__(self) -> None:
        self.now = self.clock.now
        super().__post_init__()

    def at(self, moment: datetime) -> None:
        """Set the time of day."""
        self.clock.seconds = (moment - self.clock.began).total_seconds()

    def claim(self, n: int = 100, worker: str = "other", incarnation: str = "i", lane: str = LANE) -> Sequence[Job]:
        """Lease up to `n` rows. The lane is fed twice, because the first feed of a worker may only learn the queue's cursor."""
        self.feed(lane)
        return super().claim(n, worker, incarnation, lane)

    def done(self, batch_id: str = "") -> Done:
        """The latest published round. Fails if its files are wrong."""
        assert verify(self.store, batch_id or self.batch_id) == []
        return super().done(batch_id)

    def completed_rows(self, batch_id: str = "") -> list[int]:
        """The numbers of the completed rows of the latest published round, in their order."""
        output, _ = self.published(batch_id)
        return [row["row"] for row in output]

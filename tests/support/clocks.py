"""A clock that a test moves by hand, for code that takes its clock as an argument."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

EVENING: Final = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
"""The time of day at which a moved clock begins."""


@dataclass
class MovedClock:
    """One moment, as the time of day and as seconds since the test began. Pass its methods where code asks for a clock."""

    seconds: float = 0.0
    began: datetime = EVENING

    def now(self) -> datetime:
        """The time of day."""
        return self.began + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        """Seconds since the test began."""
        return self.seconds

    def pass_s(self, seconds: float) -> None:
        """Move the clock forward."""
        self.seconds += seconds

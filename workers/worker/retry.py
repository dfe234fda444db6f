"""The one place that decides whether a failed attempt is tried again, and when.

Backoff is exponential with full jitter: a delay chosen evenly between nothing and the cap for this attempt ("Exponential
Backoff and Jitter", AWS Architecture Blog, 2015), so that rows that failed together do not come back together.
"""

import random
from dataclasses import dataclass

from jobs.errors import RowError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and how long apart, in seconds."""

    max_attempts: int = 5
    base_s: float = 1.0
    cap_s: float = 60.0

    def delay_s(self, error: RowError, attempt: int, rng: random.Random) -> float | None:
        """How long to wait before the attempt after `attempt` (counted from 1); None when the failure is final."""
        if not error.retryable or attempt >= self.max_attempts:
            return None
        return rng.uniform(0.0, min(self.cap_s, self.base_s * 2.0 ** (attempt - 1)))

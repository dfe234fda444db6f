"""Retries: this module alone decides whether a failed attempt is tried again, and when.

Backoff is exponential with full jitter ("Exponential Backoff and Jitter", AWS Architecture Blog, 2015): the delay is a random
number between 0 and the longest delay after this attempt. So rows that failed together do not come back together.
"""

import random
from dataclasses import dataclass

from jobs.errors import RowError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How many attempts a row gets, and the longest delays between them, in seconds.

    The delay after the n-th attempt is at most `base_s` times 2 to the power of n-1, and never more than `cap_s`.
    """

    max_attempts: int = 5
    base_s: float = 1.0
    cap_s: float = 60.0

    def delay_s(self, error: RowError, attempt: int, rng: random.Random) -> float | None:
        """Return the seconds to wait after failed attempt number `attempt`, counted from 1; None if the failure is final."""
        if not error.retryable or attempt >= self.max_attempts:
            return None
        return rng.uniform(0.0, min(self.cap_s, self.base_s * 2.0 ** (attempt - 1)))

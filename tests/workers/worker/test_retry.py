"""Shows workers/worker/retry.py: which failures are tried again, and when."""

import random

import pytest

from jobs.errors import CheckFailed, GenerationFailed, RowError
from workers.worker.retry import RetryPolicy

POLICY = RetryPolicy(max_attempts=5, base_s=1.0, cap_s=10.0)


@pytest.mark.parametrize(
    ("error", "attempt", "again"),
    [
        pytest.param(GenerationFailed("generation_failed", "", retryable=True), 1, True, id="retryable"),
        pytest.param(GenerationFailed("generation_failed", "", retryable=True), 4, True, id="one attempt left"),
        pytest.param(GenerationFailed("generation_failed", "", retryable=True), 5, False, id="attempts spent"),
        pytest.param(GenerationFailed("prompt_too_long", ""), 1, False, id="not retryable"),
        pytest.param(CheckFailed("post_too_long", ""), 1, False, id="a check"),
    ],
)
def test_which_failures_are_tried_again(error: RowError, attempt: int, again: bool) -> None:
    assert (POLICY.delay_s(error, attempt, random.Random(1)) is not None) == again


def test_the_delay_is_anywhere_up_to_a_cap_that_doubles() -> None:
    error = GenerationFailed("generation_failed", "", retryable=True)
    longest = {n: max(POLICY.delay_s(error, n, random.Random(seed)) or 0 for seed in range(200)) for n in range(1, 5)}
    assert all(0.8 * cap < longest[n] <= cap for n, cap in {1: 1.0, 2: 2.0, 3: 4.0, 4: 8.0}.items())

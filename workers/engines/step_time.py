"""A step's time is split over the requests that shared the step, to the last nanosecond."""

from collections.abc import Sequence


def split_time(time_ns: int, weights: Sequence[int]) -> list[int]:
    """Split a time in proportion to `weights`. The shares are whole nanoseconds and add up to `time_ns` exactly."""
    total, weight_so_far, time_so_far, shares = sum(weights), 0, 0, []
    for weight in weights:
        weight_so_far += weight
        shares.append(time_ns * weight_so_far // total - time_so_far)
        time_so_far += shares[-1]
    return shares

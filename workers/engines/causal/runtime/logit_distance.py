"""Measures the distance between the logits of two ways to compute the same step, and limits that distance."""

from collections.abc import Sequence
from typing import Final

import torch

TOLERANCE: Final = {torch.float64: 1e-6, torch.float32: 1e-4, torch.float16: 0.05, torch.bfloat16: 0.2}
"""The largest distance, by number format, at which logits count as equal. In a small model with bfloat16, computing with
matrix products of other sizes gives a distance of 0.05. A wrong token anywhere in a short prompt gives 0.7 or more."""


def logit_distance(expected: Sequence[torch.Tensor], got: Sequence[torch.Tensor]) -> float:
    """Compare two lists of logits pair by pair, and return the largest distance. It is infinity if the shapes of a pair differ.

    The distance of a pair is the root mean square of the difference, divided by the standard deviation of the expected logits.
    """
    return max(
        float((one - other).square().mean().sqrt() / one.std().clamp_min(1e-6))
        if one.shape == other.shape
        else float("inf")
        for one, other in zip(expected, got, strict=True)
    )

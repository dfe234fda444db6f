"""The distance between logits that two ways of computing the same step give, and how large it may be."""

from collections.abc import Sequence
from typing import Final

import torch

TOLERANCE: Final = {torch.float64: 1e-6, torch.float32: 1e-4, torch.float16: 0.05, torch.bfloat16: 0.2}
"""The largest distance, by number format, at which logits count as equal. Products of other sizes alone give 0.05 with bfloat16
in a small model; a wrong token anywhere in a short prompt gives 0.7 and more."""


def logit_distance(expected: Sequence[torch.Tensor], got: Sequence[torch.Tensor]) -> float:
    """Return the largest distance between two tensors of logits in the same place of both lists; infinite if their shapes differ.

    The distance is the root mean square of the difference, divided by the standard deviation of the expected logits.
    """
    return max(
        float((one - other).square().mean().sqrt() / one.std().clamp_min(1e-6))
        if one.shape == other.shape
        else float("inf")
        for one, other in zip(expected, got, strict=True)
    )

"""How far apart the logits of two ways to compute the same may lie before one of them is taken to be wrong."""

from collections.abc import Sequence
from typing import Final

import torch

TOLERANCE: Final = {torch.float64: 1e-6, torch.float32: 1e-4, torch.float16: 0.05, torch.bfloat16: 0.2}
"""By number format: the difference of logits (root mean square) in parts of their spread. bfloat16 itself makes one of 0.05 in
a small model, when its products are taken in other sizes; a wrong token anywhere in a short prompt, one of 0.7 and more."""


def difference(expected: Sequence[torch.Tensor], got: Sequence[torch.Tensor]) -> float:
    """The greatest difference (root mean square) of a text's logits, in parts of the spread of the expected ones."""
    return max(
        float((one - other).square().mean().sqrt() / one.std().clamp_min(1e-6))
        if one.shape == other.shape
        else float("inf")
        for one, other in zip(expected, got, strict=True)
    )

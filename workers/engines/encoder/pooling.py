"""Pooling makes one vector of the vectors of a text's tokens. Padding, which stands on the right, has no part in it."""

from typing import assert_never

import torch

from jobs.generation import Pooling


def pooled(hidden: torch.Tensor, mask: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """Return the vectors of texts [texts, size] in float32.

    Args:
        hidden: The vectors of their tokens [texts, width, size].
        mask: 1 for tokens, 0 for padding [texts, width].
        pooling: How the vectors of a text become one.
    """
    hidden, there = hidden.float(), mask[:, :, None].float()
    match pooling:
        case "cls":
            return hidden[:, 0]
        case "mean":
            return (hidden * there).sum(1) / there.sum(1)
        case "max":
            return hidden.masked_fill(there == 0, -torch.inf).amax(1)
        case "last":
            return hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(1) - 1]
        case _:
            assert_never(pooling)

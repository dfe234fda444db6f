"""How a step's time is shared among its texts: in proportion to the work that each made, and to the last nanosecond."""

from collections.abc import Sequence
from typing import Final

from workers.engines.causal.runtime.runtime import Spent
from workers.engines.causal.sequences import Piece

NOTHING_MEASURED: Final = Spent(0, 1, 0)
"""Of a step that did not come to its end: its time is shared by tokens alone."""


def split(amount: int, weights: Sequence[int]) -> list[int]:
    """Whole shares of `amount` in proportion to `weights`, which add up to it exactly."""
    total, seen, given, shares = sum(weights), 0, 0, []
    for weight in weights:
        seen += weight
        shares.append(amount * seen // total - given)
        given += shares[-1]
    return shares


def weights_of(pieces: Sequence[Piece], spent: Spent) -> list[int]:
    """The weight of each piece, about in nanoseconds: attention by tokens read, layers by tokens computed, choice by texts."""
    reads = [piece.size * piece.start + piece.size * (piece.size + 1) // 2 for piece in pieces]
    read, tokens, choices = sum(reads), sum(piece.size for piece in pieces), sum(piece.last for piece in pieces)
    return [
        1
        + spent.attention_ns * reads[n] // read
        + spent.layers_ns * piece.size // tokens
        + (spent.choosing_ns * piece.last // choices if piece.last else 0)
        for n, piece in enumerate(pieces)
    ]

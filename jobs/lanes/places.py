"""The place of a row: the waiting rows of a batch are claimed from the lowest place to the highest (rule 43 of
jobs/PROTOCOL.md).

Rows are claimed in the order of the input, so that the rows finished at any time are a fair sample of all. But a long row that
is claimed last would keep one slot busy while all other slots are idle. So the last rows of the input are claimed by length,
the longest first: "longest processing time first" (Graham 1969), for the end of the night alone.
"""

from typing import Final

LAST_ROWS_PER_SLOT: Final = 4
"""The number of last rows of a round for each slot of the lane's workers. `scripts/checks/order.py` measures its effect.
"""

_LAST: Final = 5 * 10**9
"""The places of the last rows begin here, above the number of any row."""

MOST_COST: Final = 10**9
"""A cost, in tokens. A row with a higher cost is put on the lane with this cost."""


def place_of(row: int, cost: int, *, last_from: int) -> int:
    """Return the place of a row: a number below 10**10.

    Args:
        row: The row's number in the batch.
        cost: The expected work in tokens.
        last_from: The first of the last rows of the round.
    """
    if row < last_from:
        return row
    return _LAST + MOST_COST - min(cost, MOST_COST)

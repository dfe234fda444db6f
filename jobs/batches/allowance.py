"""An allowance says which rows of a batch may be put on a lane now, as storage decides it.

Without an allowance a feeder puts all rows of an input on the lane, as far as the window has room. A budget allows only the rows
that were granted (rule 48 of jobs/PROTOCOL.md). The feeder asks the allowance about each row, in the order of the lane's input.
"""

from collections.abc import Callable
from dataclasses import dataclass

from jobs.batches.outcome_index import OutcomeIndex


@dataclass(frozen=True, slots=True)
class Allowance:
    """What may be fed of one lane's input.

    No row at or behind the byte offset `until` may be fed; None allows the whole input. Before it, a row may be fed if `allows`
    is true of its number. A feeder that comes to `until` stops there, and says to the queue that this is the end for now.
    """

    until: int | None = None
    allows: Callable[[int], bool] = lambda _: True

    def ends_at(self, offset: int) -> bool:
        """Whether no row at this byte offset of the input, or behind it, may be fed."""
        return self.until is not None and offset >= self.until


EVERYTHING = Allowance()
"""The allowance of a batch that nothing limits."""


def allowance(index: OutcomeIndex, lane: str) -> Allowance:
    """Return what may be fed of a batch to a lane in its present round, as the index read it from storage last."""
    if index.book is None:
        return EVERYTHING
    until = index.book.upto.get(lane, 0) if index.current.quoting is None else None  # drawn rows lie anywhere (rule 49)
    return Allowance(until=until, allows=index.book.is_granted)

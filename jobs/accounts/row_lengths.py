"""How long the rows of a tally were: quantiles of their tokens and of their device time, from the sketches of the accounts."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from jobs.accounts.summary import Tally
from jobs.planning.sizes import Sizes, total
from jobs.planning.sketch import Sketch


@dataclass(frozen=True, slots=True)
class Quantiles:
    """What half of the rows and what 95 of 100 rows do not pass, the largest value, each within 1/32, and the exact mean."""

    mean: float
    half: int
    most: int
    largest: int

    @classmethod
    def of(cls, sketch: Sketch) -> "Quantiles":
        """Return the quantiles of a sketch; zeros if it is empty."""
        half, most = sketch.quantiles([0.5, 0.95])
        return cls(sketch.mean, half, most, sketch.largest)


@dataclass(frozen=True, slots=True)
class RowLengths:
    """The lengths of `rows` rows. Rows that earlier releases published are not among them."""

    rows: int
    prompt_tokens: Quantiles
    completion_tokens: Quantiles
    device_ns: Quantiles

    def as_dict(self) -> Mapping[str, Any]:
        """Return the lengths as JSON."""
        return asdict(self)


def row_lengths(tally: Tally) -> RowLengths:
    """Return how long the rows of a tally were; zeros if it took away as many rows as it added."""
    sizes = total(tally.sizes.values())
    if sizes.rows <= 0:
        sizes = Sizes()
    found = (Quantiles.of(one) for one in (sizes.prompt, sizes.completion, sizes.device_ns))
    return RowLengths(sizes.rows, *found)

"""Usage: the tokens, device time, cost and charge of a piece of work, as six integers.

Tokens are counts, `device_ns` is nanoseconds, `device_cost` and `charge` are billionths of the currency. Sums of integers
are exact in any order, so a published total equals the sum of its rows to the last digit.
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, device time and money of a prompt, an attempt, a batch or any other piece of work."""

    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0
    completion_tokens: int = 0
    device_ns: int = 0
    device_cost: int = 0
    charge: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*map(operator.add, _counts(self), _counts(other)))

    def __sub__(self, other: "Usage") -> "Usage":
        return Usage(*map(operator.sub, _counts(self), _counts(other)))

    def as_dict(self) -> dict[str, int]:
        """Return the six counts by name, in the order of an output row."""
        return dict(zip(NAMES, _counts(self), strict=True))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Usage":
        """Read the six counts from JSON. A missing count is 0, and other names (such as `prices`) are ignored."""
        return cls(*(int(values.get(name, 0)) for name in NAMES))


NAMES: Final = tuple(field.name for field in fields(Usage))
"""The names of the six counts, in the order of an output row."""

_counts: Final[Callable[[Usage], tuple[int, ...]]] = operator.attrgetter(*NAMES)
_items: Final[Callable[[Mapping[str, Any]], tuple[int, ...]]] = operator.itemgetter(*NAMES)


def counts_of(values: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the six counts of a usage that was read from JSON, in the order of `NAMES`. A missing count is 0."""
    try:
        return _items(values)
    except KeyError:
        return _counts(Usage.from_dict(values))


def total(usages: Iterable[Usage]) -> Usage:
    """Return the sum of the usages, exact in all six counts."""
    result = Usage()
    for usage in usages:
        result = result + usage
    return result


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the translation memory answered: of `segments` that were looked up, `known` ones, and the tokens that these had cost
    when a model wrote them. These tokens are neither used nor charged.
    """

    segments: int = 0
    known: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: "Remembered") -> "Remembered":
        return Remembered(*map(operator.add, self.counts, other.counts))

    def __sub__(self, other: "Remembered") -> "Remembered":
        return Remembered(*map(operator.sub, self.counts, other.counts))

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """The four counts, in the order of `REMEMBERED`."""
        return self.segments, self.known, self.prompt_tokens, self.completion_tokens

    def as_dict(self) -> dict[str, int]:
        """Return the four counts by name."""
        return dict(zip(REMEMBERED, self.counts, strict=True))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> "Remembered":
        """Read the four counts from JSON. A missing count is 0, and other names are ignored."""
        return cls(*(int((values or {}).get(name, 0)) for name in REMEMBERED))


REMEMBERED: Final = tuple(field.name for field in fields(Remembered))
"""The names of the four counts of the translation memory."""

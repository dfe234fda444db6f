"""Sizes are how long rows were, in tokens and in device time, in sums and sketches that add up exactly.

They stand in the accounts of a round for each kind, model and template, apart by device and by *length class*: the class of a row
goes by the tokens of its prompts, in powers of four, since these are known before the row is run. Sizes of rounds are added and
subtracted like every other sum of the accounts.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import mul
from typing import Any, Final, NamedTuple

from jobs.planning.sketch import BITS, Sketch

_BITS_OF_HALF: Final = BITS - 1
_AT_ONCE: Final = 4096
"""So many rows wait before they are counted."""


class Part(NamedTuple):
    """Rows that ran on one device and have one length class. `device` is empty if it was not recorded."""

    device: str
    length_class: int


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sketches of rows' prompt tokens, completion tokens and device time in nanoseconds.

    The three products are sums over the rows: prompt times completion tokens, prompt tokens times nanoseconds, and completion
    tokens times nanoseconds. They tell how the three go together, and so what a token of either sort takes.
    """

    prompt: Sketch = field(default_factory=Sketch)
    completion: Sketch = field(default_factory=Sketch)
    device_ns: Sketch = field(default_factory=Sketch)
    prompt_completion: int = 0
    prompt_ns: int = 0
    completion_ns: int = 0

    def __add__(self, other: "Sizes") -> "Sizes":
        return Sizes(
            self.prompt + other.prompt,
            self.completion + other.completion,
            self.device_ns + other.device_ns,
            self.prompt_completion + other.prompt_completion,
            self.prompt_ns + other.prompt_ns,
            self.completion_ns + other.completion_ns,
        )

    def __sub__(self, other: "Sizes") -> "Sizes":
        return Sizes(
            self.prompt - other.prompt,
            self.completion - other.completion,
            self.device_ns - other.device_ns,
            self.prompt_completion - other.prompt_completion,
            self.prompt_ns - other.prompt_ns,
            self.completion_ns - other.completion_ns,
        )

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.completion.count

    def as_dict(self) -> dict[str, Any]:
        """Return the sizes as JSON. Products are texts, since they may pass 64 bits."""
        sketches = {name: getattr(self, name).as_dict() for name in ("prompt", "completion", "device_ns")}
        products = [str(self.prompt_completion), str(self.prompt_ns), str(self.completion_ns)]
        return {**sketches, "products": products}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Sizes":
        """Read what `as_dict` made. Raises KeyError, TypeError or ValueError for other JSON."""
        prompt, completion, device_ns = (
            Sketch.from_dict(values[name]) for name in ("prompt", "completion", "device_ns")
        )
        products = [int(product) for product in values["products"]]
        if len(products) != 3:
            raise ValueError("sizes have three products")
        return cls(prompt, completion, device_ns, *products)


class SizesCounter:
    """Counts rows, one after another, and gives their sizes by length class."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, int]] = []
        self._sums: dict[int, list[int]] = {}
        self._buckets: dict[int, tuple[Counter[int], Counter[int], Counter[int]]] = {}

    def add(self, prompt: int, completion: int, device_ns: int) -> None:
        """Count a row with so many prompt and completion tokens, and its share of the device's time."""
        self._waiting.append((prompt, completion, device_ns))
        if len(self._waiting) >= _AT_ONCE:
            self._count()

    def sizes(self) -> Mapping[int, Sizes]:
        """Return the sizes of the rows so far, by length class."""
        self._count()
        return {number: self._of(number) for number in sorted(self._sums)}

    def _count(self) -> None:
        """Count the rows that wait, many at once: sums of products are made without a line of Python for each row."""
        classes: defaultdict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for row in self._waiting:
            classes[max(0, row[0].bit_length() - 1) >> 1].append(row)
        self._waiting = []
        for number, rows in classes.items():
            prompts, completions, times = columns = tuple(zip(*rows, strict=True))
            sums = self._sums.setdefault(number, [0] * 9)
            pairs = [(one, one) for one in columns]
            pairs += [(prompts, completions), (prompts, times), (completions, times)]
            products = [sum(map(mul, left, right)) for left, right in pairs]
            for place, amount in enumerate([*map(sum, columns), *products]):
                sums[place] += amount
            for buckets, column in zip(
                self._buckets.setdefault(number, (Counter(), Counter(), Counter())), columns, strict=True
            ):
                buckets.update(
                    [
                        (shift << _BITS_OF_HALF) + (value >> shift)
                        if (shift := value.bit_length() - BITS) > 0
                        else value
                        for value in column
                    ]
                )

    def _of(self, number: int) -> Sizes:
        sums = self._sums[number]
        prompt, completion, device_ns = (
            Sketch(dict(sorted(buckets.items())), sums[n], sums[n + 3])
            for n, buckets in enumerate(self._buckets[number])
        )
        return Sizes(prompt, completion, device_ns, *sums[6:])


Parts = Mapping[Part, Sizes]
"""Sizes of rows, apart by device and length class. No sizes in it are empty."""


def length_class(prompt: int) -> int:
    """Return the class of a row by its prompt tokens: class `n` has prompts from `4**n` to `4**(n + 1) - 1` tokens."""
    return max(0, prompt.bit_length() - 1) >> 1


def added(left: Parts, right: Parts) -> Parts:
    """Return the sums of two records of parts."""
    return {part: one for part in sorted({*left, *right}) if (one := _of(left, part) + _of(right, part)) != Sizes()}


def subtracted(left: Parts, right: Parts) -> Parts:
    """Return what `left` has beyond `right`, part by part. It may be below 0."""
    return {part: one for part in sorted({*left, *right}) if (one := _of(left, part) - _of(right, part)) != Sizes()}


def total(sizes: Iterable[Sizes]) -> Sizes:
    """Return the sum of sizes."""
    return sum(sizes, Sizes())


def as_values(parts: Parts) -> list[list[Any]]:
    """Return parts as JSON: for each its device, its class and its sizes."""
    return [[*part, sizes.as_dict()] for part, sizes in sorted(parts.items())]


def from_values(values: Sequence[Sequence[Any]]) -> Parts:
    """Read what `as_values` made. Raises KeyError, TypeError or ValueError for other JSON."""
    return {Part(str(device), int(number)): Sizes.from_dict(sizes) for device, number, sizes in values}


def _of(parts: Parts, part: Part) -> Sizes:
    return parts.get(part) or Sizes()

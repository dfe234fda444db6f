"""Adds to the outputs of a layer what the adapters of the step's rows add, in products for many adapters at once.

A row is one token of one text. `RowAdapters` says which place each row's adapter has, and sorts the rows by it. The rows of
several adapters are padded to the most rows of one of them, so that one product serves them all (`Group`). An adapter with far
more rows than the others gets a product of its own.

`Stack` holds the weights of all places for one layer of the network. Its hook runs after the layer, and does nothing in a step
without adapters. On some CPUs `panels` does the same faster.
"""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import torch

ROW_ADAPTERS: Final[ContextVar["RowAdapters | None"]] = ContextVar("ROW_ADAPTERS", default=None)
"""The adapters of the rows that the network computes now; None if it computes none with an adapter."""

MOST_PADDING: Final = 2
"""Adapters share a product only if the one with the most rows has at most this many times the rows of any other."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of several adapters that share a product.

    Args:
        places: The places of the adapters, as an index of a stack.
        count: The number of adapters.
        rows: The rows of each adapter in turn, `count` times the same number. Missing ones are filled up with any row.
        kept: The positions of `rows` that are not filled up; None if all are kept.
        targets: The rows at these positions.
    """

    places: slice | torch.Tensor
    count: int
    rows: torch.Tensor
    kept: torch.Tensor | None
    targets: torch.Tensor


class RowAdapters:
    """The places of the adapters of texts, one for each text; -1 for a text without one.

    The rows of all texts that a layer gets at once are the same number for each text, one text after the other.
    """

    def __init__(self, places: Sequence[int], device: torch.device) -> None:
        self.places = tuple(places)
        self._device = device
        self._groups: dict[int, tuple[Group, ...]] = {}
        self._sorted: dict[int, SortedRows] = {}

    def groups(self, rows: int) -> tuple[Group, ...]:
        """Return the groups of this many rows. They are kept, since all layers of a step need the same."""
        if rows not in self._groups:
            by_place = self._by_place(rows)
            self._groups[rows] = tuple(_group(one, by_place, self._device) for one in _shared(by_place))
        return self._groups[rows]

    def sorted_rows(self, rows: int) -> "SortedRows":
        """Return this many rows, sorted by place, without those that have no adapter."""
        if rows not in self._sorted:
            self._sorted[rows] = SortedRows.of(self._by_place(rows))
        return self._sorted[rows]

    def _by_place(self, rows: int) -> dict[int, list[int]]:
        each, rest = divmod(rows, len(self.places))
        if rest:
            raise ValueError(f"a layer got {rows} rows for {len(self.places)} texts")
        found: dict[int, list[int]] = {}
        for text, place in enumerate(self.places):
            if place >= 0:
                found.setdefault(place, []).extend(range(text * each, (text + 1) * each))
        return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class SortedRows:
    """Rows with adapters: their indices, and for each adapter its place, its first index and the one after its last, as numpy
    has them [adapters, 3].
    """

    rows: torch.Tensor
    groups: Any

    @classmethod
    def of(cls, by_place: dict[int, list[int]]) -> "SortedRows":
        """Return the rows of adapters by place, one place after the other."""
        rows = [row for found in by_place.values() for row in found]
        groups, first = [], 0
        for place, found in by_place.items():
            groups.append((place, first, first + len(found)))
            first += len(found)
        return cls(torch.tensor(rows, dtype=torch.long), torch.tensor(groups, dtype=torch.long).numpy())


class Stack:
    """The weights of adapters for one layer: A [places, inputs, ranks] and B [places, ranks, outputs], scaled.

    The layer computes one or several linear layers with the same inputs (`parts`). Each has ranks of its own, so B is zero where
    the ranks of one part meet the outputs of another.

    Args:
        places: The number of places.
        inputs: The inputs of the layer.
        parts: The first output, the number of outputs and the largest rank of each part.
        outputs: The outputs of the layer.
        like: A tensor with the device and the number format of the weights.
    """

    def __init__(
        self, places: int, inputs: int, parts: Sequence[tuple[int, int, int]], outputs: int, like: torch.Tensor
    ) -> None:
        ranks = sum(rank for _, _, rank in parts)
        self._inputs, self._outputs, self._parts = inputs, outputs, parts
        self._a = like.new_zeros(places, inputs, ranks)
        self._b = like.new_zeros(places, ranks, outputs)

    @staticmethod
    def place_numbers(inputs: int, parts: Sequence[tuple[int, int, int]], outputs: int) -> int:
        """Return how many numbers a place takes."""
        return sum(rank for _, _, rank in parts) * (inputs + outputs)

    def clear(self, place: int) -> None:
        """Empty a place."""
        self._a[place].zero_()
        self._b[place].zero_()

    def put(self, place: int, part: int, a: torch.Tensor, b: torch.Tensor, scale: float) -> None:
        """Put the weights A [rank, inputs] and B [outputs, rank] of a part into an empty place."""
        ranks = sum(rank for _, _, rank in self._parts[:part])
        first, outputs, _ = self._parts[part]
        self._a[place, :, ranks : ranks + len(a)] = a.T
        self._b[place, ranks : ranks + len(a), first : first + outputs] = (b.float() * scale).T

    def hook(self, layer: Any, args: tuple[Any, ...], out: torch.Tensor) -> None:
        """Add to the outputs of the layer what the adapters of its rows add."""
        if (applied := ROW_ADAPTERS.get()) is None:
            return
        states, sums = args[0].reshape(-1, self._inputs), out.view(-1, self._outputs)
        for group in applied.groups(len(states)):
            read = states.index_select(0, group.rows).view(group.count, -1, self._inputs)
            added = torch.bmm(torch.bmm(read, self._a[group.places]), self._b[group.places]).view(-1, self._outputs)
            sums.index_add_(0, group.targets, added if group.kept is None else added.index_select(0, group.kept))


def _shared(by_place: dict[int, list[int]]) -> list[list[int]]:
    """Return the places that share a product (`MOST_PADDING`), each list in ascending order."""
    found: list[list[int]] = []
    fewest = 0
    for place in sorted(by_place, key=lambda one: len(by_place[one])):
        size = len(by_place[place])
        if not found or size > MOST_PADDING * fewest:
            found.append([])
            fewest = size
        found[-1].append(place)
    return [sorted(one) for one in found]


def _group(places: list[int], by_place: dict[int, list[int]], device: torch.device) -> Group:
    most = max(len(by_place[place]) for place in places)
    rows: list[int] = []
    kept: list[int] = []
    for place in places:
        own = by_place[place]
        kept += range(len(rows), len(rows) + len(own))
        rows += own + own[:1] * (most - len(own))
    is_run = places == list(range(places[0], places[-1] + 1))

    def index(values: list[int]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.long, device=device)

    return Group(
        slice(places[0], places[-1] + 1) if is_run else index(places),
        len(places),
        index(rows),
        None if len(kept) == len(rows) else index(kept),
        index([rows[position] for position in kept]),
    )

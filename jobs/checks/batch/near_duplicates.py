"""Near-duplicates: finds texts of a batch that have most of their pairs of words in common.

Each text gets a MinHash signature of 128 permutations. Signatures are cut into 25 bands of 5 values; texts that share a band are
compared. So two texts with a Jaccard index of 0.7 are compared in 99 % of cases, and texts with an index of 0.8 almost always.
The comparison uses one byte of each value, and estimates the index to about 0.04.
"""

from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from operator import eq
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from zlib import crc32

from rensa import RMinHash

from jobs.checks.batch.columns import Column, KeyColumn

PERMUTATIONS: Final = 128
BANDS: Final = 25
BAND: Final = 5
_SEED: Final = 42
_BAND_BYTES: Final = 4 * BAND
_STARTS: Final = tuple(range(0, BANDS * _BAND_BYTES, _BAND_BYTES))
_BY_CHANCE: Final = 1 / 256
"""The probability that a byte of two signatures is the same by chance."""
MOST_COMPARED: Final = 4
"""A text is compared with at most this many different texts that share a band with it."""


class NearDuplicates:
    """Finds the near-duplicates among texts that are added in the order of their rows."""

    def __init__(self, jaccard: float, folder: Path | None = None) -> None:
        self._least = PERMUTATIONS * (jaccard + (1 - jaccard) * _BY_CHANCE)
        self._stack = ExitStack()
        self._signatures = self._stack.enter_context(Column(PERMUTATIONS, folder))
        self._bands = [self._stack.enter_context(KeyColumn(folder, bits=32)) for _ in range(BANDS)]
        self._parents: array[int] = array("I")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def add(self, words: Sequence[str] | None, among: int) -> None:
        """Add the words of the next row. None: the row is not compared. Only rows with the same `among` are compared."""
        self._parents.append(len(self._parents))
        if words is None:
            self._signatures.append(bytes(PERMUTATIONS))
            for band in self._bands:
                band.add(0)
            return
        minhash = RMinHash(num_perm=PERMUTATIONS, seed=_SEED)
        minhash.update([f"{one} {other}" for one, other in pairwise(words)])
        values = array("I", minhash.digest())
        data = values.tobytes()
        self._signatures.append(data[::4])
        for band, start in zip(self._bands, _STARTS, strict=True):
            # not `hash`, whose values differ between processes: two audits of the same rows find the same clusters
            band.add(crc32(data[start : start + _BAND_BYTES], among) or 1)

    def sizes(self) -> "array[int]":
        """Return for each row the size of its cluster if the row is the first of two or more; otherwise 0."""
        for band in self._bands:
            for rows in band.groups():
                self._join(rows)
        sizes = array("I", bytes(4 * len(self._parents)))
        for row in range(len(self._parents)):
            sizes[self._root(row)] += 1
        for row, size in enumerate(sizes):
            if size == 1:
                sizes[row] = 0
        return sizes

    def firsts(self) -> Iterator[int]:
        """Yield for each row the first row of its cluster. `sizes` must have been called."""
        return (self._root(row) for row in range(len(self._parents)))

    def _join(self, rows: Sequence[int]) -> None:
        """Join the clusters of the rows that are alike."""
        kinds: list[tuple[int, bytes]] = []
        for row in rows:
            root = self._root(row)
            if any(self._root(other) == root for other, _ in kinds):
                continue
            own = self._signatures.at(row)
            like = next((other for other, signature in kinds if self._alike(own, signature)), None)
            if like is not None:
                self._unite(root, self._root(like))
            elif len(kinds) < MOST_COMPARED:
                kinds.append((row, own))

    def _alike(self, one: bytes, other: bytes) -> bool:
        return one == other or sum(map(eq, one, other)) >= self._least

    def _root(self, row: int) -> int:
        parents = self._parents
        while (parent := parents[row]) != row:
            parents[row] = row = parents[parent]
        return row

    def _unite(self, one: int, other: int) -> None:
        """Join two clusters. The root of a cluster is its first row."""
        self._parents[max(one, other)] = min(one, other)

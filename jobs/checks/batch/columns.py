"""Columns keep values of a million rows in temporary files, so that memory does not grow with the rows of a batch.

A column holds a value of fixed size for each row. A column of keys finds the rows that have the same key: it reads the keys in
slices of at most `SLICE` rows, one slice at a time, and sorts each.
"""

import os
import sys
import tempfile
from array import array
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Final, Self

SLICE: Final = 500_000
"""About this many keys are sorted at once. They take about 25 MB."""
_CHUNK: Final = 65_536
_PENDING: Final = 4_096
_BUFFER: Final = 1 << 16


class Column:
    """A value of `size` bytes for each row, in a temporary file."""

    def __init__(self, size: int, folder: Path | None = None) -> None:
        self._size = size
        self._file = tempfile.TemporaryFile(buffering=_BUFFER, prefix="nightpress-audit-", dir=folder)  # noqa: SIM115
        self._flushed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, value: bytes) -> None:
        """Add the values of the next rows. Each must have the size of the column."""
        self._file.write(value)
        self._flushed = False

    def at(self, row: int) -> bytes:
        """Return the value of a row."""
        self._flush()
        return os.pread(self._file.fileno(), self._size, row * self._size)

    def _flush(self) -> None:
        if not self._flushed:
            self._file.flush()
            self._flushed = True

    def _chunks(self) -> Iterator[bytes]:
        self._flush()
        position = 0
        while chunk := os.pread(self._file.fileno(), _CHUNK * self._size, position):
            yield chunk
            position += len(chunk)


class KeyColumn(Column):
    """A whole number of 64 or 32 bits for each row. 0: the row has no key."""

    def __init__(self, folder: Path | None = None, *, bits: int = 64) -> None:
        super().__init__(bits // 8, folder)
        self._type = "Q" if bits == 64 else "I"
        self._pending = array(self._type)
        self._rows = 0

    def add(self, key: int) -> None:
        """Add the key of the next row."""
        self._pending.append(key)
        if len(self._pending) == _PENDING:
            self._flush()

    def key(self, row: int) -> int:
        """Return the key of a row."""
        return int.from_bytes(self.at(row), sys.byteorder)

    def groups(self) -> Iterator[list[int]]:
        """Yield the numbers of the rows that have the same key, in ascending order, for each key that two rows or more have."""
        self._flush()
        slices = -(-self._rows // SLICE)
        for part in range(slices):
            yield from _same(self._packed(part, slices))

    def _flush(self) -> None:
        if self._pending:
            self.append(self._pending.tobytes())
            self._rows += len(self._pending)
            del self._pending[:]
        super()._flush()

    def _packed(self, part: int, slices: int) -> list[int]:
        packed: list[int] = []
        row = 0
        for chunk in self._chunks():
            keys = array(self._type)
            keys.frombytes(chunk)
            packed.extend((key << 32) | n for n, key in enumerate(keys, row) if key and key % slices == part)
            row += len(keys)
        packed.sort()
        return packed


class TextColumn:
    """Two texts for each row, in a temporary file."""

    def __init__(self, folder: Path | None = None) -> None:
        self._ends = Column(8, folder)
        self._texts = tempfile.TemporaryFile(buffering=_BUFFER, prefix="nightpress-audit-", dir=folder)  # noqa: SIM115
        self._end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.__exit__(kind, error, trace)
        self._texts.close()

    def add(self, one: str, other: str) -> None:
        """Add the texts of the next row."""
        value = b"\0".join(text.replace("\0", " ").encode("utf-8", "replace") for text in (one, other))
        self._texts.write(value)
        self._end += len(value)
        self._ends.append(self._end.to_bytes(8, sys.byteorder))

    def at(self, row: int) -> tuple[str, str]:
        """Return the texts of a row."""
        self._texts.flush()
        start = int.from_bytes(self._ends.at(row - 1), sys.byteorder) if row else 0
        end = int.from_bytes(self._ends.at(row), sys.byteorder)
        value = os.pread(self._texts.fileno(), end - start, start)
        one, _, other = value.decode().partition("\0")
        return one, other


def _same(packed: list[int]) -> Iterator[list[int]]:
    """Yield the rows of each key that two or more rows have. A number has the key in its upper bits, the row in its lower 32."""
    for _, members in groupby(packed, key=lambda value: value >> 32):
        rows = [value & 0xFFFFFFFF for value in members]
        if len(rows) > 1:
            yield rows

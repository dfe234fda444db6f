"""The spool: finished outcomes on local disk, in order, while the storage cannot take them.

A file without a name: it ends with the process, and nothing of it is ever read by another, since the leases end with the
process too. A chunk is on it whole or not at all, and one that the disk does not give back as it was is the only one lost.
It holds no more than it may; then the worker claims no more.
"""

import contextlib
import errno
import pickle
import tempfile
import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Generic, TypeVar

from jobs.logs import logger

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Chunk:
    offset: int
    length: int
    crc32: int


class OutcomeSpool(Generic[T]):
    """Chunks of values, first in first out. One thread at a time.

    Args:
        folder: Where the file is made, once it is needed.
        most_bytes: How large the file may grow.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._file: IO[bytes] | None = None
        self._chunks: deque[_Chunk] = deque()
        self._end = 0

    def __len__(self) -> int:
        """How many chunks are on it."""
        return len(self._chunks)

    def push(self, values: Sequence[T]) -> bool:
        """Put a chunk behind the others. False when there is no room: nothing changed then."""
        data = pickle.dumps(values)
        if self._end + len(data) > self._most_bytes:
            return False
        try:
            self._write(data)
        except OSError as error:
            logger().warning("spool.refused", error=error.strerror or str(error))
            return False
        self._chunks.append(_Chunk(self._end, len(data), zlib.crc32(data)))
        self._end += len(data)
        return True

    def pop(self) -> Sequence[T]:
        """Take the oldest chunk. What was written is given back to the disk when the last one is taken.

        Raises OSError when the disk does not give it back as it was written: then this chunk is gone, and no other.
        """
        chunk = self._chunks.popleft()
        file = self._opened()
        try:
            file.seek(chunk.offset)
            data = file.read(chunk.length)
        finally:
            if not self._chunks:
                self._cut(0)
        if zlib.crc32(data) != chunk.crc32:
            raise OSError(errno.EIO, "what was read is not as it was written")
        values: Sequence[T] = pickle.loads(data)  # noqa: S301 - what this process wrote, in a file without a name
        return values

    def close(self) -> None:
        """Let go of the file, and so of what is on it."""
        if self._file is not None:
            self._file.close()

    def _write(self, data: bytes) -> None:
        """Put this at the end, or nothing of it: a disk that fills up takes a part, and refuses only the next write."""
        file, rest = self._opened(), memoryview(data)
        file.seek(self._end)
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            self._cut(self._end)
            raise

    def _cut(self, end: int) -> None:
        """The file ends here. What a disk in trouble keeps beyond it is written over."""
        self._end = end
        with contextlib.suppress(OSError):
            self._opened().truncate(end)

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - lives as long as this
        return self._file

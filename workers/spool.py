"""The spool: finished outcomes on local disk, in order, while the storage cannot take them.

A file without a name: it ends with the process, and nothing of it is ever read by another, since the leases end with the
process too. A chunk is on it whole or not at all. It holds no more than it may; then the worker claims no more.
"""

import pickle
import tempfile
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Generic, TypeVar

from jobs.logs import logger

T = TypeVar("T")


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
        self._chunks: deque[tuple[int, int]] = deque()
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
            file = self._opened()
            file.seek(self._end)
            file.write(data)
            file.flush()
        except OSError as error:
            logger().warning("spool.refused", error=error.strerror or str(error))
            return False
        self._chunks.append((self._end, len(data)))
        self._end += len(data)
        return True

    def pop(self) -> Sequence[T]:
        """Take the oldest chunk. What was written is given back to the disk when the last one is taken."""
        file = self._opened()
        offset, length = self._chunks.popleft()
        file.seek(offset)
        values: Sequence[T] = pickle.loads(file.read(length))  # noqa: S301 - what this process wrote, in a file without a name
        if not self._chunks:
            file.truncate(0)
            self._end = 0
        return values

    def close(self) -> None:
        """Let go of the file, and so of what is on it."""
        if self._file is not None:
            self._file.close()

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - lives as long as this
        return self._file

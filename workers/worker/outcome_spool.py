"""The outcome spool: finished outcomes wait on local disk, in order, while the storage cannot take them.

The spool is a temporary file without a name, so the file vanishes when its process ends. No other process needs it: the leases of
its rows then run out, and other workers run the rows again. A chunk is written whole or not at all. If the disk does not give a
chunk back as it was written, only that chunk is lost. The file never grows beyond its limit: `push` refuses a chunk that does not
fit.
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
    """A queue of chunks, first in first out. A chunk is the values of one `push`. Only one thread may use the queue at a time.

    Args:
        folder: The folder for the file, which is made when it is first needed.
        most_bytes: The limit of the file's size, in bytes.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._file: IO[bytes] | None = None
        self._chunks: deque[_Chunk] = deque()
        self._end = 0

    def __len__(self) -> int:
        """How many chunks are on the spool."""
        return len(self._chunks)

    def push(self, values: Sequence[T]) -> bool:
        """Append a chunk. Returns False, and changes nothing, if there is no room or the disk fails."""
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
        """Take the oldest chunk, and return its values. The file is emptied when the last chunk is taken.

        Raises OSError if the disk does not give the chunk back as it was written; only this chunk is lost.
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
            raise OSError(errno.EIO, "the chunk that was read is not as it was written")
        values: Sequence[T] = pickle.loads(data)  # noqa: S301 - this process wrote it, in a file without a name
        return values

    def close(self) -> None:
        """Close the file. Its chunks are lost."""
        if self._file is not None:
            self._file.close()

    def _write(self, data: bytes) -> None:
        """Append all of `data` or nothing.

        A disk that fills up may accept part of the data and refuse the rest. The accepted part is then cut off.
        """
        file, rest = self._opened(), memoryview(data)
        file.seek(self._end)
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            self._cut(self._end)
            raise

    def _cut(self, end: int) -> None:
        """End the file at `end`. If the disk refuses to shorten the file, later writes overwrite the bytes after `end`."""
        self._end = end
        with contextlib.suppress(OSError):
            self._opened().truncate(end)

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - open as long as the spool
        return self._file

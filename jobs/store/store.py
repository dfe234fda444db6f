"""The contract of a store, through which all access to stored files goes (rule 1 of jobs/PROTOCOL.md).

Everything rests on two operations: `create`, which is atomic, durable and never overwrites, and `list`, which is never
cached. There is no append and no rename. Paths are relative to the store's URL, with `/` between names. A name that begins
with a dot is never listed. Each failure of a disk or a service is raised as a StoreUnavailable whose message is one line.
"""

import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import BinaryIO, Final

from jobs.errors import StoreDeleteFailed, StoreUnavailable
from jobs.logs import logger
from jobs.urls import redacted

CHUNK_BYTES: Final = 4 << 20
"""A file that is streamed is read or written this many bytes at a time."""

NAMED_PATHS: Final = 3
"""An error about many files names at most this many of them."""


class Store(ABC):
    """Files under one URL. Any number of threads and processes may use it at once."""

    url: str
    options: Mapping[str, str]
    reads_at_once: int = 1
    """How many files to read at once: more than one if most of a read is waiting."""
    can_delete: bool = True
    """False after a `discard` that could not delete its files, until a later `discard` succeeds."""

    @property
    def redacted_url(self) -> str:
        """Its URL without anything that may be a password."""
        return redacted(self.url)

    @abstractmethod
    def create(self, path: str, data: bytes) -> bool:
        """Create a file unless there is one. Returns True if the file now has these bytes, False if it has other bytes.

        Raises StoreTimeout when the file may have been created. The same call may then be made again.
        """

    @abstractmethod
    def writer(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Stream a new file. It appears as a whole if the block ends without an exception, and otherwise not at all.

        If there is a file already, it stays as it is.
        """

    @abstractmethod
    def read(self, path: str) -> bytes:
        """Return the bytes of a file. Raises KeyError when it is missing."""

    @abstractmethod
    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset` on, or fewer at the end of the file. Raises KeyError when the file is missing."""

    @abstractmethod
    def reader(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Open a file as a stream: buffered, seekable, iterated by lines. Raises KeyError when the file is missing."""

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether there is a file or a folder at this path."""

    @abstractmethod
    def list(self, folder: str) -> list[str]:
        """Return the sorted names of the files and folders directly in a folder; none when the folder is missing."""

    @abstractmethod
    def size(self, path: str) -> int:
        """Return the size of a file in bytes. Raises KeyError when it is missing."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Delete a file, or a folder with everything in it. A missing one is no error.

        Raises StoreDeleteFailed when some of it could not be deleted.
        """

    def delete_files(self, paths: Sequence[str]) -> None:
        """Delete files, many with one request if the service can. A missing file is no error.

        If the process ends meanwhile, only some files are deleted. Raises StoreDeleteFailed when some could not be deleted.
        """
        for path in paths:
            self.delete(path)

    def discard(self, *paths: str) -> bool:
        """Delete files or folders that nobody needs any more. Returns whether they could be deleted.

        Files that could not be deleted stay. This is logged once until a later call succeeds. Work on a batch deletes files by
        this method, so that the work never fails because a file cannot be deleted.
        """
        logged, self.can_delete = not self.can_delete, True
        try:
            if len(paths) == 1:
                self.delete(paths[0])
            else:
                self.delete_files(paths)
        except StoreDeleteFailed as error:
            self.can_delete = False
            if not logged:
                logger().warning("store.delete_failed", error=f"{error}. Everything goes on, and such files add up")
        return self.can_delete

    def _delete_failed(self, paths: Sequence[str], reason: str, remedy: str) -> StoreDeleteFailed:
        """Make the error that names files which could not be deleted."""
        named = ", ".join(paths[:NAMED_PATHS])
        more = f" and {len(paths) - NAMED_PATHS} more" if len(paths) > NAMED_PATHS else ""
        return StoreDeleteFailed(f"storage {self.redacted_url}: cannot delete {named}{more}: {reason}. {remedy}")

    def delete_unfinished(self, age: timedelta) -> int:
        """Delete half-written files of killed processes that nobody touched for `age`. Returns how many.

        An object store has none.
        """
        del age
        return 0

    def check(self) -> None:
        """Try out what everything else rests on.

        Raises StoreUnavailable unless exactly one of two writers of a name wins, a file of no bytes does not replace
        another, and `list` shows new files at once.
        """
        folder = f"check/{uuid.uuid4().hex}"
        try:
            for n in range(4):
                self._race(f"{folder}/{n}")
            if self.create(f"{folder}/0", b"") or self.list(folder) != ["0", "1", "2", "3"]:
                raise self._unsafe("it lets an empty file replace another, or lists late")
        finally:
            self.delete(folder)

    def _race(self, path: str) -> None:
        """Let two threads create one file at once. Raises StoreUnavailable unless one of them wins."""
        barrier = threading.Barrier(2)

        def write(data: bytes) -> bool:
            barrier.wait()
            return self.create(path, data)

        with ThreadPoolExecutor(2) as pool:
            won = dict(zip((b"one", b"two"), pool.map(write, (b"one", b"two")), strict=True))
        if [data for data, first in won.items() if first] != [self.read(path)]:
            raise self._unsafe("two writers of one name did not end with exactly one winner")

    def _unsafe(self, what: str) -> StoreUnavailable:
        return StoreUnavailable(
            f"storage {self.redacted_url} cannot be used: {what}. Use a local disk, or an object store with conditional "
            "writes."
        )

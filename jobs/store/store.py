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
    """Callers read at most this many files at once. It is more than one if a read mostly waits for the disk or the service."""
    can_delete: bool = True
    """False after a `discard` that could not delete its files, until a later `discard` succeeds."""

    @property
    def redacted_url(self) -> str:
        """The store's URL without anything that may be a password."""
        return redacted(self.url)

    @abstractmethod
    def create(self, path: str, data: bytes) -> bool:
        """Create a file unless it exists. Returns True if the file now has these bytes, False if it has other bytes.

        Raises StoreTimeout if nobody knows whether the file was created. The caller may make the same call again.
        """

    @abstractmethod
    def writer(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Stream a new file. The file appears as a whole if the block ends without an exception, and otherwise not at all.

        If a file of this name exists already, that file stays as it is.
        """

    @abstractmethod
    def read(self, path: str) -> bytes:
        """Return the bytes of a file. Raises KeyError if the file is missing."""

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
        """Return the sorted names of the files and folders directly in a folder; no names if the folder is missing."""

    @abstractmethod
    def size(self, path: str) -> int:
        """Return the size of a file in bytes. Raises KeyError if the file is missing."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Delete a file, or a folder with everything in it. A missing file or folder is no error.

        Raises StoreDeleteFailed if the file, or something in the folder, could not be deleted.
        """

    def delete_files(self, paths: Sequence[str]) -> None:
        """Delete files, many with one request if the service can. A missing file is no error.

        If the process ends meanwhile, only some files are deleted. Raises StoreDeleteFailed if some files could not be deleted.
        """
        for path in paths:
            self.delete(path)

    def discard(self, *paths: str) -> bool:
        """Delete files or folders that nobody needs any more. Returns whether they could be deleted.

        Files that could not be deleted stay. A failure is logged only if the call before succeeded. Work on a batch deletes files
        by this method, so that the work never fails because a file cannot be deleted.
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
        """Delete half-written files of killed processes, if nobody has written to them for `age`. Returns how many were
        deleted.

        An object store has no such files.
        """
        del age
        return 0

    def check(self) -> None:
        """Try out the two operations on which everything else rests: `create` and `list`.

        Raises StoreUnavailable if two writers of one name both win or both lose, if an empty file replaces another file, or if
        `list` does not show new files at once.
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
        """Let two threads create the same file at once. Raises StoreUnavailable unless exactly one of them wins."""
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

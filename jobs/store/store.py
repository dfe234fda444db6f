"""The contract of a store, the one way in to the files that outlive every process.

Everything rests on two operations: `create`, which is atomic, durable and never overwrites, and `list`, which is never
cached. Paths are relative to the store's URL, with `/` between names; a name that begins with a dot is never listed. There is
no append and no rename. Every failure of a disk or a service is raised as StoreUnavailable, in one line.
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
"""How much is read at a time from a file that is streamed."""

SHOWN: Final = 3
"""So many of the files that stay are named."""


class Store(ABC):
    """Files under one URL. Safe to use from any number of threads and processes at once."""

    url: str
    options: Mapping[str, str]
    reads_at_once: int = 1
    """How many files are worth asking for at a time: more than one where each answer is waited for."""
    deletes: bool = True
    """False when files that were to be discarded stayed the last time."""

    @property
    def redacted_url(self) -> str:
        """Its URL without what may be a password."""
        return redacted(self.url)

    @abstractmethod
    def create(self, path: str, data: bytes) -> bool:
        """Make a file that is not there yet. True: it stands there with these bytes. False: it has others.

        Raises StoreTimeout when nobody can say whether it stands.
        """

    @abstractmethod
    def writer(self, path: str) -> AbstractContextManager[BinaryIO]:
        """Stream a new file, which appears whole when the block ends well, else not at all.

        A file that stands there already is left alone.
        """

    @abstractmethod
    def read(self, path: str) -> bytes:
        """All of a file. Raises KeyError when it is missing."""

    @abstractmethod
    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer at the end of the file. Raises KeyError when it is missing."""

    @abstractmethod
    def reader(self, path: str) -> AbstractContextManager[BinaryIO]:
        """A file to be streamed: buffered, seekable, iterated by lines. Raises KeyError when it is missing."""

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether a file or folder is there."""

    @abstractmethod
    def list(self, folder: str) -> list[str]:
        """The names of the files and folders directly in a folder, sorted; none when it is missing."""

    @abstractmethod
    def size(self, path: str) -> int:
        """The bytes of a file. Raises KeyError when it is missing."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Remove a file, or a folder with all that it holds. Missing is fine. Raises StoreDeleteFailed when some of it stays."""

    def delete_files(self, paths: Sequence[str]) -> None:
        """Remove files, many with one request where the service can. Missing ones are fine. Ending early, it has removed some.

        Raises StoreDeleteFailed when some of them stay.
        """
        for path in paths:
            self.delete(path)

    def discard(self, *paths: str) -> bool:
        """Remove files or folders that nobody needs any more. Where they may not be deleted they stay, which is said once.

        Whether they went. Whoever works on a batch removes files with this: no batch ends because of a file too many.
        """
        said, self.deletes = not self.deletes, True
        try:
            if len(paths) == 1:
                self.delete(paths[0])
            else:
                self.delete_files(paths)
        except StoreDeleteFailed as error:
            self.deletes = False
            if not said:
                logger().warning("store.delete_failed", error=f"{error}. All goes on, and files become more")
        return self.deletes

    def _kept(self, paths: Sequence[str], reason: str, remedy: str) -> StoreDeleteFailed:
        """The error that says which files stay."""
        named = ", ".join(paths[:SHOWN]) + (f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else "")
        return StoreDeleteFailed(f"storage {self.redacted_url}: cannot delete {named}: {reason}. {remedy}")

    def delete_unfinished(self, age: timedelta) -> int:
        """Remove files that killed writers left half written, untouched for `age`. Returns how many; an object store has none."""
        del age
        return 0

    def check(self) -> None:
        """Try out what all else rests on. Raises StoreUnavailable unless of two writers to one name exactly one wins."""
        folder = f"check/{uuid.uuid4().hex}"
        try:
            for n in range(4):
                self._race(f"{folder}/{n}")
            if self.create(f"{folder}/0", b"") or self.list(folder) != ["0", "1", "2", "3"]:
                raise self._unsafe("it lets an empty file replace another, or lists late")
        finally:
            self.delete(folder)

    def _race(self, path: str) -> None:
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
            f"storage {self.redacted_url} cannot be used: {what}. Use a local disk, or an object store with conditional writes."
        )

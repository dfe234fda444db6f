"""Storage: the one way in to the files that outlive every process. Local folders here, objects in `object_storage.py`.

Everything rests on two operations: `create`, which is atomic, durable and never overwrites, and `list`, which is never
cached. Paths are relative to the store's URL, with `/` between names; a name that begins with a dot is never listed. There is
no append and no rename. Every failure of a disk or a service is raised as StoreUnavailable, in one line.
"""

import contextlib
import errno
import io
import os
import shutil
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from jobs.errors import StoreKeeps, StoreUnavailable
from jobs.logs import logger
from jobs.urls import shown

CHUNK_BYTES: Final = 4 << 20
"""How much is read at a time from a file that is streamed."""

_HIDDEN: Final = ".new-"
"""What the name of a local file begins with while it is written."""
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

    @classmethod
    def open(cls, url: str, options: Mapping[str, str] | None = None) -> "Store":
        """The store at a local path or any fsspec URL. `options` go to the fsspec file system. Connects to nothing yet."""
        scheme, separator, rest = url.partition("://")
        if not separator or scheme in {"file", "local"}:
            return LocalStore(rest if separator else url)
        from jobs.store.objects import ObjectStore  # fsspec, only where it is used

        return ObjectStore(url, options or {})

    @property
    def shown(self) -> str:
        """Its URL without what may be a password."""
        return shown(self.url)

    def __reduce__(self) -> tuple[Any, ...]:
        return Store.open, (self.url, dict(self.options))

    @abstractmethod
    def create(self, path: str, data: bytes) -> bool:
        """Make a file that is not there yet. True: it stands there with these bytes. False: it has others.

        Raises StoreSilent when nobody can say whether it stands.
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
        """Remove a file, or a folder with all that it holds. Missing is fine. Raises StoreKeeps when some of it stays."""

    def delete_files(self, paths: Sequence[str]) -> None:
        """Remove files, many with one request where the service can. Missing ones are fine. Ending early, it has removed some.

        Raises StoreKeeps when some of them stay.
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
        except StoreKeeps as error:
            self.deletes = False
            if not said:
                logger().warning("store.kept", error=f"{error}. All goes on, and files become more")
        return self.deletes

    def _kept(self, paths: Sequence[str], reason: str, remedy: str) -> StoreKeeps:
        """The error that says which files stay."""
        named = ", ".join(paths[:SHOWN]) + (f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else "")
        return StoreKeeps(f"storage {self.shown}: cannot delete {named}: {reason}. {remedy}")

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
            f"storage {self.shown} cannot be used: {what}. Use a local disk, or an object store with conditional writes."
        )


class LocalStore(Store):
    """A folder. A file is written under a dotted name, made durable, and then linked to its name, which never overwrites."""

    reads_at_once = 2

    def __init__(self, folder: str) -> None:
        self._root = Path(folder).expanduser().absolute()
        self.url = str(self._root)
        self._seen = self._root.is_dir()
        self.options = {}

    def create(self, path: str, data: bytes) -> bool:
        with self._new(path) as file:
            file.write(data)
        return file.linked or self.read(path) == data

    @contextmanager
    def writer(self, path: str) -> Iterator[BinaryIO]:
        with self._new(path) as raw:
            buffered = io.BufferedWriter(raw, CHUNK_BYTES)
            yield cast("BinaryIO", buffered)
            buffered.flush()
            buffered.detach()

    def read(self, path: str) -> bytes:
        with self._faults("read", path):
            return (self._root / path).read_bytes()

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        with self._faults("read", path):
            descriptor = os.open(self._root / path, os.O_RDONLY)
            try:
                return os.pread(descriptor, length, offset)
            finally:
                os.close(descriptor)

    @contextmanager
    def reader(self, path: str) -> Iterator[BinaryIO]:
        with self._faults("read", path):
            file = (self._root / path).open("rb", buffering=1 << 20)
        with file:
            yield file

    def exists(self, path: str) -> bool:
        try:
            with self._faults("find", path):
                (self._root / path).stat()
        except KeyError:
            return False
        return True

    def list(self, folder: str) -> list[str]:
        try:
            with self._faults("list", folder):
                return sorted(name for name in os.listdir(self._root / folder) if not name.startswith("."))  # noqa: PTH208
        except KeyError:
            return []

    def size(self, path: str) -> int:
        with self._faults("find", path):
            return (self._root / path).stat().st_size

    def delete(self, path: str) -> None:
        target = self._root / path
        try:
            with self._faults("delete", path):
                if target.is_dir():
                    shutil.rmtree(target)
                else:
                    target.unlink()
        except KeyError:
            return

    def delete_unfinished(self, age: timedelta) -> int:
        count, newest = 0, time.time() - age.total_seconds()
        for folder, _, names in os.walk(self._root):
            for hidden in (Path(folder, name) for name in names if name.startswith(_HIDDEN)):
                with self._faults("delete", str(hidden)), suppress(FileNotFoundError):
                    if hidden.stat().st_mtime <= newest:
                        hidden.unlink()
                        count += 1
        return count

    @contextmanager
    def _new(self, path: str) -> Iterator["_NewFile"]:
        """A file under a dotted name, which is linked to its own when the block ends well."""
        target = self._root / path
        hidden = target.parent / f"{_HIDDEN}{uuid.uuid4().hex}"
        with self._faults("write", path):
            try:
                file = _NewFile(hidden, self)
            except FileNotFoundError:
                if self._seen and not self._root.is_dir():
                    raise
                _make_folder(target.parent)
                file = _NewFile(hidden, self)
        try:
            yield file
            with self._faults("write", path):
                os.fsync(file.fileno())
                file.linked = _link(hidden, target)
                _sync_folder(target.parent)
        finally:
            with contextlib.suppress(OSError):  # the fault that matters has been raised; a hidden file harms nobody
                file.close()
                hidden.unlink(missing_ok=True)

    @contextmanager
    def _faults(self, verb: str, path: str) -> Iterator[None]:
        try:
            yield
            self._seen = self._seen or self._root.is_dir()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            if self._seen and not self._root.is_dir():  # not empty, but moved away or no longer mounted
                raise StoreUnavailable(f"storage: the folder {self._root} is gone: put it back, or mount it") from error
            if verb == "write":
                raise self._fault(verb, path, error) from error
            raise KeyError(path) from None
        except OSError as error:
            raise self._fault(verb, path, error) from error

    def _fault(self, verb: str, path: str, error: OSError) -> StoreUnavailable:
        reason = (error.strerror or str(error)).splitlines()[0]
        if verb == "delete" and error.errno in (errno.EACCES, errno.EPERM):
            return self._kept([path], reason, "Give this user the right to write in the folders of the store")
        return StoreUnavailable(
            f"storage: cannot {verb} {self._root / path}: {reason}. Look at the disk's space and rights."
        )


class _NewFile(io.FileIO):
    """A file that is being written. `linked` says whether it took its name, or another had it."""

    linked = False

    def __init__(self, path: Path, store: LocalStore) -> None:
        super().__init__(path, "xb")
        self._store = store

    def write(self, data: Any, /) -> int:
        view = memoryview(data)
        with self._store._faults("write", str(self.name)):  # noqa: SLF001 - the same module
            done = 0
            while done < len(view):  # a raw file may take only a part
                done += super().write(view[done:])
        return done


def _link(hidden: Path, target: Path) -> bool:
    try:
        os.link(hidden, target)
    except FileExistsError:
        return False
    return True


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, durably: a file is no safer than the folders that lead to it."""
    try:
        folder.mkdir()
    except FileNotFoundError:
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
    except FileExistsError:
        return
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

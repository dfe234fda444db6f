"""A store in a local folder."""

import contextlib
import errno
import io
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from jobs.errors import StoreUnavailable
from jobs.store.store import CHUNK_BYTES, Store

_HIDDEN: Final = ".new-"
"""While a file is written, its name begins with this."""


CREATE_TRIES: Final = 5
"""`create` gives up after this many tries. A try fails if the name is taken, but its file is gone when `create` reads it."""


class LocalStore(Store):
    """A store in a folder of this machine.

    A file is written under a hidden name, made durable, and linked to its final name. A link never overwrites (rule 2 of
    jobs/PROTOCOL.md).
    """

    reads_at_once = 2

    def __init__(self, folder: str) -> None:
        self._root = Path(folder).expanduser().absolute()
        self.url = str(self._root)
        self._seen = self._root.is_dir()
        self.options = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return LocalStore, (self.url,)

    def create(self, path: str, data: bytes) -> bool:
        for _ in range(CREATE_TRIES):
            with self._new(path) as file:
                file.write(data)
            if file.linked:
                return True
            with suppress(KeyError):  # the other file of this name was deleted in between, so the name is free again
                return self.read(path) == data
        raise StoreUnavailable(f"storage: {self._root / path} comes and goes: another process creates and deletes it")

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
        """Open a file under a hidden name. If the block ends without an exception, the file is linked to its final name."""
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
            with contextlib.suppress(OSError):  # the error that matters has been raised; a hidden file harms nobody
                file.close()
                hidden.unlink(missing_ok=True)

    @contextmanager
    def _faults(self, verb: str, path: str) -> Iterator[None]:
        """Translate an OSError of the block: into KeyError if a file to read or delete is missing, else into StoreUnavailable."""
        try:
            yield
            self._seen = self._seen or self._root.is_dir()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            if self._seen and not self._root.is_dir():  # the folder was there before: someone moved or unmounted it
                raise StoreUnavailable(f"storage: the folder {self._root} is gone: put it back, or mount it") from error
            if verb == "write":
                raise self._fault(verb, path, error) from error
            raise KeyError(path) from None
        except OSError as error:
            raise self._fault(verb, path, error) from error

    def _fault(self, verb: str, path: str, error: OSError) -> StoreUnavailable:
        reason = (error.strerror or str(error)).splitlines()[0]
        if verb == "delete" and error.errno in (errno.EACCES, errno.EPERM):
            return self._delete_failed([path], reason, "Give this user the right to write in the folders of the store")
        return StoreUnavailable(
            f"storage: cannot {verb} {self._root / path}: {reason}. Check the space and the rights on this disk."
        )


class _NewFile(io.FileIO):
    """A file while it is written. `linked` becomes True if the file gets its final name; it stays False if the name is taken."""

    linked = False

    def __init__(self, path: Path, store: LocalStore) -> None:
        super().__init__(path, "xb")
        self._store = store

    def write(self, data: Any, /) -> int:
        view = memoryview(data)
        with self._store._faults("write", str(self.name)):  # noqa: SLF001 - the same module
            done = 0
            while done < len(view):  # a raw file may accept only a part
                done += super().write(view[done:])
        return done


def _link(hidden: Path, target: Path) -> bool:
    """Link a hidden file to its final name. Returns False if another file has that name."""
    try:
        os.link(hidden, target)
    except FileExistsError:
        return False
    return True


def _make_folder(folder: Path) -> None:
    """Make a folder and the missing folders above it durably, since a file is only as durable as the folders above it."""
    try:
        folder.mkdir()
    except FileNotFoundError:
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
    except FileExistsError:
        return
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

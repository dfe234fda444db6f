"""A store in a local folder."""

import contextlib
import errno
import io
import os
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

PRIVATE: Final = 0o600
"""The mode of files that only their owner may read. The owner may also enter the folders that are made for them."""

TRIES: Final = 64
"""A step is tried at most this many times. It is tried again if another process has deleted a folder or a file that it needs.
"""


class LocalStore(Store):
    """A store in a folder of this machine.

    A file is written under a hidden name, made durable, and linked to its final name. A link never overwrites (rule 2 of
    jobs/PROTOCOL.md). A folder is made with its first file and deleted with its last file, so a folder may appear and disappear
    at any moment.

    `file_mode` is the mode of new files; if it is None, the process's umask decides. New folders have the same mode, and
    everyone who may read a folder may also enter it.
    """

    reads_at_once = 2

    def __init__(self, folder: str, file_mode: int | None = PRIVATE) -> None:
        self._root = Path(folder).expanduser().absolute()
        self.url = str(self._root)
        self.file_mode = file_mode
        self._seen = self._root.is_dir()
        self.options = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return LocalStore, (self.url, self.file_mode)

    def create(self, path: str, data: bytes) -> bool:
        for _ in range(TRIES):
            try:
                with self._new(path) as file:
                    file.write(data)
            except _FolderGone:
                continue
            if file.linked:
                return True
            with suppress(KeyError):  # the other file of this name was deleted in between, so the name is free again
                return self.read(path) == data
        raise self._comes_and_goes(path)

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
                if target.is_dir() and not target.is_symlink():
                    _remove_folder(target)
                else:
                    target.unlink()
        except KeyError:
            pass
        for folder in target.parents:
            if folder == self._root or not _removed_if_empty(folder):
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
        file = self._opened(hidden, path)
        try:
            yield file
            with self._faults("write", path):
                os.fsync(file.fileno())
                try:
                    file.linked = _link(hidden, target)
                except FileNotFoundError:
                    if self._root.is_dir():
                        raise _FolderGone(f"storage: the folder of {target} was deleted while it was written") from None
                    raise
                with suppress(FileNotFoundError):  # the file was created, and is deleted again already
                    _sync_folder(target.parent)
        finally:
            with contextlib.suppress(OSError):  # the error that matters has been raised; a hidden file harms nobody
                file.close()
                hidden.unlink(missing_ok=True)

    def _opened(self, hidden: Path, path: str) -> "_NewFile":
        """Open a hidden file. Its folder is made if it is missing, unless the whole store is gone."""
        with self._faults("write", path):
            for _ in range(TRIES):
                try:
                    return _NewFile(hidden, self)
                except FileNotFoundError:
                    if self._seen and not self._root.is_dir():
                        raise
                with suppress(FileNotFoundError):  # another process deletes the empty folders above
                    _make_folder(hidden.parent, None if self.file_mode is None else folder_mode(self.file_mode))
        raise self._comes_and_goes(path)

    def _comes_and_goes(self, path: str) -> StoreUnavailable:
        target = self._root / path
        if not target.parent.is_dir():  # as under /proc, where the system makes all folders itself
            there = next(folder for folder in target.parents if folder.is_dir())
            return StoreUnavailable(
                f"storage: cannot write {target}: no folder can be made in {there}. Name another place."
            )
        return StoreUnavailable(f"storage: {target} comes and goes: another process creates and deletes it")

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


class _FolderGone(StoreUnavailable):
    """The folder of a file was deleted while the file was written."""


class _NewFile(io.FileIO):
    """A file while it is written. `linked` becomes True if the file gets its final name; it stays False if the name is taken."""

    linked = False

    def __init__(self, path: Path, store: LocalStore) -> None:
        super().__init__(path, "xb", opener=lambda name, flags: os.open(name, flags, store.file_mode or 0o666))
        if store.file_mode is not None:
            os.fchmod(self.fileno(), store.file_mode)  # the umask may have taken rights away
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


def folder_mode(file_mode: int) -> int:
    """Return the mode of folders for files of mode `file_mode`: everyone who may read the files may also enter the folders."""
    return file_mode | (file_mode & 0o444) >> 2


def _make_folder(folder: Path, mode: int | None) -> None:
    """Make a folder and the missing folders above it durably, since a file is only as durable as the folders above it."""
    try:
        folder.mkdir()
    except FileNotFoundError:
        _make_folder(folder.parent, mode)
        with suppress(FileExistsError):
            folder.mkdir()
    except FileExistsError:
        return
    if mode is not None:
        folder.chmod(mode)
    _sync_folder(folder.parent)


def _remove_folder(folder: Path) -> None:
    """Delete a folder with everything in it, even while other processes create or delete files in it."""
    for _ in range(TRIES):
        try:
            for entry in list(os.scandir(folder)):
                if entry.is_dir(follow_symlinks=False):
                    _remove_folder(Path(entry.path))
                else:
                    with suppress(FileNotFoundError):
                        os.unlink(entry.path)  # noqa: PTH108 - an entry has its path as text
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return
    raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))


def _removed_if_empty(folder: Path) -> bool:
    """Delete a folder if it is empty. Returns whether it is gone."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

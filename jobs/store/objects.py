"""A store on an fsspec file system: S3 and services that speak its language, Google Cloud Storage, Azure.

A file is created by one conditional request (`If-None-Match: *` on S3 and Azure, `ifGenerationMatch=0` on Google's), or by an
upload in parts that such a request completes.
The request may have had its effect although its reply was lost. After an error the file is therefore read back, and the same
bytes mean success (rule 2 of jobs/PROTOCOL.md). After a timeout nothing is read back, since the read could take as long again.
Streamed files are written to the local disk first, so that they appear as a whole or not at all. Nothing is cached.
"""

import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, Final, cast

from jobs.errors import StoreTimeout, StoreUnavailable
from jobs.store.fan_out import each
from jobs.store.file_systems import file_system, first_line
from jobs.store.local import LocalStore
from jobs.store.services import RIGHTS, errors, is_conflict, is_denied, is_timeout, send, send_file
from jobs.store.store import CHUNK_BYTES, Store
from jobs.urls import scheme

DELETED_AT_ONCE: Final = 1000
"""One request to S3 may delete at most this many names."""

CONFLICT_TRIES: Final = 5
"""A write is tried this many times if S3 answers 409, which means that another conditional write to the name is under way."""

DENIED: Final = "AccessDenied"
"""The code of S3 for a file that may not be deleted."""

GONE: Final = "NoSuchKey"
"""The code that some servers give for a file that was missing already."""


class ObjectStore(Store):
    """Objects under a URL such as `s3://bucket/prefix`.

    Making the object opens no connection. Raises StoreUnavailable for a URL that no installed file system serves.
    """

    reads_at_once = 16

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        self.url = url
        self.options = options
        self._scheme = scheme(url)
        self._fs, root = file_system(url, options, use_listings_cache=False)
        self._root = root.rstrip("/")
        # With more than one request at once, s3fs would first ask for the size of the file.
        self._read_options: dict[str, Any] = {"max_concurrency": 1} if self._scheme == "s3" else {}

    def __reduce__(self) -> tuple[Any, ...]:
        return ObjectStore, (self.url, dict(self.options))

    def create(self, path: str, data: bytes) -> bool:
        for _ in range(CONFLICT_TRIES):
            try:
                send(self._fs, self._scheme, self._at(path), data, mode="create")
            except errors() as error:
                if is_timeout(error):  # to read the file back would take as long again; the caller tries again
                    raise self._fault("write", path, error) from error
                try:
                    return self.read(path) == data
                except KeyError:  # nothing was written, or the file that had the name was deleted in between
                    if not is_conflict(error) and not isinstance(error, FileExistsError):
                        raise self._fault("write", path, error) from error
            else:
                return True
        raise self._contended(path)

    @contextmanager
    def writer(self, path: str) -> Iterator[BinaryIO]:
        with tempfile.TemporaryDirectory(prefix="nightpress-") as folder:
            with LocalStore(folder).writer("file") as file:
                yield file
            self._upload(f"{folder}/file", path)

    def _upload(self, scratch: str, path: str) -> None:
        for _ in range(CONFLICT_TRIES):
            try:
                send_file(self._fs, self._scheme, self._at(path), scratch, mode="create")
            except errors() as error:
                if not is_timeout(error) and self.exists(path):
                    return
                if not is_conflict(error):
                    raise self._fault("write", path, error) from error
            else:
                return
        raise self._contended(path)

    def read(self, path: str) -> bytes:
        with self._translated("read", path):
            return bytes(self._fs.cat_file(self._at(path), **self._read_options))

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        if length <= 0:
            return b""
        try:
            with self._translated("read", path):
                return bytes(self._fs.cat_file(self._at(path), start=offset, end=offset + length))
        except StoreUnavailable:
            if offset >= self.size(path):  # S3 refuses a range that begins after the end of the file
                return b""
            raise

    @contextmanager
    def reader(self, path: str) -> Iterator[BinaryIO]:
        with io.BufferedReader(_RangedFile(self, path, self.size(path)), CHUNK_BYTES) as file:
            yield cast("BinaryIO", file)

    def exists(self, path: str) -> bool:
        try:
            self._info(path)
        except KeyError:
            return False
        return True

    def list(self, folder: str) -> list[str]:
        self._fs.invalidate_cache()
        inside = f"{self._at(folder)}/"
        try:
            with self._translated("list", folder):
                found = [str(name).rstrip("/") for name in self._fs.ls(self._at(folder), detail=False)]
        except KeyError:
            return []
        names = (name.removeprefix(inside) for name in found if name.startswith(inside))
        return sorted(name for name in names if not name.startswith("."))

    def size(self, path: str) -> int:
        info = self._info(path)
        if info["type"] != "file":
            raise KeyError(path)
        return int(info["size"])

    def delete(self, path: str) -> None:
        at = self._at(path)
        with suppress(KeyError), self._translated("delete", path):
            # adlfs finds nothing at the name of a file when it could not ask whether it is one
            self._delete_all(self._fs.find(at) or ([at] if self._scheme == "az" else []))

    def delete_files(self, paths: Sequence[str]) -> None:
        if paths:
            with self._translated("delete", paths[0]):
                self._delete_all([self._at(path) for path in paths])

    def _delete_all(self, at: Sequence[str]) -> None:
        """Delete objects. Raises StoreDeleteFailed if the service refuses to delete some; the others are deleted all the same."""
        if self._scheme == "s3":
            self._delete_objects(at)
            return
        # fsspec's `rm` would read some names as patterns, and with Azure hide why a file stays
        refused = [one for one in zip(at, each(self._refusal, at, self.reads_at_once), strict=True) if one[1]]
        if refused:
            names = [name.removeprefix(self._root).lstrip("/") for name, _ in refused]
            raise self._delete_failed(names, refused[0][1], _remedy(self._scheme, denied=True))

    def _refusal(self, at: str) -> str:
        """Delete an object, unless it is missing. Returns why the service refuses to; nothing if it is deleted."""
        try:
            self._fs.rm_file(at)
        except FileNotFoundError:
            pass
        except errors() as error:
            if not is_denied(error):
                raise
            return first_line(error)
        return ""

    def _delete_objects(self, at: Sequence[str]) -> None:
        """Delete objects of S3, many with one request. Raises StoreDeleteFailed if the reply names objects that stay.

        s3fs would ignore such a reply.
        """
        kept: list[Mapping[str, str]] = []
        for start in range(0, len(at), DELETED_AT_ONCE):
            paths = [self._fs.split_path(name) for name in at[start : start + DELETED_AT_ONCE]]
            keys = {"Objects": [{"Key": key} for _, key, _ in paths], "Quiet": True}
            reply = self._fs.call_s3("delete_objects", Bucket=paths[0][0], Delete=keys)
            kept += [error for error in reply.get("Errors", ()) if error.get("Code") != GONE]
        if kept:
            codes = sorted({error.get("Code", "") for error in kept})
            inside = self._root.partition("/")[2]
            names = [error.get("Key", "").removeprefix(inside).lstrip("/") for error in kept]
            raise self._delete_failed(names, " ".join(codes), _remedy("s3", denied=DENIED in codes))

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}".rstrip("/")

    def _info(self, path: str) -> Mapping[str, Any]:
        self._fs.invalidate_cache()
        with self._translated("find", path):
            return cast("Mapping[str, Any]", self._fs.info(self._at(path)))

    @contextmanager
    def _translated(self, verb: str, path: str) -> Iterator[None]:
        """Translate an error of the block: into KeyError if the file is missing, else into StoreUnavailable."""
        try:
            yield
        except (FileNotFoundError, IsADirectoryError):
            raise KeyError(path) from None
        except errors() as error:
            raise self._fault(verb, path, error) from error

    def _fault(self, verb: str, path: str, error: BaseException) -> StoreUnavailable:
        if verb == "delete" and is_denied(error):
            return self._delete_failed([path], first_line(error), _remedy(self._scheme, denied=True))
        kind = StoreTimeout if is_timeout(error) else StoreUnavailable
        what = f"storage {self.redacted_url}: cannot {verb} {path}: {first_line(error)}"
        return kind(f"{what}. Check the service, the bucket and the credentials.")

    def _contended(self, path: str) -> StoreUnavailable:
        return StoreUnavailable(f"storage {self.redacted_url}: writes to {path} stay in conflict. Try again later.")


class _RangedFile(io.RawIOBase):
    """An object as a raw file. A buffer that reads from it makes one ranged request to fill itself."""

    def __init__(self, store: ObjectStore, path: str, size: int) -> None:
        super().__init__()
        self._store, self._path, self._size, self._offset = store, path, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._offset = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._offset, io.SEEK_END: self._size}[whence]
        return self._offset

    def readinto(self, buffer: Any, /) -> int:
        length = min(len(buffer), self._size - self._offset)
        data = self._store.read_range(self._path, self._offset, length)
        buffer[: len(data)] = data
        self._offset += len(data)
        return len(data)


def _remedy(scheme: str, *, denied: bool) -> str:
    if not denied:
        return "Check the service and the bucket"
    right = RIGHTS.get(scheme)
    return f"Give the credentials the right to delete{f' ({right})' if right else ''}"

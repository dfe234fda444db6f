"""A store on any fsspec file system: S3 and what speaks its language, Google Cloud Storage, Azure. The only user of fsspec.

A file is created by one conditional request (`If-None-Match: *` on S3, also where an upload in parts is completed). A reply
may be lost after the request took effect, so after every failure the file is read back: the same bytes mean success.
Streamed files are spooled on the local disk first, so that they appear whole or not at all. Nothing is cached.

A service that is away is noticed within seconds, or within s3fs' five tries of its time limit when it is silent: botocore's own
tries inside each of them would make minutes of it, and whoever calls waits and says so.
"""

import io
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, Final, cast

import fsspec

from jobs.errors import RequestError, StoreTimeout, StoreUnavailable
from jobs.store.local import LocalStore
from jobs.store.store import CHUNK_BYTES, Store
from jobs.urls import redacted, scheme

PART_BYTES: Final = 16 << 20
"""A larger file is uploaded in parts of this size."""
PARTS_AT_ONCE: Final = 2
"""Each is in memory as it is sent, and more than once."""
S3_CONNECTIONS: Final = 32
"""More than are asked at once: botocore has 10 else, and all others wait for them."""
DELETED_AT_ONCE: Final = 1000
"""The most names of one request to S3."""
CONFLICT_TRIES: Final = 5
"""S3 answers 409 while another conditional write to the same name is under way: then ask again."""
TRIES: Final = 3
"""Of each request to S3, each of which may take 15 s; what reads tries so often what has been tried so often."""
UNWRITABLE: Final = "nothing here writes to such URLs; s3://, gs:// and az:// are known"
"""What is said of a URL that no output can go to."""
_READ_ONLY: Final = frozenset(
    {"dask", "data", "dvc", "gist", "git", "github", "http", "https", "libarchive", "pyscript", "tar", "zip"}
)
_AROUND_ANOTHER: Final = frozenset({"blockcache", "cached", "dir", "filecache", "generic", "reference", "simplecache"})
"""File systems of fsspec that are none by themselves."""
_WILD: Final = frozenset("*?[")
"""A name that has one of these is a pattern to `rm` of fsspec, and would take others along."""
DENIED: Final = "AccessDenied"
"""What S3 says of a file for which a right is missing."""
GONE: Final = "NoSuchKey"
"""What some servers say of a file that was missing already."""
_FAULTS: Final = {
    "aiohttp": ("ClientError",),
    "azure.core.exceptions": ("AzureError",),
    "botocore.exceptions": ("BotoCoreError", "ClientError"),
    "gcsfs.retry": ("HttpError",),
    "google.auth.exceptions": ("GoogleAuthError",),
}
"""What the file systems raise beside OSError, by module. A module that is not loaded cannot have raised."""


class ObjectStore(Store):
    """Objects under a URL such as `s3://bucket/prefix`."""

    reads_at_once = 16

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        self.url = url
        self.options = options
        self._is_s3 = is_s3 = scheme(url) == "s3"
        self._fs, root = _file_system(url, options, use_listings_cache=False)
        self._root = root.rstrip("/")
        self._in_parts = _in_parts(url)
        self._at_once: dict[str, Any] = {"max_concurrency": 1} if is_s3 else {}  # spares s3fs a request for the size

    def __reduce__(self) -> tuple[Any, ...]:
        return ObjectStore, (self.url, dict(self.options))

    def create(self, path: str, data: bytes) -> bool:
        for _ in range(CONFLICT_TRIES):
            try:
                self._fs.pipe_file(self._at(path), data, mode="create", **self._in_parts)
            except _faults() as error:
                if _is_silence(error):  # to ask for the file would take as long, and whoever writes it anew asks too
                    raise self._fault("write", path, error) from error
                try:
                    return self.read(path) == data
                except KeyError:
                    if not _conflict(error):
                        raise self._fault("write", path, error) from error
            else:
                return True
        raise self._contended(path)

    @contextmanager
    def writer(self, path: str) -> Iterator[BinaryIO]:
        with tempfile.TemporaryDirectory(prefix="nightpress-") as scratch:
            with LocalStore(scratch).writer("spool") as file:
                yield file
            self._upload(f"{scratch}/spool", path)

    def _upload(self, spool: str, path: str) -> None:
        for _ in range(CONFLICT_TRIES):
            try:
                self._fs.put_file(spool, self._at(path), mode="create", **self._in_parts)
            except _faults() as error:
                if not _is_silence(error) and self.exists(path):
                    return
                if not _conflict(error):
                    raise self._fault("write", path, error) from error
            else:
                return
        raise self._contended(path)

    def read(self, path: str) -> bytes:
        with self._translated("read", path):
            return bytes(self._fs.cat_file(self._at(path), **self._at_once))

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        if length <= 0:
            return b""
        try:
            with self._translated("read", path):
                return bytes(self._fs.cat_file(self._at(path), start=offset, end=offset + length))
        except StoreUnavailable:
            if offset >= self.size(path):  # S3 refuses a range that lies behind the end
                return b""
            raise

    @contextmanager
    def reader(self, path: str) -> Iterator[BinaryIO]:
        with io.BufferedReader(_Ranges(self, path, self.size(path)), CHUNK_BYTES) as file:
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
            if self._is_s3:
                self._delete_objects(self._fs.find(at))
            elif _WILD.isdisjoint(at):
                self._fs.rm(at, recursive=True)
            else:
                for name in self._fs.find(at):
                    self._fs.rm_file(name)

    def delete_files(self, paths: Sequence[str]) -> None:
        at = [self._at(path) for path in paths]
        if not at:
            return
        try:
            with self._translated("delete", paths[0]):
                if self._is_s3:
                    self._delete_objects(at)
                    return
                if all(map(_WILD.isdisjoint, at)):
                    self._fs.rm(at)
                    return
        except KeyError:  # some file systems refuse all where one is missing
            pass
        super().delete_files(paths)

    def _delete_objects(self, at: Sequence[str]) -> None:
        """Delete objects of S3, many with one request, which is answered with what became of each: s3fs drops that."""
        kept: list[Mapping[str, str]] = []
        for start in range(0, len(at), DELETED_AT_ONCE):
            places = [self._fs.split_path(name) for name in at[start : start + DELETED_AT_ONCE]]
            keys = {"Objects": [{"Key": key} for _, key, _ in places], "Quiet": True}
            reply = self._fs.call_s3("delete_objects", Bucket=places[0][0], Delete=keys)
            kept += [error for error in reply.get("Errors", ()) if error.get("Code") != GONE]
        if kept:
            codes = sorted({error.get("Code", "") for error in kept})
            inside = self._root.partition("/")[2]
            names = [error.get("Key", "").removeprefix(inside).lstrip("/") for error in kept]
            raise self._kept(names, " ".join(codes), _remedy(DENIED in codes))

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}".rstrip("/")

    def _info(self, path: str) -> Mapping[str, Any]:
        self._fs.invalidate_cache()
        with self._translated("find", path):
            return cast("Mapping[str, Any]", self._fs.info(self._at(path)))

    @contextmanager
    def _translated(self, verb: str, path: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, IsADirectoryError):
            raise KeyError(path) from None
        except _faults() as error:
            raise self._fault(verb, path, error) from error

    def _fault(self, verb: str, path: str, error: BaseException) -> StoreUnavailable:
        if verb == "delete" and isinstance(error, PermissionError):
            return self._kept([path], _line(error), _remedy(True))
        kind = StoreTimeout if _is_silence(error) else StoreUnavailable
        what = f"storage {self.redacted_url}: cannot {verb} {path}: {_line(error)}"
        return kind(f"{what}. Check the service, the bucket and the credentials.")

    def _contended(self, path: str) -> StoreUnavailable:
        return StoreUnavailable(f"storage {self.redacted_url}: writes to {path} stay in conflict. Try again later.")


@contextmanager
def open_url(url: str, options: Mapping[str, str]) -> Iterator[BinaryIO]:
    """Read any URL that fsspec knows, from its beginning. Raises StoreUnavailable, also while it is read."""
    file_system, path = _file_system(url, options)
    try:
        file = file_system.open(path, "rb")
    except FileNotFoundError:
        raise StoreUnavailable(
            f"{redacted(url)} is not there, or may not be read: look at its name and the credentials"
        ) from None
    except Exception as error:  # file systems raise errors of no common class
        raise StoreUnavailable(f"cannot read {redacted(url)}: {_line(error)}") from error
    with file:
        yield cast("BinaryIO", _Remote(url, file))


def is_writable(url: str) -> bool:
    """Whether there is a file system for URLs like this one that can write, though its package may not be installed here."""
    return scheme(url) in {*fsspec.available_protocols()} - _READ_ONLY - _AROUND_ANOTHER


@contextmanager
def write_url(url: str, options: Mapping[str, str]) -> Iterator[BinaryIO]:
    """Write any URL that fsspec can write to, in place of what stands there; whole or not at all.

    It is spooled on the local disk first, so that nothing is sent when making it fails. Raises RequestError when no output can
    go there, StoreUnavailable when it does not.
    """
    if not is_writable(url):
        raise RequestError(f"cannot write {redacted(url)}: {UNWRITABLE}")
    with tempfile.NamedTemporaryFile(prefix="nightpress-") as spool:
        yield cast("BinaryIO", spool)
        spool.flush()
        file_system, path = _file_system(url, options)
        try:
            file_system.put_file(spool.name, path, **_in_parts(url))
        except Exception as error:  # as in `open_url`
            raise StoreUnavailable(f"cannot write {redacted(url)}: {_line(error)}") from error


class _Remote:
    """A file of fsspec that is read in pieces, whose faults are those of storage."""

    def __init__(self, url: str, file: BinaryIO) -> None:
        self._url, self._file = url, file

    def read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except Exception as error:  # as in `open_url`
            raise StoreUnavailable(f"cannot read {redacted(self._url)} to its end: {_line(error)}") from error


class _Ranges(io.RawIOBase):
    """An object as a raw file: each fill of the buffer over it is one ranged request."""

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


def _faults() -> tuple[type[BaseException], ...]:
    loaded = ((sys.modules.get(module), names) for module, names in _FAULTS.items())
    return (OSError, *(getattr(module, name) for module, names in loaded if module for name in names))


def _file_system(url: str, options: Mapping[str, str], **more: Any) -> tuple[Any, str]:
    """The file system of a URL, and the path in it. Raises StoreUnavailable.

    One of S3 has limits of our own, so that nobody waits without end.
    """
    typed: dict[str, Any] = {n: {"true": True, "false": False}.get(v.lower(), v) for n, v in options.items()}
    is_s3 = scheme(url) == "s3"
    try:
        if is_s3:
            retries = {"total_max_attempts": 1}
            typed["config_kwargs"] = {"retries": retries, "max_pool_connections": S3_CONNECTIONS}
            typed["session"] = _session_of_s3(typed.pop("profile", None))
        file_system, path = fsspec.url_to_fs(url, **typed, **more, skip_instance_cache=True)
    except Exception as error:  # as in `open_url`
        extra = " Install it with: pip install 'nightpress[s3]'." if is_s3 and isinstance(error, ImportError) else ""
        raise StoreUnavailable(f"cannot use {redacted(url)}: {_line(error)}.{extra}") from error
    if is_s3:
        file_system.retries = TRIES
    if (loop := getattr(file_system, "loop", None)) is not None:
        loop.set_exception_handler(lambda *_: None)  # of a broken connection: it was raised where it was asked for
    return file_system, path


def _in_parts(url: str) -> dict[str, Any]:
    """How a file is uploaded to a URL."""
    return {"chunksize": PART_BYTES, "max_concurrency": PARTS_AT_ONCE} if scheme(url) == "s3" else {}


def _session_of_s3(profile: str | None) -> Any:
    """A session whose writes do not wait to be told to go on before they send anything: aiohttp does so without a limit."""
    from aiobotocore.session import AioSession
    from botocore.handlers import add_expect_header

    session = AioSession(profile=profile)
    session.unregister("before-call.s3", add_expect_header)
    return session


def _is_silence(error: BaseException) -> bool:
    """Whether S3 said nothing in time, as told apart from an answer, or from a connection that ended."""
    return isinstance(error, getattr(sys.modules.get("botocore.exceptions"), "ReadTimeoutError", ()))


def _conflict(error: BaseException) -> bool:
    return "ConditionalRequestConflict" in f"{error} {error.__cause__}"


def _remedy(denied: bool) -> str:
    return (
        "Give the credentials the right to delete (s3:DeleteObject)" if denied else "Look at the service and the bucket"
    )


def _line(error: BaseException) -> str:
    said = str(error).strip() or type(error).__name__
    return said.splitlines()[0].rstrip(".")

"""Remote files: reads inputs from any fsspec URL, and writes outputs to one."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO, cast

from jobs.errors import RequestError, StoreUnavailable
from jobs.store.file_systems import UNWRITABLE, file_system, first_line, is_writable
from jobs.store.services import send_file
from jobs.urls import redacted, scheme


@contextmanager
def open_url(url: str, options: Mapping[str, str]) -> Iterator[BinaryIO]:
    """Open a file at a URL for reading from its beginning. Opening and reading raise StoreUnavailable."""
    opened, path = file_system(url, options)
    try:
        file = opened.open(path, "rb")
    except FileNotFoundError:
        raise StoreUnavailable(
            f"{redacted(url)} is missing, or may not be read: check its name and the credentials"
        ) from None
    except Exception as error:  # file systems raise errors of no common class
        raise StoreUnavailable(f"cannot read {redacted(url)}: {first_line(error)}") from error
    with file:
        yield cast("BinaryIO", _RemoteFile(url, file))


@contextmanager
def write_url(url: str, options: Mapping[str, str]) -> Iterator[BinaryIO]:
    """Write a file at a URL, in place of an existing file.

    The file is written to the local disk first, and sent only if the block ends without an exception.

    Raises:
        RequestError: No output can be written to such a URL.
        StoreUnavailable: The file could not be sent.
    """
    if not is_writable(url):
        raise RequestError(f"cannot write {redacted(url)}: {UNWRITABLE}")
    with tempfile.NamedTemporaryFile(prefix="nightpress-") as scratch:
        yield cast("BinaryIO", scratch)
        scratch.flush()
        target, path = file_system(url, options)
        try:
            send_file(target, scheme(url), path, scratch.name)
        except Exception as error:  # as in `open_url`
            raise StoreUnavailable(f"cannot write {redacted(url)}: {first_line(error)}") from error


class _RemoteFile:
    """A file of fsspec. Any error while the file is read becomes StoreUnavailable."""

    def __init__(self, url: str, file: BinaryIO) -> None:
        self._url, self._file = url, file

    def read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except Exception as error:  # as in `open_url`
            raise StoreUnavailable(f"cannot read {redacted(self._url)} to its end: {first_line(error)}") from error

"""Writes outputs to the destination that a user named: a file or folder of this machine, or an fsspec URL.

A file appears there as a whole or not at all, and replaces an existing file. `file://` is the disk of this machine.
"""

import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from jobs.urls import local_path


def is_folder(url: str) -> bool:
    """Whether a path or URL means a folder: it ends with a slash, or is a folder of this machine."""
    path = local_path(url)
    return url.endswith("/") or (path is not None and path.is_dir())


def file_in(folder: str, name: str) -> str:
    """Return the path or URL of a file in a folder."""
    return f"{folder.rstrip('/') if folder.strip('/') else ''}/{name}"


@contextmanager
def write_destination(url: str, options: Mapping[str, str], *, with_folders: bool = False) -> Iterator[BinaryIO]:
    """Write a file at a path or URL, in place of an existing file.

    Args:
        url: A path of this machine, or a URL.
        options: The options of the URL's fsspec file system.
        with_folders: Whether to make missing folders above a file on this machine. A URL needs no folders.

    Raises:
        OSError: The file cannot be written on this machine.
        RequestError: No output can be written to such a URL.
        StoreUnavailable: The file cannot be written to the URL.
    """
    path = local_path(url)
    if path is None:
        from jobs.store.remote_files import write_url  # fsspec takes long to import, and most outputs stay here

        with write_url(url, options) as target:
            yield target
        return
    if with_folders and not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path) as target:
        yield target


class FolderDestination:
    """A folder in which many small files are written, each as a whole and in place of an existing file of its name.

    Args:
        url: The folder: a path of this machine, which is made when the first file is written, or a URL.
        options: The options of the URL's fsspec file system.
    """

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        self._url = url
        self._options = options
        self._path = local_path(url)
        self._partial = "" if self._path is None else str(self._path / f".nightpress-{secrets.token_hex(8)}.partial")
        self._is_there = False

    def write(self, name: str, data: bytes) -> None:
        """Write a file. Raises OSError, or StoreUnavailable for a URL."""
        if self._path is None:
            with write_destination(file_in(self._url, name), self._options) as target:
                target.write(data)
            return
        if not self._is_there:
            self._path.mkdir(parents=True, exist_ok=True)
            self._is_there = True
        try:
            _create(self._partial, data)
            os.replace(self._partial, os.path.join(self._path, name))  # noqa: PTH105, PTH118 - in half the time of a Path
        except BaseException:
            with suppress(OSError):
                os.unlink(self._partial)  # noqa: PTH108
            raise


def _create(path: str, data: bytes) -> None:
    file, rest = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), memoryview(data)
    try:
        while rest:
            rest = rest[os.write(file, rest) :]
    finally:
        os.close(file)


@contextmanager
def replace_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file of this machine in place of an existing file. Raises OSError, which names the file.

    Several writers may write the same file at once; the file of the writer that ends last stays. A device or a named pipe, such
    as /dev/stdout, is written to and not replaced.
    """
    if _is_device(path):
        with _named(path), path.open("wb") as file:
            yield file
        return
    partial = path.with_name(f".nightpress-{secrets.token_hex(8)}.partial")
    is_whole = False
    try:
        with _named(path, partial):
            with partial.open("xb") as file:
                yield file
            partial.replace(path)
        is_whole = True
    finally:
        if not is_whole:
            with suppress(OSError):
                partial.unlink()


def _is_device(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextmanager
def _named(path: Path, partial: Path | None = None) -> Iterator[None]:
    """Give the path to an OSError that names no file, such as that of a failed write, or that names the partial file."""
    try:
        yield
    except OSError as error:
        if not error.filename or str(error.filename) == str(partial):
            error.filename = str(path)
        raise

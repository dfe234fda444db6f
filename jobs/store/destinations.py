"""Destinations: where outputs go that people ask for, a file or folder of this machine or any URL that fsspec knows.

A file appears there whole or not at all, in place of what stood there. `file://` is this machine's own disk.
"""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from jobs.urls import local_path


def is_folder(place: str) -> bool:
    """Whether files go into the place: it ends with a slash, or is a folder of this machine."""
    path = local_path(place)
    return place.endswith("/") or (path is not None and path.is_dir())


def file_in(place: str, name: str) -> str:
    """The place of a file in a folder."""
    return f"{place.rstrip('/') if place.strip('/') else ''}/{name}"


@contextmanager
def write_destination(place: str, options: Mapping[str, str], *, with_folders: bool = False) -> Iterator[BinaryIO]:
    """Write a file anew. Raises OSError on this machine; elsewhere StoreUnavailable, or RequestError when no output can go there.

    Args:
        place: A path or URL.
        options: Those of the fsspec file system.
        with_folders: On this machine, make the folders above it. (Elsewhere there are none.)
    """
    path = local_path(place)
    if path is None:
        from jobs.store.objects import write_url

        with write_url(place, options) as target:
            yield target
        return
    if with_folders:
        path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path) as target:
        yield target


@contextmanager
def replace_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file anew. Raises OSError. Any number may do so at once: the last to end decides."""
    partial = path.with_name(f".nightpress-{secrets.token_hex(8)}.partial")
    try:
        with partial.open("xb") as file:
            yield file
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink()

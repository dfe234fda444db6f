"""Makes the fsspec file system of a URL, with the limits of jobs/store/services.py. No other module imports fsspec."""

from collections.abc import Mapping
from typing import Any, Final

import fsspec

from jobs.errors import StoreUnavailable
from jobs.store.services import EXTRAS, limit, prepare
from jobs.urls import redacted, scheme

UNWRITABLE: Final = "such URLs are read-only or unknown here; use s3://, gs:// or az://"
"""The reason that messages give for a URL for which `is_writable` is False."""

_READ_ONLY: Final = frozenset(
    {"dask", "data", "dvc", "gist", "git", "github", "http", "https", "libarchive", "pyscript", "tar", "zip"}
)
"""Schemes of fsspec for file systems that cannot write."""

_AROUND_ANOTHER: Final = frozenset({"blockcache", "cached", "dir", "filecache", "generic", "reference", "simplecache"})
"""Schemes of fsspec for file systems that wrap another one."""


def file_system(url: str, options: Mapping[str, str], **more: Any) -> tuple[Any, str]:
    """Make the fsspec file system of a URL. Returns two values: the file system, and the URL's path in it.

    Raises StoreUnavailable if the file system cannot be made.
    """
    typed: dict[str, Any] = {n: {"true": True, "false": False}.get(v.lower(), v) for n, v in options.items()}
    kind = scheme(url)
    try:
        prepare(kind, typed)
        made, path = fsspec.url_to_fs(url, **typed, **more, skip_instance_cache=True)
        limit(kind, made)
    except Exception as error:  # file systems raise errors of no common class
        extra = EXTRAS.get(kind) if isinstance(error, ImportError) else None
        remedy = f" Install it with: pip install 'nightpress[{extra}]'." if extra else ""
        raise StoreUnavailable(f"cannot use {redacted(url)}: {first_line(error)}.{remedy}") from error
    if (loop := getattr(made, "loop", None)) is not None:
        loop.set_exception_handler(lambda *_: None)  # errors of broken connections were raised to their callers already
    return made, path


def is_writable(url: str) -> bool:
    """Whether fsspec has a file system for such URLs that can write. The file system's package need not be installed here."""
    return scheme(url) in {*fsspec.available_protocols()} - _READ_ONLY - _AROUND_ANOTHER


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, without a full stop; without one, that of its cause, or its class."""
    message = str(error).strip() or str(error.__cause__ or "").strip() or type(error).__name__
    return message.splitlines()[0].rstrip(".")

"""Makes the fsspec file system of a URL, limits requests to S3, and knows file systems' errors. No other module imports fsspec.

Nobody should wait long for a service that is away. botocore's own retries are therefore switched off. s3fs tries each request
`TRIES` times, and waits up to 15 s for each answer.
"""

import sys
from collections.abc import Mapping
from typing import Any, Final

import fsspec

from jobs.errors import StoreUnavailable
from jobs.urls import redacted, scheme

TRIES: Final = 3
"""A request to S3 is tried this many times, for up to 15 s each. The read of a whole file may make TRIES x TRIES requests."""

PART_BYTES: Final = 16 << 20
"""A file of more bytes than this is uploaded to S3 in parts of this many bytes."""

PARTS_AT_ONCE: Final = 2
"""This many parts are uploaded at once. While a part is uploaded, memory holds several copies of it."""

CONNECTIONS: Final = 32
"""At most this many connections to S3 are open: more than any store needs at once. botocore's default of 10 would be too few."""

UNWRITABLE: Final = "such URLs are read-only or unknown here; use s3://, gs:// or az://"
"""The reason that messages give for a URL for which `is_writable` is False."""

_READ_ONLY: Final = frozenset(
    {"dask", "data", "dvc", "gist", "git", "github", "http", "https", "libarchive", "pyscript", "tar", "zip"}
)
"""Schemes of fsspec for file systems that cannot write."""

_AROUND_ANOTHER: Final = frozenset({"blockcache", "cached", "dir", "filecache", "generic", "reference", "simplecache"})
"""Schemes of fsspec for file systems that wrap another one."""

_ERRORS: Final = {
    "aiohttp": ("ClientError",),
    "azure.core.exceptions": ("AzureError",),
    "botocore.exceptions": ("BotoCoreError", "ClientError"),
    "gcsfs.retry": ("HttpError",),
    "google.auth.exceptions": ("GoogleAuthError",),
}
"""Module -> the classes of errors, besides OSError, that its file systems raise."""


def file_system(url: str, options: Mapping[str, str], **more: Any) -> tuple[Any, str]:
    """Make the fsspec file system of a URL. Returns two values: the file system, and the URL's path in it.

    Raises StoreUnavailable if the file system cannot be made.
    """
    typed: dict[str, Any] = {n: {"true": True, "false": False}.get(v.lower(), v) for n, v in options.items()}
    is_s3 = scheme(url) == "s3"
    try:
        if is_s3:
            retries = {"total_max_attempts": 1}
            typed["config_kwargs"] = {"retries": retries, "max_pool_connections": CONNECTIONS}
            typed["session"] = _s3_session(typed.pop("profile", None))
        made, path = fsspec.url_to_fs(url, **typed, **more, skip_instance_cache=True)
    except Exception as error:  # file systems raise errors of no common class
        extra = " Install it with: pip install 'nightpress[s3]'." if is_s3 and isinstance(error, ImportError) else ""
        raise StoreUnavailable(f"cannot use {redacted(url)}: {first_line(error)}.{extra}") from error
    if is_s3:
        made.retries = TRIES
    if (loop := getattr(made, "loop", None)) is not None:
        loop.set_exception_handler(lambda *_: None)  # errors of broken connections were raised to their callers already
    return made, path


def _s3_session(profile: str | None) -> Any:
    """Make a session that writes without `Expect: 100-continue`, whose answer aiohttp would await without a time limit."""
    from aiobotocore.session import AioSession
    from botocore.handlers import add_expect_header

    session = AioSession(profile=profile)
    session.unregister("before-call.s3", add_expect_header)
    return session


def is_writable(url: str) -> bool:
    """Whether fsspec has a file system for such URLs that can write. The file system's package need not be installed here."""
    return scheme(url) in {*fsspec.available_protocols()} - _READ_ONLY - _AROUND_ANOTHER


def upload_options(url: str) -> dict[str, Any]:
    """Return the options of fsspec for an upload to this URL."""
    return {"chunksize": PART_BYTES, "max_concurrency": PARTS_AT_ONCE} if scheme(url) == "s3" else {}


def errors() -> tuple[type[BaseException], ...]:
    """Return the classes of errors that file systems raise. A module that is not loaded cannot have raised any."""
    loaded = ((sys.modules.get(module), names) for module, names in _ERRORS.items())
    return (OSError, *(getattr(module, name) for module, names in loaded if module for name in names))


def is_timeout(error: BaseException) -> bool:
    """Whether S3 did not answer in time; False for an answer that is an error and for a connection that broke."""
    return isinstance(error, getattr(sys.modules.get("botocore.exceptions"), "ReadTimeoutError", ()))


def is_conflict(error: BaseException) -> bool:
    """Whether S3 answered 409: another conditional write to this name is under way."""
    return "ConditionalRequestConflict" in f"{error} {error.__cause__}"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, without a full stop; the name of its class if there is no message."""
    message = str(error).strip() or type(error).__name__
    return message.splitlines()[0].rstrip(".")

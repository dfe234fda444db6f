"""URLs: finds the file system that a path or URL belongs to, and hides passwords in messages.

Each `url` here may also be a path of this machine.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

HIDDEN: Final = "***"
"""Messages show this in place of text that may be a password."""

_SYNONYMS: Final[Mapping[str, str]] = {"s3a": "s3", "gcs": "gs", "abfs": "az"}
"""Another scheme of a file system -> the scheme that we use for it."""

_LOCAL: Final = ("file://", "local://")


def scheme(url: str) -> str:
    """Return the scheme of a URL, which names its file system: `s3` also for its synonym `s3a`. A path has an empty scheme."""
    name, separator, _ = url.partition("://")
    return _SYNONYMS.get(name, name) if separator else ""


def redacted(url: str) -> str:
    """Return a URL without its password and query: `sftp://user:***@host/a?***`. A path is returned unchanged."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    rest, query, _ = rest.partition("?")
    host, slash, path = rest.partition("/")
    user, at, host = host.rpartition("@")
    name, colon, _ = user.partition(":")
    credentials = f"{name}:{HIDDEN}@" if colon else f"{HIDDEN}@" if at else ""
    return f"{scheme}://{credentials}{host}{slash}{path}{f'?{HIDDEN}' if query else ''}"


def local_path(url: str) -> Path | None:
    """Return the path of a file or folder on this machine; None for a URL of another file system."""
    for scheme in _LOCAL:
        if url.startswith(scheme):
            return Path(url.removeprefix(scheme))
    return None if "://" in url else Path(url)

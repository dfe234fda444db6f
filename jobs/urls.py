"""URLs: finds the file system that a path or URL belongs to, and hides passwords in messages.

Each `url` here may also be a path of this machine.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote

HIDDEN: Final = "***"
"""Messages show this in place of text that may be a password."""

_SYNONYMS: Final[Mapping[str, str]] = {"s3a": "s3", "gcs": "gs", "abfs": "az"}
"""Another scheme of a file system -> the scheme that we use for it."""

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/{1,}")

_LOCAL: Final = ("file://", "local://")


def scheme(url: str) -> str:
    """Return the scheme of a URL, which names its file system: `s3` also for its synonym `s3a`. A path has an empty scheme."""
    name, separator, _ = url.partition("://")
    return _SYNONYMS.get(name, name) if separator else ""


def absolute(path: Path) -> Path:
    """Return a path of this machine as an absolute one, with the home folder of a user in place of `~`.

    Raises ValueError if the home folder is not known: there is no such user, or the system does not know the present one.
    """
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"the home folder in {str(path)!r} is not known: write the whole path") from None


def redacted(url: str) -> str:
    """Return a URL without its password and query: `sftp://user:***@host/a?***`. A path is returned unchanged."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    rest, query, _ = rest.partition("?")
    host, slash, path = rest.partition("/")
    if (
        "@" in path and ":" in host and "@" not in host and not host.rpartition(":")[2].isdigit()
    ):  # the password holds a slash
        user, _, path = rest.rpartition("@")
        host, slash, path = f"{user.replace('/', '')}@{path.partition('/')[0]}", *path.partition("/")[1:]
    user, at, host = host.rpartition("@")
    name, colon, _ = user.partition(":")
    credentials = f"{name}:{HIDDEN}@" if colon else f"{HIDDEN}@" if at else ""
    return f"{scheme}://{credentials}{host}{slash}{path}{f'?{HIDDEN}' if query else ''}"


def holds_secret(url: str) -> bool:
    """Whether a URL seems to hold a password or a key: `user:password@`, or a query or fragment that gives a name a value.

    A chained URL (`a::b`) is looked at part by part. A path of this machine holds no secret, unless it is a URL in which a
    slash is missing.
    """
    return any(map(_part_holds_secret, url.split("::")))


def _part_holds_secret(url: str) -> bool:
    match = _URL.match(url)
    if match is None:
        return False
    rest = url[match.end() :]
    place, mark, values = rest.partition("?") if "?" in rest else rest.partition("#")
    user, at, _ = place.rpartition("@")
    return (bool(at) and ":" in unquote(user)) or (bool(mark) and "=" in unquote(values))


def local_path(url: str) -> Path | None:
    """Return the path of a file or folder on this machine; None for a URL of another file system."""
    for scheme in _LOCAL:
        if url.startswith(scheme):
            return Path(url.removeprefix(scheme))
    return None if "://" in url else Path(url)

"""Places: which file system a path or a URL is of, and how it may be shown, without what may be a password."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

HIDDEN: Final = "***"
_SAME: Final[Mapping[str, str]] = {"s3a": "s3", "gcs": "gs", "abfs": "az"}
"""Schemes of one file system."""


def scheme(place: str) -> str:
    """Which file system a URL is of: its scheme, under one name where there are several; empty for a path."""
    name, separator, _ = place.partition("://")
    return _SAME.get(name, name) if separator else ""


def shown(place: str) -> str:
    """`sftp://user:secret@host/a?token=x` as `sftp://user:***@host/a?***`; a path as it is."""
    scheme, separator, rest = place.partition("://")
    if not separator:
        return place
    rest, query, _ = rest.partition("?")
    host, slash, path = rest.partition("/")
    user, at, host = host.rpartition("@")
    name, colon, _ = user.partition(":")
    who = f"{name}:{HIDDEN}@" if colon else f"{HIDDEN}@" if at else ""
    return f"{scheme}://{who}{host}{slash}{path}{f'?{HIDDEN}' if query else ''}"


_LOCAL: Final = ("file://", "local://")


def local_path(place: str) -> Path | None:
    """The path of a place on this machine; None for a URL of another."""
    for scheme in _LOCAL:
        if place.startswith(scheme):
            return Path(place.removeprefix(scheme))
    return None if "://" in place else Path(place)

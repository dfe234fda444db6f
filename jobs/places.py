"""Places as they may be shown: a path or a URL without what may be a password, for messages, logs and `settings`."""

from typing import Final

HIDDEN: Final = "***"


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

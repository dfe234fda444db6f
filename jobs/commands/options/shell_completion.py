"""Completes names in a shell: batches, lanes, models and kinds. If an error occurs, such as a wrong setting, no names are
offered.
"""

from collections.abc import Callable, Iterable

from jobs.commands.session import Session
from jobs.errors import NightpressError

MOST = 200
"""At most this many names are offered."""


def batches(incomplete: str) -> list[str]:
    """Return the ids of the store's batches that begin with `incomplete`."""

    def found(session: Session) -> Iterable[str]:
        from jobs.batches.rounds import list_batches

        return list_batches(session.store)

    return _known(found, incomplete)


def lanes(incomplete: str) -> list[str]:
    """Return the lanes of the catalog that begin with `incomplete`."""
    return _known(lambda session: {session.settings.lane_of(alias) for alias in session.settings.catalog}, incomplete)


def lanes_and_batches(incomplete: str) -> list[str]:
    """Return the names that `resume` takes and that begin with `incomplete`."""
    return [*lanes(incomplete), *batches(incomplete)]


def models(incomplete: str) -> list[str]:
    """Return the models of the catalog that begin with `incomplete`."""
    return _known(lambda session: session.settings.catalog, incomplete)


def kinds(incomplete: str) -> list[str]:
    """Return the kinds that begin with `incomplete`."""

    def found(session: Session) -> Iterable[str]:
        return session.client.kinds

    return _known(found, incomplete)


def input_formats(incomplete: str) -> list[str]:
    """Return the formats of input files that begin with `incomplete`."""
    from jobs.documents.registry import FORMATS
    from jobs.formats.input_format import InputFormat

    return [name for name in [*InputFormat, *sorted(FORMATS)] if name.startswith(incomplete)]


def _known(found: Callable[[Session], Iterable[str]], incomplete: str) -> list[str]:
    try:
        return sorted(name for name in found(Session()) if name.startswith(incomplete))[:MOST]
    except NightpressError:
        return []

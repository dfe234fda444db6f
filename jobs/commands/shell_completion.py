"""Completions for a shell beyond commands and options: batches, lanes, models and kinds; none where a setting is wrong."""

from collections.abc import Callable, Iterable

from jobs.commands.session import Session
from jobs.errors import NightpressError

MOST = 200
"""The most names that are offered."""


def batches(incomplete: str) -> list[str]:
    """The batches of the store."""

    def found(session: Session) -> Iterable[str]:
        from jobs.batches.rounds import list_batches

        return list_batches(session.store)

    return _known(found, incomplete)


def lanes(incomplete: str) -> list[str]:
    """The lanes of the catalog."""
    return _known(lambda session: {session.settings.lane_of(alias) for alias in session.settings.catalog}, incomplete)


def lanes_and_batches(incomplete: str) -> list[str]:
    """The names that `resume` takes."""
    return [*lanes(incomplete), *batches(incomplete)]


def models(incomplete: str) -> list[str]:
    """The models of the catalog."""
    return _known(lambda session: session.settings.catalog, incomplete)


def kinds(incomplete: str) -> list[str]:
    """The kinds that rows may name."""

    def found(session: Session) -> Iterable[str]:
        return session.client.kinds

    return _known(found, incomplete)


def _known(found: Callable[[Session], Iterable[str]], incomplete: str) -> list[str]:
    try:
        return sorted(name for name in found(Session()) if name.startswith(incomplete))[:MOST]
    except NightpressError:
        return []

"""What a shell may complete beyond names of commands and options: batches, lanes and models. Says nothing when it cannot know."""

from collections.abc import Callable, Iterable

from jobs.commands.session import Session
from jobs.errors import NightpressError

MOST = 200
"""So many batches are offered at most."""


def batches(incomplete: str) -> list[str]:
    """Batches of the store."""

    def found(session: Session) -> Iterable[str]:
        from jobs.batches.rounds import list_batches

        return list_batches(session.store)

    return _known(found, incomplete)


def lanes(incomplete: str) -> list[str]:
    """Lanes of the catalog."""
    return _known(lambda session: {session.settings.lane_of(alias) for alias in session.settings.catalog}, incomplete)


def lanes_and_batches(incomplete: str) -> list[str]:
    """What may be resumed."""
    return [*lanes(incomplete), *batches(incomplete)]


def models(incomplete: str) -> list[str]:
    """Aliases of the catalog."""
    return _known(lambda session: session.settings.catalog, incomplete)


def kinds(incomplete: str) -> list[str]:
    """Kinds that rows may name."""

    def found(session: Session) -> Iterable[str]:
        from jobs.kinds.registry import load_kinds

        return load_kinds(session.settings.templates_dir)

    return _known(found, incomplete)


def _known(found: Callable[[Session], Iterable[str]], incomplete: str) -> list[str]:
    try:
        return sorted(name for name in found(Session()) if name.startswith(incomplete))[:MOST]
    except NightpressError:
        return []

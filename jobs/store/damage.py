"""Damage: files that are missing, damaged or of a newer release, and how often their batches are looked at again (rule 37 of
jobs/PROTOCOL.md).

A process that looks at all batches again and again would also read a damaged one each time, for as long as its files wait to
be restored. Instead each further look comes after twice the time, up to `MAX_S`; until then the last error is raised again. A
command that a person gives keeps no memory, so it looks at once.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, NamedTuple

from jobs.errors import StoreDamaged, StoreTooNew
from jobs.store.store import Store

FIRST_S: Final = 1.0
"""Seconds from the first look that found damage to the next look."""

MAX_S: Final = 300.0
"""The most seconds between two looks at a damaged batch."""


def damaged_file(store: Store, path: str) -> StoreDamaged:
    """Make the error for a file that is not what was written."""
    return StoreDamaged(f"storage {store.redacted_url}: {path} is damaged. Restore it from a backup.")


def missing_file(store: Store, path: str) -> StoreDamaged:
    """Make the error for a file that must be there and is not."""
    return StoreDamaged(f"storage {store.redacted_url}: {path} is missing. Restore it from a backup.")


def check_format(values: object, known: int, place: str) -> None:
    """Check the version of a stored form, its member `format`, before anything else of it is read.

    Raises StoreTooNew if it is higher than `known`, and ValueError if there is none. `place` begins the message of StoreTooNew.
    """
    found = values.get("format") if isinstance(values, dict) else None
    if type(found) is not int or found < 1:
        raise ValueError("it names no format")
    if found > known:
        raise StoreTooNew(
            f"{place} was written by a newer release, in format {found}; this release reads up to format {known}."
            " Update Nightpress."
        )


class _Found(NamedTuple):
    message: str
    wait_s: float
    again_at: float


class Damage:
    """The damage that one sweeper, feeder or other reader found, by the batch. One thread at a time may look at a batch."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._found: dict[str, _Found] = {}

    @contextmanager
    def look(self, name: str) -> Iterator[None]:
        """Wrap one look at a batch. Until the next look is due, the block is not run: the last StoreDamaged is raised again."""
        found = self._found.get(name)
        if found is not None and self._monotonic() < found.again_at:
            raise StoreDamaged(found.message)
        try:
            yield
        except StoreDamaged as error:
            wait_s = FIRST_S if found is None else min(2 * found.wait_s, MAX_S)
            self._found[name] = _Found(str(error), wait_s, self._monotonic() + wait_s)
            raise
        self._found.pop(name, None)


class collect_damage:  # noqa: N801 - in lower case like contextlib.suppress
    """Adds a StoreDamaged that the block raises to the list `found`, and ends the block. If `found` is None, it is raised.

    A loop over many batches uses it, so that one damaged batch does not end the loop.
    """

    def __init__(self, found: list[StoreDamaged] | None) -> None:
        self._found = found

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        if self._found is None or not isinstance(error, StoreDamaged):
            return False
        self._found.append(error)
        return True

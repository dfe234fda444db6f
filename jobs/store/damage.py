"""Damage means files that are missing, damaged or of a newer release. This module limits how often a damaged batch is read (rule
37 of jobs/PROTOCOL.md).

A process that looks at all batches again and again would otherwise read a damaged batch each time, until its files are restored.
Instead the wait before each further look doubles, up to `MAX_S`. During the wait the last error is raised again. A command that a
person gives remembers no damage, so it looks at once.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, NamedTuple

from jobs.errors import StoreDamaged, StoreTooNew
from jobs.store.store import Store

FIRST_S: Final = 1.0
"""Seconds from the first look that found a batch damaged to the next look at the batch."""

MAX_S: Final = 300.0
"""The longest wait between two looks at a damaged batch, in seconds."""


def damaged_file(store: Store, path: str, fault: str = "") -> StoreDamaged:
    """Make the error for a file whose content is not what was written. `fault` names the field that shows the damage, if a
    field does.
    """
    reason = f" ({' '.join(fault.split())})" if fault else ""
    return StoreDamaged(f"storage {store.redacted_url}: {path} is damaged{reason}. Restore it from a backup.")


def missing_file(store: Store, path: str) -> StoreDamaged:
    """Make the error for a file that must be there and is not."""
    return StoreDamaged(f"storage {store.redacted_url}: {path} is missing. Restore it from a backup.")


def check_format(values: object, known: int, place: str) -> None:
    """Check the member `format` of a stored object, which is the version of its form, before any other member is read.

    Raises StoreTooNew if the version is higher than `known`, and ValueError if there is no version. The message of StoreTooNew
    begins with `place`.
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
    """The damage that one sweeper, feeder or other reader found, by batch. One thread at a time may look at a batch."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._found: dict[str, _Found] = {}

    @contextmanager
    def look(self, name: str) -> Iterator[None]:
        """Run the block as one look at a batch. If that look is not due yet, raise the last StoreDamaged again instead."""
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

    def holds(self, name: str) -> bool:
        """Whether the last look at a batch found it damaged."""
        return name in self._found


class collect_damage:  # noqa: N801 - in lower case like contextlib.suppress
    """Adds a StoreDamaged that the block raises to the list `found`, and ends the block. If `found` is None, the error is raised.

    With it, a loop over many batches does not end at a damaged batch.
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

"""Damage: what of many things was found damaged, and when each is worth another look.

Whoever looks at all batches again and again would read a damaged one again and again too, for as long as it waits for its
backup. So each further look comes after twice the time, up to a few minutes, and until then what was found stands. A command
that a person gives remembers nothing, and looks at once.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, NamedTuple

from jobs.errors import StoreDamaged

FIRST_S: Final = 1.0
MOST_S: Final = 300.0


class _Found(NamedTuple):
    message: str
    wait_s: float
    again_at: float


class Damage:
    """What one observer found. Things are told apart by name; each is looked at by one thread at a time."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._found: dict[str, _Found] = {}

    @contextmanager
    def remembered(self, name: str) -> Iterator[None]:
        """Around one look at a thing. Until the next look is due it raises what the last one found, StoreDamaged."""
        found = self._found.get(name)
        if found is not None and self._monotonic() < found.again_at:
            raise StoreDamaged(found.message)
        try:
            yield
        except StoreDamaged as error:
            wait_s = FIRST_S if found is None else min(2 * found.wait_s, MOST_S)
            self._found[name] = _Found(str(error), wait_s, self._monotonic() + wait_s)
            raise
        self._found.pop(name, None)


class collect_damage:  # noqa: N801 - in lower case like contextlib.suppress
    """Adds a StoreDamaged that the block raises to `found`, and goes on after the block. Without a list it is raised.

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

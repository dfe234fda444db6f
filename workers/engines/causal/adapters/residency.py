"""Residency decides which adapters are in memory, in which place. It knows no tensors.

Each adapter takes one place. An adapter that a running row uses stays. Of the others, the one goes first that no row waits for,
and of these the one that was used least recently.

Rows of adapters in memory may overtake rows whose adapter has no place, so that an adapter is loaded once for many rows. If a row
has been overtaken often enough (`patience`), no further rows of the adapter that has been in memory for longest are admitted,
until that adapter's place is free.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable


class Residency:
    """The places of adapters.

    Args:
        places: The number of adapters that have room.
        patience: By how many rows a row may be overtaken before an adapter must make room for it.
    """

    def __init__(self, places: int, patience: int) -> None:
        self._free = list(range(places))[::-1]
        self._patience = patience
        self._places: OrderedDict[str, int] = OrderedDict()
        """Adapters in memory with their places; the least recently used is the first."""
        self._since: dict[str, int] = {}
        self._loads: dict[str, int] = {}
        self._overtaken = self._count = 0
        self._closing: str | None = None

    @property
    def places(self) -> int:
        """The number of places."""
        return len(self._free) + len(self._places)

    @property
    def loaded(self) -> int:
        """How often an adapter was given a place."""
        return self._count

    def place_of(self, name: str) -> int:
        """Return the place of an adapter in memory."""
        return self._places[name]

    def has(self, name: str | None) -> bool:
        """Whether an adapter has a place, and its rows are admitted. Rows without an adapter need none."""
        return name is None or (name in self._places and name != self._closing)

    def admit(self, name: str | None, running: Collection[str], waiting: Iterable[str | None] = ()) -> bool:
        """Return whether a row with this adapter may run, and give the adapter a place if it has none.

        Args:
            name: The adapter; None for a row without one.
            running: The adapters of the rows that run.
            waiting: The adapters of the rows that wait.
        """
        if name is None:
            return True
        if name in self._places:
            if name == self._closing:
                return False
            self._places.move_to_end(name)
            return True
        if not self._free and not self._evict(running, set(waiting)):
            return False
        self._places[name] = self._loads[name] = self._free.pop()
        self._count += 1
        self._since[name] = self._count
        return True

    def note_admitted(self, running: Collection[str], *, overtook: bool) -> None:
        """Note that a row was admitted: the one that has waited longest, or one that `overtook` it."""
        self._overtaken = self._overtaken + 1 if overtook else 0
        if not overtook:
            self._closing = None
        elif self._overtaken >= self._patience and self._closing not in running:
            self._closing = min(running, key=lambda name: self._since.get(name, 0), default=None)

    def take_loads(self) -> dict[str, int]:
        """Return the adapters whose weights must be put into their places before the next step. Each is returned once."""
        loads, self._loads = self._loads, {}
        return loads

    def forget(self, name: str) -> None:
        """Free the place of an adapter that cannot be used."""
        if (place := self._places.pop(name, None)) is not None:
            self._free.append(place)
            self._loads.pop(name, None)

    def _evict(self, running: Collection[str], waiting: Collection[str | None]) -> bool:
        """Free a place. Returns False if all adapters in memory are in use."""
        idle = [name for name in self._places if name not in running and name not in self._loads]
        if not idle:
            return False
        self.forget(next((name for name in idle if name not in waiting), idle[0]))
        return True

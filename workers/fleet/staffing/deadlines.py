"""The least workers that keep the deadlines of each lane, by what the accounts know of its rows and devices.

On a cluster that grows, a worker more is a node more, so a night that has time is done by few. The accounts are read on another
thread, now and then; until they are read, nothing is known, and the rows alone decide.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from jobs.accounts.experience import Experience
from jobs.errors import StoreUnavailable
from jobs.lanes.protocol import LaneSnapshot
from jobs.operations.outlook.backlogs import backlogs, paid_for
from jobs.planning.demand import workers_wanted
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.store import Store

READ_S: Final = 600.0
"""Seconds between two times that the accounts are read."""
STEADY_S: Final = 60.0
"""A number of workers falls once it was lower for this many seconds: a forecast moves a little with each row."""


@dataclass
class Deadlines:
    """Knows how many workers the deadlines of each lane need. `aside` runs a task on another thread."""

    settings: Settings
    aside: Callable[[Callable[[], object]], object]
    monotonic: Callable[[], float] = time.monotonic
    known: Experience = field(default_factory=Experience)
    _read_at: float = float("-inf")
    _seen: dict[str, list[tuple[float, int]]] = field(default_factory=dict)

    def look(self, sweeper: Sweeper, snapshots: Mapping[str, LaneSnapshot]) -> None:
        """Note how many workers the lanes need now. `snapshots` are those of the lanes that have rows."""
        now = self.monotonic()
        if now - self._read_at >= READ_S:
            self._read_at = now
            self.aside(lambda: self._read(sweeper.store))
        demands = backlogs(sweeper.batches, snapshots, self.known, self.settings, sweeper.clock())
        paid = paid_for(demands, self.settings.prices)
        wanted = {lane: one for lane, one in workers_wanted(paid).items() if one.has_deadlines}
        for lane in self._seen.keys() - wanted.keys():
            del self._seen[lane]
        for lane, one in wanted.items():
            recent = [(at, n) for at, n in self._seen.get(lane, ()) if now - at < STEADY_S]
            self._seen[lane] = [*recent, (now, one.least)]

    def least(self, lane: str) -> int | None:
        """Return the least number of workers that keeps all deadlines of a lane; None if rows without a deadline wait there too,
        or if the speed of its model is not known.
        """
        return max((n for _, n in self._seen.get(lane, ())), default=None)

    def _read(self, store: Store) -> None:
        try:
            self.known = Experience.read(store)
        except StoreUnavailable:  # the sweeps report it; the accounts are read again later
            return

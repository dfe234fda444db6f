"""A replica: a place in the fleet for one worker of one model, with the worker that fills it at the moment.

The worker is *pending* until the cluster has room for it. After that it is *active*, and it is *leaving* once it drains to make
room for another model. A replica without a worker gets a new one, after a wait if the last worker died. A replica that is
*parked* gets no worker, so that other models use the room.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from workers.fleet.handles import WorkerHandle


@dataclass
class Replica:
    """A place for one worker of the model `alias`. Times are seconds of the fleet's monotonic clock.

    `needs` are the resources of its worker, the scarcest first. `started_at` is when its worker was started; `start_at` is the
    earliest time of the next start. `deaths` counts how many workers died in a row, and `failed_starts` how many in a row died
    before their model was loaded. `waiting_since` is when the replica began to wait for room for its model's rows; None if the
    model has no rows or the replica has room. `placed_at` is when its worker was first seen running, and `loaded` is whether that
    worker has loaded its model. `held_back` is whether a worker is not asked for, since the fleet asks for all that it may.
    `grave` is set once the last worker is dead and its log is read; until then no other worker takes its name. `idle_since` is
    when its worker was first seen without a row; None if it has rows. `drained_by` is when a worker must have left that was told
    to leave; `moves` counts how often the replica has moved to another node while its worker still drained. `fetching_s` is for
    how many seconds its worker has waited for the weights of its model.
    """

    alias: str
    number: int
    handle: WorkerHandle | None = None
    worker: str = ""
    needs: Mapping[str, float] = field(default_factory=dict)
    placed: bool = False
    placed_at: float = 0.0
    loaded: bool = False
    leaving_until: float | None = None
    drained_by: float | None = None
    fetching_s: float = 0.0
    parked: bool = False
    waiting_since: float | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    deaths: int = 0
    failed_starts: int = 0
    moves: int = 0
    held_back: bool = False
    grave: threading.Event | None = None
    idle_since: float | None = None

    @property
    def is_buried(self) -> bool:
        """Whether the replica's last worker is gone, so that another may have its name."""
        return self.grave is None or self.grave.is_set()

    @property
    def pending(self) -> bool:
        """Whether the replica's worker waits for room, or is only slow to come up."""
        return self.handle is not None and not self.placed

    @property
    def leaving(self) -> bool:
        """Whether the replica's worker drains to make room for another model."""
        return self.leaving_until is not None

    @property
    def active(self) -> bool:
        """Whether the replica's worker has come up, and is not leaving."""
        return self.placed and not self.leaving

    def vacate(self, *, parked: bool = False) -> None:
        """Forget the replica's worker, which has ended. If `parked`, no other worker is started for now."""
        self.handle, self.idle_since = None, None
        self.placed, self.loaded, self.leaving_until, self.parked = False, False, None, parked
        self.drained_by, self.fetching_s = None, 0.0

    def successor(self) -> "Replica":
        """Return a replica for the same place, whose worker may start while the present one still drains."""
        return Replica(self.alias, self.number, waiting_since=self.waiting_since, moves=self.moves + 1)

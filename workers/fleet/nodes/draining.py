"""Draining nodes: which nodes of the cluster end soon, and how long a worker on such a node may go on.

A node drains after the notice that its machine is taken away, as spot machines are, before it is scaled down, and by
`ray drain-node`. Ray's control store lists these nodes, with the time at which each ends, and places no further actor on them.
"""

import math
import threading
from collections.abc import Callable, Mapping
from typing import Final

from workers.fleet.replica import Replica

LOOK_S: Final = 0.5
"""Seconds between two times that the control store is asked which nodes drain."""
MARGIN_S: Final = 1.0
"""A worker has left its node this many seconds before the node ends: clocks of machines differ, and calls take time."""
AGAIN_S: Final = 1.0
"""A worker that drains is told of a nearer end of its node if that is more than this many seconds nearer."""


class DrainWatch:
    """Asks which nodes drain, on a thread, between `start` and `close`.

    `ask` returns the ids of the nodes that drain, each with the Unix time in seconds at which it ends, or infinity if no such
    time is known. It returns None if the cluster does not answer; then the last answer counts.
    """

    def __init__(self, ask: Callable[[], Mapping[str, float] | None]) -> None:
        self._ask = ask
        self._nodes: Mapping[str, float] = {}
        self._closed = threading.Event()

    def start(self) -> "DrainWatch":
        """Start the thread."""
        threading.Thread(target=self._look_on, name="drain watch", daemon=True).start()
        return self

    def close(self) -> None:
        """Stop asking."""
        self._closed.set()

    @property
    def nodes(self) -> Mapping[str, float]:
        """The nodes that drained at the last answer, each with the time at which it ends."""
        return self._nodes

    def look(self) -> None:
        """Ask once."""
        found = self._ask()
        if found is not None:
            self._nodes = found

    def _look_on(self) -> None:
        while not self._closed.is_set():
            self.look()
            self._closed.wait(LOOK_S)


def grace_of(
    replica: Replica, draining: Mapping[str, float], *, at: float, unix_s: float, drain_s: float
) -> float | None:
    """Return the seconds in which a replica's worker must have left its node; None if it need not be told anything.

    These are the seconds until the node ends, less `MARGIN_S`, or `drain_s` if no end is known. A worker that drains already is
    told again only if its node ends earlier than it was told, by `AGAIN_S` at least. `at` is the time of the fleet's clock and
    `unix_s` the Unix time.
    """
    if replica.handle is None or not replica.placed or (node := replica.handle.node()) not in draining:
        return None
    ends_at = draining[node]
    grace_s = drain_s if math.isinf(ends_at) else max(0.0, ends_at - unix_s - MARGIN_S)
    if replica.drained_by is not None and at + grace_s > replica.drained_by - AGAIN_S:
        return None
    return grace_s

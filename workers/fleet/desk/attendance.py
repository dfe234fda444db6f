"""How a supervisor attends the desk of its store: it waits for the seat, holds it while it works, and gives it up at the end."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jobs.errors import UnavailableError
from jobs.logs import logger
from workers.fleet.desk.seat import Desk, Holder, Orders, Wish
from workers.fleet.handles import Cluster
from workers.fleet.outages import Outages


class Attendance:
    """Attends the desk that `open_desk` gives on the cluster. None: there is no desk, and the seat is always free."""

    def __init__(
        self, open_desk: Callable[[Cluster], Desk | None], cluster: Cluster, wish: Wish, outages: Outages
    ) -> None:
        self._open_desk = open_desk
        self._cluster = cluster
        self._wish = wish
        self._outages = outages
        self._desk: Desk | None = None

    @contextlib.contextmanager
    def seated(self, stands_by: Callable[[], bool]) -> Iterator[bool]:
        """Wait for the seat, and hold it while the block lasts. Yields whether it is ours.

        While another supervisor has it, `stands_by` is called about once a second, and ends the wait by returning False. The wish
        of this command counts meanwhile.
        """
        try:
            yield self._wait(stands_by)
        finally:
            if self._desk is not None and not self._cluster.is_away():
                self._desk.leave()

    def beat(self, figures: Mapping[str, Any]) -> Orders:
        """Tell the desk how the fleet is, and return its orders. Raises UnavailableError if a fleet that keeps its workers has
        lost the seat: the other supervisor has adopted them.
        """
        if self._desk is None or self._cluster.is_away():
            return Orders()
        orders = self._desk.beat(figures)
        if orders.is_lost:
            message = "another supervisor has taken over this fleet, since nothing was heard of this one for long"
            logger().warning("fleet.lost", message=message)
            if self._cluster.keeps:
                raise UnavailableError(message)
        return orders

    def _wait(self, stands_by: Callable[[], bool]) -> bool:
        seen: Holder | None = None
        while True:
            self._cluster.check()
            if self._desk is None:
                with self._outages.waited_for():
                    self._desk = self._open_desk(self._cluster)
                    if self._desk is None:
                        return True
            if self._desk is not None and not self._cluster.is_away():
                holder = self._desk.take()
                if holder is None:
                    return True
                if holder.id and (seen is None or holder.id != seen.id):
                    _report(seen := holder)
                self._desk.join(self._wish)
            if not stands_by():
                return False


def _report(holder: Holder) -> None:
    kept = "a detached supervisor" if holder.kind == "detached" else "a `nightpress work`"
    logger().warning(
        "fleet.joined",
        message=f"{kept} on {holder.host} (process {holder.pid}) runs the workers of this store on this cluster already; this "
        "command stands by, and takes over when that ends",
        host=holder.host,
        pid=holder.pid,
        since=holder.since,
    )

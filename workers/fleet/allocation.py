"""Sharing: which model has the next worker, where the cluster has less room than the fleet has replicas.

A worker whose model has nothing to do makes room for one that has. A model with rows and no worker at all is the next to get one:
the others that want what it lacks stand back, and the one with most workers gives one up. Where there are more such models
than there is room, they wait until another has nothing to do, the one that has waited longest first: Ray keeps no order.

It looks at the replicas and at what the cluster has free, and says what is to be done; the fleet does it.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from jobs.batches.open_batches import OpenBatches
from jobs.lanes.protocol import Lanes
from jobs.logs import logger
from workers.fleet.replica import Replica

PLACE_S: Final = 5.0
"""A worker that has not come to life after so long may be waiting for room."""
LONG_S: Final = 60.0
"""After so long it is, and where enough seems to be free, that lies in pieces on several nodes."""
LEAST: Final = 1e-6
"""Shares of a GPU are sums of fractions."""


def has_work(queue: Lanes, batches: OpenBatches, lane: str) -> bool:
    """Whether a worker of the lane has anything to do, or to feed. Raises QueueUnavailable."""
    seen = queue.snapshot(lane)
    if seen.leased or (not seen.paused and seen.ready + seen.delayed):
        return True
    for index in batches:
        if lane in index.batch.lanes and index.closed is None and index.current.paused is None:
            schedule = seen.batches.get(index.batch.batch_id)
            if schedule is None or schedule.round != index.round or not (schedule.at_end or schedule.closed):
                return True
    return False


@dataclass(frozen=True, slots=True)
class Room:
    """What is free on the cluster, what each of its nodes has in all, and what workers of this fleet hold."""

    free: Mapping[str, float]
    nodes: Sequence[Mapping[str, float]]
    held: Mapping[str, float]

    @classmethod
    def seen(
        cls, free: Mapping[str, float], nodes: Sequence[Mapping[str, float]], replicas: Sequence[Replica]
    ) -> "Room":
        """With what the replicas hold."""
        held = Counter[str]()
        for replica in replicas:
            if replica.placed:
                held.update(replica.needs)
        return cls(free, nodes, held)

    def total(self, kind: str) -> float:
        """All of it."""
        return sum(node.get(kind, 0.0) for node in self.nodes)

    def lacks(self, needs: Mapping[str, float]) -> str | None:
        """Of what too little is free."""
        return _lacking(self.free, needs)

    def elsewhere(self, kind: str) -> float:
        """What others hold, or workers that are just coming to life."""
        return max(0.0, self.total(kind) - self.free.get(kind, 0.0) - self.held.get(kind, 0.0))

    def could_hold(self, needs: Mapping[str, float]) -> bool:
        """Whether there would be room if all workers of this fleet left."""
        return any(_lacking(node, needs) is None for node in self.nodes) and all(
            self.total(kind) - self.elsewhere(kind) >= need - LEAST for kind, need in needs.items()
        )


@dataclass(frozen=True, slots=True)
class Moves:
    """Which replicas are to do what. `without` have a model with rows and no worker, each with the kind of room that it lacks."""

    withdraw: Sequence[Replica]
    leave: Sequence[Replica]
    come_back: Sequence[Replica]
    without: Sequence[tuple[Replica, str]]


@dataclass
class Waiting:
    """Says of a model that it waits, once, until it has a worker."""

    _said: set[str] = field(default_factory=set)

    def say(self, without: Sequence[tuple[Replica, str]], replicas: Sequence[Replica], room: Room) -> None:
        """Say it of those `without` of which it was not said."""
        self._said -= {replica.alias for replica in replicas if replica.at_work}
        for replica, kind in without:
            if replica.alias not in self._said:
                self._said.add(replica.alias)
                logger().warning(
                    "model.waiting",
                    model=replica.alias,
                    lacks=kind,
                    needs=replica.needs[kind],
                    total=room.total(kind),
                    held_by=sorted({one.alias for one in replicas if one.placed and kind in one.needs}),
                )


def moves(replicas: Sequence[Replica], working: Collection[str], room: Room, at: float) -> Moves:
    """What is to be done at the time `at`; `working` are the models that have something to do."""
    waiting = [replica for replica in replicas if replica.alias in working and _waits(replica, room, at)]
    staffed = {replica.alias for replica in replicas if replica.at_work}
    line = sorted(
        (replica for replica in waiting if replica.alias not in staffed),
        key=lambda replica: replica.waiting_since or at,
    )
    first = next((replica for replica in line if room.could_hold(replica.needs)), None)
    wanted = waiting if first is None else [first]

    def stands_back(replica: Replica) -> bool:
        return first is not None and replica is not first and _lack(first, room) in replica.needs

    idle = [replica for replica in replicas if replica.at_work and replica.alias not in working]
    denied = [replica for replica in wanted if _is_denied(replica, room, at)]
    leave = list(_idle_for(denied, idle, room))
    if first in denied and not leave:
        leave = _spared_for(first, replicas, room)
    return Moves(
        withdraw=[replica for replica in replicas if replica.pending and wanted and replica.alias not in working]
        + [replica for replica in waiting if stands_back(replica)],
        leave=leave,
        come_back=[
            replica for replica in replicas if replica.parked and replica.alias in working and not stands_back(replica)
        ],
        without=[(replica, _lack(replica, room)) for replica in line],
    )


def _waits(replica: Replica, room: Room, at: float) -> bool:
    """Whether its worker waits for room, and is not just slow to come to life."""
    if not replica.pending or at - replica.started < PLACE_S:
        return False
    is_surely_nowhere = any(room.elsewhere(kind) < need - LEAST for kind, need in replica.needs.items())
    return is_surely_nowhere or at - replica.started >= LONG_S


def _is_denied(replica: Replica, room: Room, at: float) -> bool:
    """Whether somebody has to leave for it. Where enough is free, Ray may just be about to give it, unless it lies in pieces."""
    return room.could_hold(replica.needs) and (room.lacks(replica.needs) is not None or at - replica.started >= LONG_S)


def _lack(replica: Replica, room: Room) -> str:
    return room.lacks(replica.needs) or next(iter(replica.needs))


def _idle_for(wanted: Sequence[Replica], idle: Sequence[Replica], room: Room) -> Iterator[Replica]:
    """As many of the idle as hold what is wanted and not free."""
    left, coming = list(idle), Counter(room.free)
    for replica in wanted:
        if room.lacks(replica.needs) is None:  # what is free lies in pieces
            coming.clear()
        while (lack := _lacking(coming, replica.needs)) is not None:
            giver = next((one for one in left if lack in one.needs), None)
            if giver is None:
                break
            left.remove(giver)
            coming.update(giver.needs)
            yield giver
        coming.subtract(replica.needs)


def _spared_for(first: Replica, replicas: Sequence[Replica], room: Room) -> list[Replica]:
    """One worker of the model with most of them, if it can spare as much as is lacking and keep one."""
    lack = _lack(first, room)
    holders = [replica for replica in replicas if replica.at_work and lack in replica.needs]
    for alias, n in Counter(replica.alias for replica in holders).most_common():
        last = max((replica for replica in holders if replica.alias == alias), key=lambda replica: replica.number)
        if n > 1 and room.free.get(lack, 0.0) + (n - 1) * last.needs[lack] >= first.needs[lack] - LEAST:
            return [last]
    return []


def _lacking(free: Mapping[str, float], needs: Mapping[str, float]) -> str | None:
    return next((kind for kind, need in needs.items() if free.get(kind, 0.0) < need - LEAST), None)

"""Allocation: which models get workers when the cluster has less room than the fleet has replicas.

A worker whose model has no rows makes room for a model that has rows. A model that has rows but no worker is served first:
other replicas that wait for the same resource are parked meanwhile, and the model with most workers gives up a worker. If
several models have rows but no worker, the model that has waited longest is next. Ray itself keeps no order among waiting
workers.

`plan_moves` decides, from the replicas and from the resources that are free. The fleet carries the decision out.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from jobs.logs import logger
from workers.fleet.handles import ROUNDING, Capacity
from workers.fleet.nodes.needs import ray_needs
from workers.fleet.replica import Replica

START_S: Final = 5.0
"""A worker that is not up after this many seconds may lack room.

Also, no moves are planned for this long after a worker has left: the cluster first gives the freed room to workers that wait.
"""
FETCH_S: Final = 60.0
"""A worker that has waited for its weights for this many seconds makes way for another model. What was fetched is kept."""
LONG_S: Final = 60.0
"""A worker that is not up after this many seconds lacks room.

If enough of each resource is free even so, the free resources must be spread over several nodes.
"""
GROW_S: Final = 600.0
"""Seconds. While a cluster can grow by what a model lacks, no other model makes room for it, but for this long at most."""


@dataclass(frozen=True, slots=True)
class Room:
    """The capacity of the cluster, and how much of it the workers of this fleet hold."""

    capacity: Capacity
    held: Mapping[str, float]

    @classmethod
    def with_replicas(cls, capacity: Capacity, replicas: Sequence[Replica]) -> "Room":
        """Make a Room. `held` is the sum of the needs of all workers that have come up."""
        held = Counter[str]()
        for replica in replicas:
            if replica.placed:
                held.update(replica.needs)
        return cls(capacity, held)

    def lacks(self, needs: Mapping[str, float]) -> str | None:
        """Return the first resource of `needs` of which too little is free.

        Returns None if enough of each resource is free, though perhaps spread over several nodes.
        """
        return _lacking(self.capacity.free, needs)

    def held_elsewhere(self, kind: str) -> float:
        """Return how much of a resource is held by other programs, or by workers of this fleet that are just coming up."""
        return max(0.0, self.capacity.total(kind) - self.capacity.free.get(kind, 0.0) - self.held.get(kind, 0.0))

    def may_grow(self, needs: Mapping[str, float]) -> bool:
        """Whether the cluster can grow by each resource of `needs` of which too little is free."""
        return all(
            self.capacity.may_grow_by(kind, need)
            for kind, need in needs.items()
            if self.capacity.free.get(kind, 0.0) < need - ROUNDING
        )

    def could_hold(self, needs: Mapping[str, float]) -> bool:
        """Whether `needs` would find room if all workers of this fleet left."""
        return any(_lacking(node, needs) is None for node in self.capacity.nodes) and all(
            self.capacity.total(kind) - self.held_elsewhere(kind) >= need - ROUNDING for kind, need in needs.items()
        )


@dataclass(frozen=True, slots=True)
class Moves:
    """The decisions about replicas, as `plan_moves` makes them.

    `withdraw`: end workers that wait for room, and park their replicas. `leave`: drain workers, then park their replicas.
    `come_back`: unpark replicas, so that they get a worker again. `unserved`: replicas whose model has rows but no worker, each
    with the resource that it lacks.
    """

    withdraw: Sequence[Replica]
    leave: Sequence[Replica]
    come_back: Sequence[Replica]
    unserved: Sequence[tuple[Replica, str]]


@dataclass
class WaitingModels:
    """Logs `model.waiting` once for each unserved model, and again only after the model has had a worker."""

    _reported: set[str] = field(default_factory=set)

    def report(self, unserved: Sequence[tuple[Replica, str]], replicas: Sequence[Replica], room: Room) -> None:
        """Log the models among `unserved` that were not logged yet."""
        self._reported -= {replica.alias for replica in replicas if replica.active}
        for replica, kind in unserved:
            if replica.alias not in self._reported:
                self._reported.add(replica.alias)
                logger().warning(
                    "model.waiting",
                    model=replica.alias,
                    lacks=kind,
                    needs=replica.needs[kind],
                    total=room.capacity.total(kind),
                    held_by=sorted({one.alias for one in replicas if one.placed and kind in one.needs}),
                )


def plan_moves(replicas: Sequence[Replica], working: Collection[str], room: Room, at: float) -> Moves:
    """Return what to do at the time `at` of the fleet's clock. `working` holds the aliases of the models that have rows."""
    waiting = [replica for replica in replicas if replica.alias in working and _waits(replica, room, at)]
    served = {replica.alias for replica in replicas if replica.active}
    unserved = sorted(
        (replica for replica in waiting if replica.alias not in served),
        key=lambda replica: replica.waiting_since or at,
    )
    first = next((replica for replica in unserved if _needs_room_here(replica, room, at)), None)
    wanted = waiting if first is None else [first]

    def stands_back(replica: Replica) -> bool:
        return first is not None and replica is not first and _lack(first, room) in replica.needs

    idle = [replica for replica in replicas if replica.active and replica.alias not in working]
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
        unserved=[(replica, _lack(replica, room)) for replica in unserved if _surely_lacks(replica, room, at)],
    )


def plan_giving_back(
    replicas: Sequence[Replica], idle: Collection[str], demands: Sequence[Mapping[str, float]], room: Room
) -> list[Replica]:
    """Return the workers that leave for other programs on the same cluster.

    `idle` holds the aliases of the models that have had no rows for a while, and `demands` the resources that each waiting
    actor or task of the cluster needs, including this fleet's. No worker leaves for a demand that is too large for any node.
    """
    others = [dict(demand) for demand in demands]
    for replica in replicas:
        if replica.pending and ray_needs(replica.needs) in others:
            others.remove(ray_needs(replica.needs))
    waiting = [
        Replica("another program", number, needs=demand)
        for number, demand in enumerate(others)
        if room.lacks(demand) is not None and any(_lacking(node, demand) is None for node in room.capacity.nodes)
    ]
    return list(_idle_for(waiting, [one for one in replicas if one.active and one.alias in idle], room))


def _needs_room_here(replica: Replica, room: Room, at: float) -> bool:
    """Whether the replica finds room only if workers of this fleet leave: the cluster does not grow for it, or not in time."""
    grows = room.lacks(replica.needs) is not None and not replica.held_back and room.may_grow(replica.needs)
    return room.could_hold(replica.needs) and (not grows or at - replica.started_at >= GROW_S)


def _surely_lacks(replica: Replica, room: Room, at: float) -> bool:
    """Whether the replica surely lacks room: too little is free, or Ray has not placed it for LONG_S seconds while some of its
    resources are in use.
    """
    if room.lacks(replica.needs) is not None:
        return True
    held = any(room.capacity.total(kind) > room.capacity.free.get(kind, 0.0) + ROUNDING for kind in replica.needs)
    return held and at - replica.started_at >= LONG_S


def _waits(replica: Replica, room: Room, at: float) -> bool:
    """Whether the replica's worker waits for room, and is not only slow to come up."""
    if replica.held_back:
        return True
    if not replica.pending or at - replica.started_at < START_S:
        return False
    is_surely_nowhere = any(room.held_elsewhere(kind) < need - ROUNDING for kind, need in replica.needs.items())
    return is_surely_nowhere or at - replica.started_at >= LONG_S


def _is_denied(replica: Replica, room: Room, at: float) -> bool:
    """Whether another worker has to leave for this replica.

    No worker has to leave if the replica would find no room even after all workers of this fleet had left. If enough room is
    free already, no worker has to leave at first, because Ray may be about to place the replica. If Ray has not placed it after
    LONG_S seconds, a worker has to leave, because the free resources must be spread over several nodes.
    """
    return room.could_hold(replica.needs) and (
        room.lacks(replica.needs) is not None or at - replica.started_at >= LONG_S
    )


def _lack(replica: Replica, room: Room) -> str:
    """Return the resource that the replica lacks.

    If enough of each is free, but spread over several nodes, return the scarcest resource that the replica needs.
    """
    return room.lacks(replica.needs) or next(iter(replica.needs))


def _idle_for(wanted: Sequence[Replica], idle: Sequence[Replica], room: Room) -> Iterator[Replica]:
    """Yield the idle replicas that have to leave so that the `wanted` replicas find the resources that they lack."""
    left, coming = list(idle), Counter(room.capacity.free)
    for replica in wanted:
        if room.lacks(replica.needs) is None:  # the free resources are spread over several nodes, so they do not help
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
    """Return a list with one worker that leaves for `first`; an empty list if no model can spare enough.

    Each model keeps a worker, unless that has waited for its weights for FETCH_S seconds: a slow hub keeps no device from others.
    A model can spare enough if `first` would find enough of the resource that it lacks after all other workers of the model
    left. Among these models, the model with most workers gives up one.
    """
    lack = _lack(first, room)
    holders = [replica for replica in replicas if replica.active and lack in replica.needs]
    for alias, n in Counter(replica.alias for replica in holders).most_common():
        last = max((replica for replica in holders if replica.alias == alias), key=lambda replica: replica.number)
        spare = n - (last.fetching_s < FETCH_S)
        if spare and room.capacity.free.get(lack, 0.0) + spare * last.needs[lack] >= first.needs[lack] - ROUNDING:
            return [last]
    return []


def _lacking(free: Mapping[str, float], needs: Mapping[str, float]) -> str | None:
    return next((kind for kind, need in needs.items() if free.get(kind, 0.0) < need - ROUNDING), None)

"""Sharing: which model has the next worker, where the cluster has less room than the fleet has posts.

A worker whose model has nothing to do makes room for one that has. A model with rows and no worker at all is the next to get one:
the others that want what it lacks stand back, and the one with most workers gives one up. Where there are more such models
than there is room, they wait until another has nothing to do, the one that has waited longest first: Ray keeps no order.

It looks at the posts and at what the cluster has free, and says what is to be done; the fleet does it.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from jobs.batches.open_batches import OpenBatches
from jobs.lanes.protocol import Lanes
from jobs.logs import logger
from workers.fleet.replica import Post

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
    def seen(cls, free: Mapping[str, float], nodes: Sequence[Mapping[str, float]], posts: Sequence[Post]) -> "Room":
        """With what the posts hold."""
        held = Counter[str]()
        for post in posts:
            if post.placed:
                held.update(post.needs)
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
    """Which posts are to do what. `without` have a model with rows and no worker, each with the kind of room that it lacks."""

    withdraw: Sequence[Post]
    leave: Sequence[Post]
    come_back: Sequence[Post]
    without: Sequence[tuple[Post, str]]


@dataclass
class Waiting:
    """Says of a model that it waits, once, until it has a worker."""

    _said: set[str] = field(default_factory=set)

    def say(self, without: Sequence[tuple[Post, str]], posts: Sequence[Post], room: Room) -> None:
        """Say it of those `without` of which it was not said."""
        self._said -= {post.alias for post in posts if post.at_work}
        for post, kind in without:
            if post.alias not in self._said:
                self._said.add(post.alias)
                logger().warning(
                    "model.waiting",
                    model=post.alias,
                    lacks=kind,
                    needs=post.needs[kind],
                    total=room.total(kind),
                    held_by=sorted({one.alias for one in posts if one.placed and kind in one.needs}),
                )


def moves(posts: Sequence[Post], working: Collection[str], room: Room, at: float) -> Moves:
    """What is to be done at the time `at`; `working` are the models that have something to do."""
    waiting = [post for post in posts if post.alias in working and _waits(post, room, at)]
    staffed = {post.alias for post in posts if post.at_work}
    line = sorted((post for post in waiting if post.alias not in staffed), key=lambda post: post.waiting_since or at)
    first = next((post for post in line if room.could_hold(post.needs)), None)
    wanted = waiting if first is None else [first]

    def stands_back(post: Post) -> bool:
        return first is not None and post is not first and _lack(first, room) in post.needs

    idle = [post for post in posts if post.at_work and post.alias not in working]
    denied = [post for post in wanted if _is_denied(post, room, at)]
    leave = list(_idle_for(denied, idle, room))
    if first in denied and not leave:
        leave = _spared_for(first, posts, room)
    return Moves(
        withdraw=[post for post in posts if post.pending and wanted and post.alias not in working]
        + [post for post in waiting if stands_back(post)],
        leave=leave,
        come_back=[post for post in posts if post.parked and post.alias in working and not stands_back(post)],
        without=[(post, _lack(post, room)) for post in line],
    )


def _waits(post: Post, room: Room, at: float) -> bool:
    """Whether its worker waits for room, and is not just slow to come to life."""
    if not post.pending or at - post.started < PLACE_S:
        return False
    is_surely_nowhere = any(room.elsewhere(kind) < need - LEAST for kind, need in post.needs.items())
    return is_surely_nowhere or at - post.started >= LONG_S


def _is_denied(post: Post, room: Room, at: float) -> bool:
    """Whether somebody has to leave for it. Where enough is free, Ray may just be about to give it, unless it lies in pieces."""
    return room.could_hold(post.needs) and (room.lacks(post.needs) is not None or at - post.started >= LONG_S)


def _lack(post: Post, room: Room) -> str:
    return room.lacks(post.needs) or next(iter(post.needs))


def _idle_for(wanted: Sequence[Post], idle: Sequence[Post], room: Room) -> Iterator[Post]:
    """As many of the idle as hold what is wanted and not free."""
    left, coming = list(idle), Counter(room.free)
    for post in wanted:
        if room.lacks(post.needs) is None:  # what is free lies in pieces
            coming.clear()
        while (lack := _lacking(coming, post.needs)) is not None:
            giver = next((one for one in left if lack in one.needs), None)
            if giver is None:
                break
            left.remove(giver)
            coming.update(giver.needs)
            yield giver
        coming.subtract(post.needs)


def _spared_for(first: Post, posts: Sequence[Post], room: Room) -> list[Post]:
    """One worker of the model with most of them, if it can spare as much as is lacking and keep one."""
    lack = _lack(first, room)
    holders = [post for post in posts if post.at_work and lack in post.needs]
    for alias, n in Counter(post.alias for post in holders).most_common():
        last = max((post for post in holders if post.alias == alias), key=lambda post: post.number)
        if n > 1 and room.free.get(lack, 0.0) + (n - 1) * last.needs[lack] >= first.needs[lack] - LEAST:
            return [last]
    return []


def _lacking(free: Mapping[str, float], needs: Mapping[str, float]) -> str | None:
    return next((kind for kind, need in needs.items() if free.get(kind, 0.0) < need - LEAST), None)

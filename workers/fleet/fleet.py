"""The fleet: starts workers on a cluster, watches them, replaces those that died, and drains them.

The fleet decides no outcome. If it is killed, another fleet continues from what storage holds. Its workers end with it, unless
the cluster keeps them for a fleet that adopts them. Nothing here waits for a worker: those that died are buried on other threads.
"""

import contextlib
import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from jobs.errors import (
    HubUnavailable,
    ModelUnavailable,
    QueueUnavailable,
    StoreDamaged,
    StoreUnavailable,
    UnavailableError,
)
from jobs.logs import logger
from jobs.settings import Settings
from workers.fleet.allocation import START_S, Room, WaitingModels, plan_giving_back, plan_moves
from workers.fleet.aside import Aside
from workers.fleet.cluster import needs_of
from workers.fleet.handles import Capacity, Cluster, End, WorkerHandle
from workers.fleet.log_relay.relay import Followed, Relay
from workers.fleet.nodes.draining import grace_of
from workers.fleet.replica import Replica
from workers.fleet.staffing.demand import FleetPlan
from workers.worker.worker import WorkerPlan

BACKOFF_S: Final = 1.0
"""Longest wait, in seconds, before a worker that died twice in a row is replaced.

The wait doubles with each further death. After a first death the worker is replaced at once.
"""
BACKOFF_MAX_S: Final = 60.0
"""Longest wait, in seconds, before a worker is replaced, after any number of deaths."""
HEALTHY_S: Final = 120.0
"""If a worker dies after it has lived longer than this many seconds, earlier deaths of its replica no longer count."""
ALLOCATE_S: Final = 2.0
"""Seconds between two decisions about which models get workers."""
IDLE_S: Final = 30.0
"""Seconds. A model that has had no rows for this long gives its room to other programs that wait for room."""
EXIT_S: Final = 10.0
"""Seconds. A worker that still drains this long after `drain_s` is killed."""
KILL_S: Final = 0.5
"""Seconds to wait for the death of a worker that was killed, so that its log is complete."""
AGAIN_S: Final = 300.0
"""Seconds after which a detached fleet tries a model again that could not be loaded."""
ADOPT_S: Final = 5.0
"""Seconds that a fleet waits for the first word of the workers that it adopts."""
BURY_S: Final = 10.0
"""Seconds that a fleet waits at its end until all its workers are dead and their logs are read."""
FAULTS: Final = {"store_fault": StoreUnavailable, "queue_fault": QueueUnavailable, "store_damage": StoreDamaged}
"""The fields of a worker's status that report a fault, and the error that is raised for each.

If several faults are reported, only the first in this order is raised.
"""
START_TRIES: Final = 4
"""If this many workers of one replica die in a row before their model is loaded, the fleet ends: more would die too."""


@dataclass
class Fleet:
    """The workers of one `run` or `work`. Call `watch` about once a second.

    If `only` is given, the workers work only on the batches that it names. `forget` is called with the lane and the name of each
    worker that has ended, so that the queue no longer shows it. It may raise UnavailableError. `retiring` are replicas whose
    workers leave nodes that drain; each has a successor among `replicas`. `deaths` counts the workers that died, by model.
    `aside` runs a task on another thread.
    """

    settings: Settings
    redis_url: str = field(repr=False)  # the URL may hold a password
    cluster: Cluster
    only: frozenset[str] | None = None
    forget: Callable[[str, str], object] = lambda *_: None
    aside: Callable[[Callable[[], object]], object] = field(default_factory=Aside)
    monotonic: Callable[[], float] = time.monotonic
    clock: Callable[[], float] = time.time
    rng: random.Random = field(default_factory=random.Random)
    replicas: list[Replica] = field(default_factory=list)
    retiring: list[Replica] = field(default_factory=list)
    deaths: dict[str, int] = field(default_factory=dict)
    name: str = field(default_factory=lambda: secrets.token_hex(2))
    _plan: FleetPlan | None = None
    _requested: Sequence[Mapping[str, float]] = ()
    _graves: list[threading.Event] = field(default_factory=list)
    _allocated_at: float = float("-inf")
    _left_at: float = float("-inf")
    _idle_since: dict[str, float] = field(default_factory=dict)
    _waiting: WaitingModels = field(default_factory=WaitingModels)
    _relay: Relay = field(default_factory=Relay)

    def staff(self, alias: str, n: int) -> None:
        """Add workers for the model `alias` until there are `n`. If the model has more workers already, all of them stay."""
        self._add(alias, n)
        self.watch()

    def adopt(self) -> None:
        """Take over the workers that an earlier fleet of this store has left on a cluster that keeps them.

        Waits until those that run have told how they are, for ADOPT_S seconds at most: others count as waiting for room.
        """
        for found in self.cluster.left():
            self._relay.follow(found.worker, found.handle.log)
            if found.alias not in self.settings.catalog:
                self._relay.leave(found.handle.log)
                self.aside(found.handle.kill)
                continue
            number = 1 + max((one.number for one in self.replicas if one.alias == found.alias), default=-1)
            needs = needs_of(self.settings.catalog[found.alias], self.cluster)
            self.replicas.append(
                Replica(found.alias, number, found.handle, found.worker, needs, started_at=self.monotonic())
            )
        until = self.monotonic() + ADOPT_S
        while (
            left := [one.handle for one in self.replicas if one.handle is not None and not one.handle.is_placed()]
        ) and (self.monotonic() < until):
            left[0].end(0.1)
            self.cluster.check()
        self._note_placed()
        if self.replicas:
            logger().info("fleet.adopted", workers=len(self.replicas))

    def abandon(self) -> None:
        """Leave the workers to another fleet, which has adopted them."""
        self.cluster.close()
        self.replicas.clear()
        self.retiring.clear()

    def figures(self) -> Mapping[str, Mapping[str, int]]:
        """Return how many workers each model should have, is asked for, has running, and has loaded."""
        figures: dict[str, dict[str, int]] = {}
        wanted = {} if self._plan is None else self._plan.workers
        for alias in sorted({*wanted, *(replica.alias for replica in self.replicas)}):
            ours = [replica for replica in self.replicas if replica.alias == alias]
            figures[alias] = {
                "planned": wanted.get(alias, 0),
                "asked": sum(replica.handle is not None for replica in ours),
                "up": sum(replica.placed for replica in ours),
                "loaded": sum(replica.loaded for replica in ours),
            }
        return figures

    def follow(self, plan: FleetPlan) -> None:
        """Have as many workers of each model as the plan says. A worker that has come up stays until its model is idle.

        Workers beyond the plan that only wait for room are no longer asked for.
        """
        self._plan = plan
        for alias, n in plan.workers.items():
            for replica in self._beyond(alias, n):
                self._end(replica)
                self.replicas.remove(replica)
        for alias, n in sorted(plan.workers.items()):
            self._add(alias, n)
        self.watch()

    def _add(self, alias: str, n: int) -> None:
        taken = {replica.number for replica in self.replicas if replica.alias == alias}
        free = (number for number in range(n) if number not in taken)
        self.replicas += [Replica(alias, number) for number, _ in zip(free, range(n - len(taken)), strict=False)]

    def _beyond(self, alias: str, n: int) -> Sequence[Replica]:
        """Return the replicas of a model that the plan does not need, and whose workers have not come up."""
        ours = [replica for replica in self.replicas if replica.alias == alias]
        spare = [replica for replica in reversed(ours) if not replica.placed and replica.is_buried]
        return spare[: max(0, len(ours) - n)]

    def watch(self) -> None:
        """Note which workers have come up, left or died, and start the missing ones. A worker that died is replaced after a wait.

        A worker on a node that drains is told to leave, and its successor is started at once.

        Raises:
            ModelUnavailable: A worker cannot start, because its model is missing or for an unknown reason. A detached fleet logs
                this, and tries again later.
            UnavailableError: The cluster is lost.
        """
        self.cluster.check()
        self._relay.poll()
        self._note_placed()
        self._leave_draining_nodes()
        self._note_left()
        self._note_dead()
        asked = self._asked()
        for replica in self.replicas:
            if replica.handle is None and not replica.parked and self.monotonic() >= replica.start_at:
                replica.needs = needs_of(self.settings.catalog[replica.alias], self.cluster)
                replica.held_back = self._plan is not None and not self._plan.allows(asked, replica.needs)
                if replica.is_buried and not replica.held_back:
                    self._start(replica)
                    asked.update(replica.needs)
        self._request()

    def allocate(self, has_work: Callable[[str], bool]) -> None:
        """Decide which models get the room of the cluster (see `allocation`). Workers that are idle make room for other programs.

        `has_work` tells whether a lane has rows. It is called at most every `ALLOCATE_S` seconds; an error that it raises is
        raised here.
        """
        now = self.monotonic()
        if now - self._allocated_at < ALLOCATE_S:
            return
        if self.cluster.is_away():
            return
        self._allocated_at = now
        if any(replica.leaving for replica in self.replicas) or now - self._left_at < START_S:
            return  # the cluster first gives the freed room to workers that wait already
        models = {replica.alias for replica in self.replicas}
        working = {alias for alias in models if has_work(self.settings.lane_of(alias))}
        self._idle_since = {alias: self._idle_since.get(alias, now) for alias in models - working}
        for replica in self.replicas:
            if replica.alias not in working or replica.placed:
                replica.waiting_since = None
            elif replica.waiting_since is None:
                replica.waiting_since = now
        room = Room.with_replicas(self._capacity(), self.replicas)
        moves = plan_moves(self.replicas, working, room, now)
        self._waiting.report(moves.unserved, self.replicas, room)
        for replica in moves.withdraw:
            self._end(replica, parked=True)
        for replica in moves.leave or self._given_back(room, now) or self._unneeded(now):
            self._stop(replica, self.settings.drain_s)
            replica.leaving_until = now + self.settings.drain_s + EXIT_S
        for replica in moves.come_back:
            replica.parked = False

    def _unneeded(self, now: float) -> Sequence[Replica]:
        """Return the workers that the plan does not need, and that have had no row for `idle_s` seconds."""
        if self._plan is None or self.settings.idle_s is None:
            return ()
        unneeded: list[Replica] = []
        for alias, n in self._plan.workers.items():
            active = [replica for replica in self.replicas if replica.alias == alias and replica.active]
            idle = [replica for replica in reversed(active) if self._idle_s(replica, now) >= self.settings.idle_s]
            unneeded += idle[: max(0, len(active) - n)]
        return unneeded

    def _idle_s(self, replica: Replica, now: float) -> float:
        """Return for how many seconds a worker that has loaded its model has had no row."""
        status = replica.handle.status() if replica.handle is not None and replica.loaded else None
        if status is None or status.get("running", 1):
            replica.idle_since = None
        elif replica.idle_since is None:
            replica.idle_since = now
        return 0.0 if replica.idle_since is None else now - replica.idle_since

    def _given_back(self, room: Room, now: float) -> Sequence[Replica]:
        """Return the idle workers that make room for other programs that wait on the cluster."""
        idle = {alias for alias, since in self._idle_since.items() if now - since >= IDLE_S}
        if not idle or not any(replica.active and replica.alias in idle for replica in self.replicas):
            return ()
        given = plan_giving_back(self.replicas, idle, self.cluster.demands(), room)
        if given:  # otherwise a waiting worker of this fleet, which has no rows either, would take the room
            for replica in self.replicas:
                if replica.pending and replica.alias in idle:
                    self._end(replica, parked=True)
        return given

    def drain(self, drain_s: float, *, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Stop all workers; rows that are nearly done may finish within `drain_s` seconds. Returns when no worker is left.

        `meanwhile` is called several times a second; it may call `kill`.
        """
        self.cluster.check()  # a worker that has just come up may hold rows already
        self._note_placed()
        for replica in self.replicas:
            if replica.pending:
                self._end(replica)
        for replica in self._everyone():
            self._stop(replica, drain_s)
        until = self.monotonic() + drain_s + EXIT_S
        left = [replica.handle for replica in self._everyone() if replica.handle is not None]
        while left and self.monotonic() < until:
            left[0].end(0.2)
            self.cluster.check()
            left = [handle for handle in left if handle.end() is None]
            self._relay.poll()
            meanwhile()
        self._bury_all()
        logger().info("fleet.stopped")

    def kill(self) -> None:
        """End all workers now. Their leases run out, and other workers run their rows again."""
        self.cluster.close()
        self._bury_all()

    def statuses(self) -> Sequence[Mapping[str, Any]]:
        """Return the last statuses (see `Worker.status`) that the workers have told."""
        found = [replica.handle.status() for replica in self._everyone() if replica.handle is not None]
        return [status for status in found if status is not None]

    def loading(self) -> Mapping[str, float]:
        """Return the models that a worker is loading for the first time, and for how many seconds."""
        placed = [replica for replica in self.replicas if replica.placed]
        loaded = {replica.alias for replica in placed if replica.loaded}
        since: dict[str, float] = {}
        for replica in placed:
            if replica.alias not in loaded:
                since[replica.alias] = min(replica.placed_at, since.get(replica.alias, replica.placed_at))
        return {alias: self.monotonic() - at for alias, at in since.items()}

    def check_workers(self) -> None:
        """Raise an error if workers report a fault of Redis or the storage. Only workers notice a full Redis.

        Raises StoreUnavailable or QueueUnavailable, or StoreDamaged if a damaged file is the only fault.
        """
        statuses = self.statuses()
        for name, error in FAULTS.items():
            for status in statuses:
                if status[name]:
                    raise error(status[name])

    def _asked(self) -> Counter[str]:
        """Return the resources that all workers hold or wait for."""
        asked = Counter[str]()
        for replica in self._everyone():
            if replica.handle is not None:
                asked.update(replica.needs)
        return asked

    def _capacity(self) -> Capacity:
        """Return the capacity of the cluster, as far as the plan allows its use."""
        capacity = self.cluster.capacity()
        if self._plan is None:
            return capacity
        asked = self._asked()
        free = {kind: max(0.0, min(n, self._plan.most.get(kind, n) - asked[kind])) for kind, n in capacity.free.items()}
        return replace(capacity, free=free)

    def _request(self) -> None:
        """Ask a cluster that can grow for room for the workers that are asked for, if that has changed."""
        bundles = [dict(replica.needs) for replica in self.replicas if replica.handle is not None]
        bundles.sort(key=lambda bundle: sorted(bundle.items()))
        if bundles != self._requested:
            self._requested = bundles
            self.cluster.request(bundles)

    def _start(self, replica: Replica) -> None:
        end = f"-{replica.number}" + (f"r{replica.moves}" if replica.moves else "")  # its predecessor may still drain
        replica.worker = f"{self.name}-{replica.alias}"[: 64 - len(end)].replace("/", "-") + end
        plan = WorkerPlan(replica.worker, replica.alias, self.redis_url, self.settings, self.only)
        replica.handle = self.cluster.start(plan, replica.needs)
        self._relay.follow(replica.worker, replica.handle.log)
        replica.started_at = self.monotonic()

    def _stop(self, replica: Replica, drain_s: float) -> None:
        if replica.handle is not None:
            logger().info("worker.draining", worker=replica.worker)
            replica.handle.stop(drain_s)
            replica.drained_by = self.monotonic() + drain_s

    def _end(self, replica: Replica, *, parked: bool = False) -> None:
        """Have the replica's worker buried on another thread: killed if it lives, its log read, and forgotten by the queue."""
        handle = replica.handle
        if handle is not None:  # None if `kill` was called during a drain
            self._graves = [grave for grave in self._graves if not grave.is_set()]
            self._graves.append(grave := threading.Event())
            replica.grave = grave
            followed = self._relay.leave(handle.log)
            lane = self.settings.lane_of(replica.alias)
            self.aside(partial(self._bury, handle, followed, lane, replica.worker, grave))
        replica.vacate(parked=parked)

    def _bury(
        self, handle: WorkerHandle, followed: Followed | None, lane: str, worker: str, grave: threading.Event
    ) -> None:
        try:
            if handle.end() is not None:  # before `kill`: a live worker on another node reads its log itself
                self._relay.read_rest(followed)
                followed = None
            handle.kill()
            handle.end(0.0 if self.cluster.is_away() else KILL_S)
            self._relay.read_rest(followed)
            with contextlib.suppress(UnavailableError):  # while Redis is away, the worker is shown as silent
                self.forget(lane, worker)
        finally:
            grave.set()

    def _bury_all(self) -> None:
        """End all workers, and wait BURY_S seconds at most until they are buried."""
        for replica in self._everyone():
            self._end(replica)
        self._request()
        until = time.monotonic() + BURY_S
        for grave in self._graves:
            grave.wait(max(0.0, until - time.monotonic()))

    def _note_placed(self) -> None:
        for replica in self.replicas:
            if replica.handle is not None and not replica.placed:
                replica.placed = replica.handle.is_placed()
                replica.placed_at = self.monotonic()
            if replica.handle is not None and not replica.loaded:
                replica.loaded = replica.handle.was_loaded()
                replica.fetching_s = float((replica.handle.status() or {}).get("fetching_s", 0.0))

    def _everyone(self) -> list[Replica]:
        return [*self.replicas, *self.retiring]

    def _leave_draining_nodes(self) -> None:
        """Tell the workers on nodes that drain to leave, and let successors take their places."""
        draining, now, drain_s = self.cluster.draining(), self.monotonic(), self.settings.drain_s
        for replica in self._everyone() if draining else ():
            grace_s = grace_of(replica, draining, at=now, unix_s=self.clock(), drain_s=drain_s)
            if grace_s is None or replica.handle is None:
                continue
            logger().warning(
                "node.draining", worker=replica.worker, node=replica.handle.node()[:12], grace_s=round(grace_s, 1)
            )
            self._stop(replica, grace_s)
            if not replica.leaving:
                self.replicas[self.replicas.index(replica)] = replica.successor()
                self.retiring.append(replica)
            replica.leaving_until = now + grace_s + EXIT_S
        for replica in list(self.retiring):
            if replica.handle is None or replica.handle.end() is not None or now >= (replica.leaving_until or 0.0):
                self._end(replica)
                self.retiring.remove(replica)

    def _note_left(self) -> None:
        for replica in self.replicas:
            if replica.handle is None or replica.leaving_until is None:
                continue
            if replica.handle.end() is not None or self.monotonic() >= replica.leaving_until:
                self._end(replica, parked=True)
                self._left_at = self.monotonic()

    def _note_dead(self) -> None:
        for replica in self.replicas:
            handle = replica.handle
            if handle is None or replica.leaving or (end := handle.end()) is None:
                continue
            self._end(replica)
            is_silent_hub = isinstance(end.error, HubUnavailable)
            if (
                isinstance(end.error, ModelUnavailable) and not is_silent_hub
            ):  # another start would fail in the same way
                self._give_up(replica, end.error)
                continue
            if not end.left:
                replica.failed_starts = 0 if handle.was_loaded() else replica.failed_starts + 1
            self._back_off(replica, end)
            if is_silent_hub and any(one.loaded and one.alias != replica.alias for one in self.replicas):
                continue  # other models go on, and this one is tried again
            if replica.failed_starts >= START_TRIES:
                fault = (
                    f"no worker for {replica.alias} can start, {replica.failed_starts} have died before their model was "
                    f"loaded: {end.reason}. Try `nightpress doctor`, and look at the workers' logs."
                )
                self._give_up(replica, ModelUnavailable(fault))

    def _give_up(self, replica: Replica, error: ModelUnavailable) -> None:
        """Raise the error of a model that cannot be loaded. A detached fleet logs it and tries again later: nobody reads it now,
        and the other models must go on.
        """
        if not self.cluster.keeps:
            raise error from None
        logger().error("model.unavailable", model=replica.alias, error=str(error), again_s=AGAIN_S)
        replica.start_at, replica.failed_starts = self.monotonic() + AGAIN_S, 0

    def _back_off(self, replica: Replica, end: End) -> None:
        """Decide when the worker that died or left is replaced, and log its end."""
        if not end.left:
            self.deaths[replica.alias] = self.deaths.get(replica.alias, 0) + 1
        replica.deaths = 1 if self.monotonic() - replica.started_at > HEALTHY_S else replica.deaths + 1
        longest = min(BACKOFF_MAX_S, BACKOFF_S * 2 ** (replica.deaths - 2)) if replica.deaths > 1 else 0.0
        backoff_s = self.rng.uniform(0.5, 1.0) * longest
        replica.start_at = self.monotonic() + backoff_s
        reason = (end.reason.splitlines() or [""])[0][:200]
        event = "worker.left" if end.left else "worker.died"
        logger().warning(event, worker=replica.worker, error=reason, backoff_s=round(backoff_s, 1))

"""The fleet: starts workers on a cluster, watches them, replaces those that died, and drains them.

The fleet decides no outcome. If it is killed, its workers end with it, and another fleet continues from what storage holds.
"""

import contextlib
import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from jobs.errors import ModelUnavailable, QueueUnavailable, StoreDamaged, StoreUnavailable, UnavailableError
from jobs.logs import logger
from jobs.settings import Settings
from workers.fleet.allocation import START_S, Room, WaitingModels, plan_giving_back, plan_moves
from workers.fleet.cluster import needs_of
from workers.fleet.handles import Cluster, End
from workers.fleet.nodes.draining import grace_of
from workers.fleet.relay import Relay
from workers.fleet.replica import Replica
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
FAULTS_S: Final = 2.0
"""Seconds between two times that the workers are asked for faults of Redis and the storage."""
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
    """

    settings: Settings
    redis_url: str = field(repr=False)  # the URL may hold a password
    cluster: Cluster
    only: frozenset[str] | None = None
    forget: Callable[[str, str], object] = lambda *_: None
    monotonic: Callable[[], float] = time.monotonic
    clock: Callable[[], float] = time.time
    rng: random.Random = field(default_factory=random.Random)
    replicas: list[Replica] = field(default_factory=list)
    retiring: list[Replica] = field(default_factory=list)
    deaths: dict[str, int] = field(default_factory=dict)
    name: str = field(default_factory=lambda: secrets.token_hex(2))
    _asked_at: float = float("-inf")
    _allocated_at: float = float("-inf")
    _left_at: float = float("-inf")
    _idle_since: dict[str, float] = field(default_factory=dict)
    _waiting: WaitingModels = field(default_factory=WaitingModels)
    _relay: Relay = field(default_factory=Relay)
    _fault: UnavailableError | None = None
    _ended: list[tuple[str, str]] = field(default_factory=list)

    def staff(self, alias: str, n: int) -> None:
        """Add workers for the model `alias` until there are `n`. If the model has more workers already, all of them stay."""
        number = sum(replica.alias == alias for replica in self.replicas)
        self.replicas += [Replica(alias, number + i) for i in range(n - number)]
        self.watch()

    def watch(self) -> None:
        """Note which workers have come up, left or died, and start the missing ones. A worker that died is replaced after a wait.

        A worker on a node that drains is told to leave, and its successor is started at once.

        Raises:
            ModelUnavailable: A worker cannot start, because its model is missing or for an unknown reason.
            UnavailableError: The cluster is lost.
        """
        self.cluster.check()
        self._relay.poll()
        self._note_placed()
        self._leave_draining_nodes()
        self._note_left()
        self._note_dead()
        self._forget_ended()
        for replica in self.replicas:
            if replica.handle is None and not replica.parked and self.monotonic() >= replica.start_at:
                self._start(replica)

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
        room = Room.with_replicas(self.cluster.capacity(), self.replicas)
        moves = plan_moves(self.replicas, working, room, now)
        self._waiting.report(moves.unserved, self.replicas, room)
        for replica in moves.withdraw:
            self._end(replica, parked=True)
        for replica in moves.leave or self._given_back(room, now):
            self._stop(replica, self.settings.drain_s)
            replica.leaving_until = now + self.settings.drain_s + EXIT_S
        for replica in moves.come_back:
            replica.parked = False

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
            left = [handle for handle in left if handle.end() is None]
            self._relay.poll()
            meanwhile()
        for replica in self._everyone():
            self._end(replica)
        self._relay.finish()
        self._forget_ended()
        logger().info("fleet.stopped")

    def kill(self) -> None:
        """End all workers now. Their leases run out, and other workers run their rows again."""
        self.cluster.close()
        for handle in [replica.handle for replica in self._everyone() if replica.handle is not None]:
            handle.kill()
        for replica in self._everyone():
            self._end(replica)
        self._relay.finish()

    def statuses(self, timeout_s: float = 0.5) -> Sequence[Mapping[str, Any]]:
        """Return the statuses (see `Worker.status`) of the workers that have come up and answer within `timeout_s` seconds."""
        self._note_placed()
        placed = [replica.handle for replica in self._everyone() if replica.placed and replica.handle is not None]
        answers = [handle.ask_status() for handle in placed]
        until = self.monotonic() + timeout_s
        statuses = [answer(max(0.0, until - self.monotonic())) for answer in answers]
        return [status for status in statuses if status is not None]

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

        The workers are asked at most every `FAULTS_S` seconds; in between, the last answer counts. Raises StoreUnavailable or
        QueueUnavailable, or StoreDamaged if a damaged file is the only fault.
        """
        if self.monotonic() - self._asked_at >= FAULTS_S:
            self._asked_at = self.monotonic()
            statuses = self.statuses()
            loaded = {status["worker"] for status in statuses if "load_s" in status}
            for replica in self.replicas:
                replica.loaded = replica.loaded or (replica.placed and replica.worker in loaded)
            faults = (error(status[name]) for name, error in FAULTS.items() for status in statuses if status[name])
            self._fault = next(faults, None)
        if self._fault is not None:
            raise self._fault

    def _start(self, replica: Replica) -> None:
        end = f"-{replica.number}" + (f"r{replica.moves}" if replica.moves else "")  # its predecessor may still drain
        replica.worker = f"{self.name}-{replica.alias}"[: 64 - len(end)].replace("/", "-") + end
        replica.needs = needs_of(self.settings.catalog[replica.alias], self.cluster)
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
        if replica.handle is not None:  # None if `kill` was called during a drain
            if replica.handle.end() is not None:
                self._relay.end(replica.handle.log)  # before `kill`: a live worker on another node reads its log itself
            replica.handle.kill()
            replica.handle.end(0.0 if self.cluster.is_away() else KILL_S)
            self._relay.end(replica.handle.log)
            self._ended.append((self.settings.lane_of(replica.alias), replica.worker))
        replica.vacate(parked=parked)

    def _forget_ended(self) -> None:
        """Remove ended workers from the queue's snapshots. If Redis is away, they are shown as silent for a while."""
        ended, self._ended = self._ended, []
        with contextlib.suppress(UnavailableError):
            for lane, worker in ended:
                self.forget(lane, worker)

    def _note_placed(self) -> None:
        for replica in self.replicas:
            if replica.handle is not None and not replica.placed:
                replica.placed = replica.handle.is_placed()
                replica.placed_at = self.monotonic()

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
            if isinstance(end.error, ModelUnavailable):  # another start would fail in the same way
                raise end.error from None
            self._end(replica)
            if not end.left:
                replica.failed_starts = 0 if handle.was_loaded() else replica.failed_starts + 1
            self._back_off(replica, end)
            if replica.failed_starts >= START_TRIES:
                raise ModelUnavailable(
                    f"no worker for {replica.alias} can start, {replica.failed_starts} have died before their model was "
                    f"loaded: {end.reason}. Try `nightpress doctor`, and look at the workers' logs."
                )

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

"""The fleet: starts the workers, watches them, replaces the dead, and drains them.

Owns the Ray connection and the actors, and decides how many workers a lane gets. It makes no outcome: when it is killed
its workers end with it, and whoever comes next goes on from storage.
"""

import atexit
import contextlib
import logging
import os
import random
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable, QueueUnavailable, StoreDamaged, StoreUnavailable, UnavailableError
from jobs.logs import logger
from jobs.settings import Settings
from workers.fleet.allocation import PLACE_S, Room, Waiting, moves
from workers.fleet.gcs_watch import ControlStore, end_now
from workers.fleet.replica import Replica
from workers.worker.worker import WorkerPlan

BACKOFF_S: Final = 1.0
"""Before the second start in a row; the first is at once, and each further one waits twice as long."""
BACKOFF_MAX_S: Final = 60.0
HEALTHY_S: Final = 120.0
"""A worker that has lived so long starts again from the shortest backoff."""
SHARE_S: Final = 2.0
"""How often it is asked whether the workers are shared well among the models."""
ENDING_S: Final = 10.0
"""So much longer than its grace time a draining worker is waited for."""
LISTEN_S: Final = 2.0
"""How often the workers are asked whether Redis and the storage take what they have."""
FAULTS: Final = {"store_fault": StoreUnavailable, "queue_fault": QueueUnavailable, "store_damage": StoreDamaged}
"""What a worker says of itself, and what it is; the first is told that any of them has."""
PATIENCE: Final = "RAY_gcs_rpc_server_reconnect_timeout_s"
"""How long Ray waits for its control store, in its own settings; without it, 60 s."""
START_TRIES: Final = 4
"""A replica whose workers die so often in a row before their model is loaded ends the fleet: the next would die as well."""


def connect(address: str | None, *, local: bool = False) -> str:
    """Join the Ray cluster at `address`, or the one that is found, or start a local one. Returns what it joined.

    Raises UnavailableError when there is none at `address`.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if "NO_COLOR" in os.environ or not sys.stderr.isatty():
        os.environ.setdefault("RAY_COLOR_PREFIX", "0")
    import ray  # takes a second, and a caller may want to do other things meanwhile

    if ray.is_initialized():
        return "the Ray of this process"
    quiet: dict[str, Any] = {"log_to_driver": not local, "logging_level": logging.ERROR, "include_dashboard": False}
    if local:
        with _signals_kept():
            ray.init(address="local", num_cpus=max(2, os.cpu_count() or 1), **quiet)
        return "a local Ray"
    try:
        with _signals_kept():
            ray.init(address=address or "auto", log_to_driver=True, logging_level=logging.ERROR)
    except ConnectionError as error:
        if address is not None:
            raise UnavailableError(
                f"no Ray cluster at {address}: {error}. Start one with `ray start --head`."
            ) from None
        return connect(None, local=True)
    return address or "the Ray cluster that was found"


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray puts a handler of its own over ours for SIGTERM, which would end the command without a drain."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, ours)


def workers_per_lane(card: ModelCard) -> int:
    """As many workers as the cluster's devices allow: one for each share of a GPU, else for each core but one."""
    import ray

    resources = ray.cluster_resources()
    gpus = resources.get("GPU", 0.0)
    if card.engine != "stub" and card.device != "cpu" and gpus > 0 and card.num_gpus > 0:
        return max(1, int(gpus / card.num_gpus))
    return max(1, int(resources.get("CPU", 2.0)) - 1)


@dataclass
class Fleet:
    """The workers of one `run` or `work`. Call `watch` about once a second."""

    settings: Settings
    redis_url: str = field(repr=False)  # it may hold a password
    only: frozenset[str] | None = None
    monotonic: Callable[[], float] = time.monotonic
    rng: random.Random = field(default_factory=random.Random)
    replicas: list[Replica] = field(default_factory=list)
    name: str = field(default_factory=lambda: secrets.token_hex(2))
    _listened: float = float("-inf")
    _shared: float = float("-inf")
    _left: float = float("-inf")
    _waiting: Waiting = field(default_factory=Waiting)
    _fault: UnavailableError | None = None
    _control_store: ControlStore | None = None

    def staff(self, alias: str, n: int) -> None:
        """Have `n` workers for the model `alias`; those that there are stay."""
        number = sum(replica.alias == alias for replica in self.replicas)
        self.replicas += [Replica(alias, number + i) for i in range(n - number)]
        self.watch()

    def watch(self) -> None:
        """Start whom a replica lacks, and note who died. A dead worker's replica is filled again after a backoff.

        Raises ModelUnavailable when a worker cannot start, because its model is not there or for a reason unknown, and
        UnavailableError when Ray's control store is lost.
        """
        self._watch_the_control_store()
        self._note_the_placed()
        self._note_those_who_left()
        self._note_the_dead()
        for replica in self.replicas:
            if replica.handle is None and not replica.parked and self.monotonic() >= replica.start_at:
                self._start(replica)

    def share(self, has_work: Callable[[str], bool]) -> None:
        """Where the cluster has less room than there are replicas, give it to the models that have work: see `sharing`.

        `has_work` says it of a lane, and is asked once in `SHARE_S`, if at all. What it raises leaves this call.
        """
        import ray

        from workers.fleet import actor

        now = self.monotonic()
        if now - self._shared < SHARE_S or all(replica.at_work for replica in self.replicas):
            return
        if self._control_store is not None and self._control_store.away:
            return
        self._shared = now
        if (
            any(replica.leaving for replica in self.replicas) or now - self._left < PLACE_S
        ):  # Ray needs a moment to give it away
            return
        working = {
            alias for alias in {replica.alias for replica in self.replicas} if has_work(self.settings.lane_of(alias))
        }
        for replica in self.replicas:
            if replica.alias not in working or replica.placed:
                replica.waiting_since = None
            elif replica.waiting_since is None:
                replica.waiting_since = now
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        room = Room.seen(ray.available_resources(), nodes, self.replicas)
        todo = moves(self.replicas, working, room, now)
        self._waiting.say(todo.without, self.replicas, room)
        for replica in todo.withdraw:
            self._end(replica, parked=True)
        for replica in todo.leave:
            logger().info("worker.draining", worker=replica.worker)
            actor.stop(replica.handle, self.settings.drain_s)
            replica.leaving_until = now + self.settings.drain_s + ENDING_S
        for replica in todo.come_back:
            replica.parked = False

    def drain(self, drain_s: float, *, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Stop all workers: what is nearly done finishes within `drain_s`. Returns when none is left."""
        import ray

        from workers.fleet import actor

        self._note_the_placed()
        for replica in self.replicas:
            if replica.pending:
                self._end(replica)
        replicas = [replica for replica in self.replicas if replica.handle is not None]
        for replica in replicas:
            logger().info("worker.draining", worker=replica.worker)
            actor.stop(replica.handle, drain_s)
        until = self.monotonic() + drain_s + ENDING_S
        left = [replica.running for replica in replicas]
        while left and self.monotonic() < until:
            _, left = ray.wait(left, num_returns=len(left), timeout=0.2)
            meanwhile()
        for replica in replicas:
            self._end(replica)
        logger().info("fleet.stopped")

    def kill(self) -> None:
        """End all workers now. Their leases run out, and their rows are done again."""
        if self._control_store is not None:
            if self._control_store.lost:
                return  # nobody is there to end them: Ray does it soon
            self._control_store.close()
            self._control_store = None
        for replica in self.replicas:
            self._end(replica)

    def _end(self, replica: Replica, *, parked: bool = False) -> None:
        import ray

        if replica.handle is not None:  # whoever drains may have been told to kill meanwhile
            ray.kill(replica.handle)
        replica.vacate(parked=parked)

    def _watch_the_control_store(self) -> None:
        import ray

        if self._control_store is None:
            address = ray.get_runtime_context().gcs_address
            self._control_store = ControlStore(address, float(os.environ.get(PATIENCE, "60"))).start()
        try:
            self._control_store.check()
        except UnavailableError as error:
            atexit.register(end_now, error.exit_status)  # before Ray's own, which would wait for its control store
            raise

    def statuses(self, timeout_s: float = 0.5) -> Sequence[Any]:
        """What the workers say of themselves, of those that answer in time."""
        import ray

        from workers.fleet import actor

        self._note_the_placed()
        asked = [actor.status(replica.handle) for replica in self.replicas if replica.placed]
        ready, _ = ray.wait(asked, num_returns=len(asked), timeout=timeout_s) if asked else ([], [])
        said = []
        for reference in ready:
            with contextlib.suppress(ray.exceptions.RayError):  # it has died; `watch` will see to it
                said.append(ray.get(reference))
        return said

    def ask_the_workers(self) -> None:
        """Raise StoreUnavailable or QueueUnavailable while either does not do what a worker asks: the command asks little.

        So only a worker notices that Redis is full. StoreDamaged where one has met no more than a damaged file. They are asked
        once in `LISTEN_S`.
        """
        if self.monotonic() - self._listened >= LISTEN_S:
            self._listened = self.monotonic()
            said = self.statuses()
            self._fault = next((fault(one[name]) for name, fault in FAULTS.items() for one in said if one[name]), None)
        if self._fault is not None:
            raise self._fault

    def _start(self, replica: Replica) -> None:
        from workers.fleet import actor

        card = self.settings.catalog[replica.alias]
        replica.worker = f"{self.name}-{replica.alias}-{replica.number}"[:64].replace("/", "-")
        plan = WorkerPlan(replica.worker, replica.alias, self.redis_url, self.settings, self.only)
        gpus = self._gpus(card)
        replica.needs = {"GPU": gpus, "CPU": 1.0} if gpus else {"CPU": 1.0}
        replica.handle = actor.start(plan, num_cpus=1.0, num_gpus=gpus)
        replica.running, replica.loaded = actor.run(replica.handle), actor.loaded(replica.handle)
        replica.arrived = actor.status(replica.handle)
        replica.started = self.monotonic()

    def _gpus(self, card: ModelCard) -> float:
        import ray

        if card.engine == "stub" or card.device == "cpu":
            return 0.0
        return card.num_gpus if ray.cluster_resources().get("GPU", 0.0) > 0 else 0.0

    def _note_the_placed(self) -> None:
        import ray

        for replica in self.replicas:
            if replica.pending and ray.wait([replica.arrived], timeout=0)[0]:
                replica.placed = True

    def _note_those_who_left(self) -> None:
        import ray

        for replica in self.replicas:
            if replica.leaving_until is not None:
                ended, _ = ray.wait([replica.running], timeout=0)
                if ended or self.monotonic() >= replica.leaving_until:
                    self._end(replica, parked=True)
                    self._left = self.monotonic()

    def _note_the_dead(self) -> None:
        import ray

        for replica in self.replicas:
            if replica.handle is None or replica.leaving:
                continue
            ended, _ = ray.wait([replica.running], timeout=0)
            if not ended:
                continue
            try:
                ray.get(replica.running)
                cause = "it ended"
            except ray.exceptions.RayTaskError as error:
                cause = str(error.cause)
                _raise_if_hopeless(error)
            except ray.exceptions.RayError as error:
                cause = type(error).__name__
            self._bury(replica, cause)
            if replica.failed_starts >= START_TRIES:
                raise ModelUnavailable(
                    f"no worker for {replica.alias} can start, {replica.failed_starts} have died before their model was loaded: "
                    f"{cause}. Try `nightpress doctor`, and look at the workers' logs."
                )

    def _bury(self, replica: Replica, cause: str) -> None:
        loaded = replica.loaded
        self._end(replica)
        replica.failed_starts = 0 if self._was_loaded(loaded) else replica.failed_starts + 1
        replica.deaths = 1 if self.monotonic() - replica.started > HEALTHY_S else replica.deaths + 1
        longest = min(BACKOFF_MAX_S, BACKOFF_S * 2 ** (replica.deaths - 2)) if replica.deaths > 1 else 0.0
        backoff_s = self.rng.uniform(0.5, 1.0) * longest
        replica.start_at = self.monotonic() + backoff_s
        cause = (cause.splitlines() or [""])[0][:200]
        logger().warning("worker.died", worker=replica.worker, error=cause, backoff_s=round(backoff_s, 1))

    def _was_loaded(self, loaded: Any) -> bool:
        import ray

        try:
            ray.get(loaded, timeout=1.0)
        except (ray.exceptions.RayError, TimeoutError):
            return False
        return True


def _raise_if_hopeless(error: Any) -> None:
    """A worker that says what is missing will say the same again: that is for the user, not for a backoff."""
    if isinstance(error.cause, ModelUnavailable):
        raise error.cause from None

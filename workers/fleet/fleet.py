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
from workers.fleet.replica import Post
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
"""A post whose workers die so often in a row before their model is loaded ends the fleet: the next would die as well."""


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
    posts: list[Post] = field(default_factory=list)
    name: str = field(default_factory=lambda: secrets.token_hex(2))
    _listened: float = float("-inf")
    _shared: float = float("-inf")
    _left: float = float("-inf")
    _waiting: Waiting = field(default_factory=Waiting)
    _fault: UnavailableError | None = None
    _control_store: ControlStore | None = None

    def staff(self, alias: str, n: int) -> None:
        """Have `n` workers for the model `alias`; those that there are stay."""
        number = sum(post.alias == alias for post in self.posts)
        self.posts += [Post(alias, number + i) for i in range(n - number)]
        self.watch()

    def watch(self) -> None:
        """Start whom a post lacks, and note who died. A dead worker's post is filled again after a backoff.

        Raises ModelUnavailable when a worker cannot start, because its model is not there or for a reason unknown, and
        UnavailableError when Ray's control store is lost.
        """
        self._watch_the_control_store()
        self._note_the_placed()
        self._note_those_who_left()
        self._note_the_dead()
        for post in self.posts:
            if post.handle is None and not post.parked and self.monotonic() >= post.start_at:
                self._start(post)

    def share(self, has_work: Callable[[str], bool]) -> None:
        """Where the cluster has less room than there are posts, give it to the models that have work: see `sharing`.

        `has_work` says it of a lane, and is asked once in `SHARE_S`, if at all. What it raises leaves this call.
        """
        import ray

        from workers.fleet import actor

        now = self.monotonic()
        if now - self._shared < SHARE_S or all(post.at_work for post in self.posts):
            return
        if self._control_store is not None and self._control_store.away:
            return
        self._shared = now
        if any(post.leaving for post in self.posts) or now - self._left < PLACE_S:  # Ray needs a moment to give it away
            return
        working = {alias for alias in {post.alias for post in self.posts} if has_work(self.settings.lane_of(alias))}
        for post in self.posts:
            if post.alias not in working or post.placed:
                post.waiting_since = None
            elif post.waiting_since is None:
                post.waiting_since = now
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        room = Room.seen(ray.available_resources(), nodes, self.posts)
        todo = moves(self.posts, working, room, now)
        self._waiting.say(todo.without, self.posts, room)
        for post in todo.withdraw:
            self._end(post, parked=True)
        for post in todo.leave:
            logger().info("worker.draining", worker=post.worker)
            actor.stop(post.handle, self.settings.drain_s)
            post.leaving_until = now + self.settings.drain_s + ENDING_S
        for post in todo.come_back:
            post.parked = False

    def drain(self, drain_s: float, *, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Stop all workers: what is nearly done finishes within `drain_s`. Returns when none is left."""
        import ray

        from workers.fleet import actor

        self._note_the_placed()
        for post in self.posts:
            if post.pending:
                self._end(post)
        posts = [post for post in self.posts if post.handle is not None]
        for post in posts:
            logger().info("worker.draining", worker=post.worker)
            actor.stop(post.handle, drain_s)
        until = self.monotonic() + drain_s + ENDING_S
        left = [post.running for post in posts]
        while left and self.monotonic() < until:
            _, left = ray.wait(left, num_returns=len(left), timeout=0.2)
            meanwhile()
        for post in posts:
            self._end(post)
        logger().info("fleet.stopped")

    def kill(self) -> None:
        """End all workers now. Their leases run out, and their rows are done again."""
        if self._control_store is not None:
            if self._control_store.lost:
                return  # nobody is there to end them: Ray does it soon
            self._control_store.close()
            self._control_store = None
        for post in self.posts:
            self._end(post)

    def _end(self, post: Post, *, parked: bool = False) -> None:
        import ray

        if post.handle is not None:  # whoever drains may have been told to kill meanwhile
            ray.kill(post.handle)
        post.vacate(parked=parked)

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
        asked = [actor.status(post.handle) for post in self.posts if post.placed]
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

    def _start(self, post: Post) -> None:
        from workers.fleet import actor

        card = self.settings.catalog[post.alias]
        post.worker = f"{self.name}-{post.alias}-{post.number}"[:64].replace("/", "-")
        plan = WorkerPlan(post.worker, post.alias, self.redis_url, self.settings, self.only)
        gpus = self._gpus(card)
        post.needs = {"GPU": gpus, "CPU": 1.0} if gpus else {"CPU": 1.0}
        post.handle = actor.start(plan, num_cpus=1.0, num_gpus=gpus)
        post.running, post.loaded = actor.run(post.handle), actor.loaded(post.handle)
        post.arrived = actor.status(post.handle)
        post.started = self.monotonic()

    def _gpus(self, card: ModelCard) -> float:
        import ray

        if card.engine == "stub" or card.device == "cpu":
            return 0.0
        return card.num_gpus if ray.cluster_resources().get("GPU", 0.0) > 0 else 0.0

    def _note_the_placed(self) -> None:
        import ray

        for post in self.posts:
            if post.pending and ray.wait([post.arrived], timeout=0)[0]:
                post.placed = True

    def _note_those_who_left(self) -> None:
        import ray

        for post in self.posts:
            if post.leaving_until is not None:
                ended, _ = ray.wait([post.running], timeout=0)
                if ended or self.monotonic() >= post.leaving_until:
                    self._end(post, parked=True)
                    self._left = self.monotonic()

    def _note_the_dead(self) -> None:
        import ray

        for post in self.posts:
            if post.handle is None or post.leaving:
                continue
            ended, _ = ray.wait([post.running], timeout=0)
            if not ended:
                continue
            try:
                ray.get(post.running)
                cause = "it ended"
            except ray.exceptions.RayTaskError as error:
                cause = str(error.cause)
                _raise_if_hopeless(error)
            except ray.exceptions.RayError as error:
                cause = type(error).__name__
            self._bury(post, cause)
            if post.failed_starts >= START_TRIES:
                raise ModelUnavailable(
                    f"no worker for {post.alias} can start, {post.failed_starts} have died before their model was loaded: "
                    f"{cause}. Try `nightpress doctor`, and look at the workers' logs."
                )

    def _bury(self, post: Post, cause: str) -> None:
        loaded = post.loaded
        self._end(post)
        post.failed_starts = 0 if self._was_loaded(loaded) else post.failed_starts + 1
        post.deaths = 1 if self.monotonic() - post.started > HEALTHY_S else post.deaths + 1
        longest = min(BACKOFF_MAX_S, BACKOFF_S * 2 ** (post.deaths - 2)) if post.deaths > 1 else 0.0
        backoff_s = self.rng.uniform(0.5, 1.0) * longest
        post.start_at = self.monotonic() + backoff_s
        cause = (cause.splitlines() or [""])[0][:200]
        logger().warning("worker.died", worker=post.worker, error=cause, backoff_s=round(backoff_s, 1))

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

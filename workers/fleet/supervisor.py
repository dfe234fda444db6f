"""The supervisor: runs a fleet over open batches and sweeps them, until the goal of a command is reached.

It starts an embedded Redis server and Ray at the same time, if the command needs them, and after that the workers. While Redis or
the storage is away, it waits. At the end, or when it is interrupted, it drains the workers. The command's `Goal` decides what is
shown and when to end.
"""

import atexit
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, Protocol

from jobs.batches.budgets.tenant_accounts import TenantAccounts
from jobs.batches.open_batches import OpenBatches
from jobs.batches.outcome_index import OutcomeIndex
from jobs.errors import StoreDamaged, UnavailableError
from jobs.lanes.redis_queue import RedisQueue
from jobs.logs import logger
from jobs.publishing.sweeper import OnPublished, Sweeper
from jobs.settings import Settings
from jobs.store.damage import collect_damage
from jobs.store.store import Store
from workers.fleet import embedded_redis
from workers.fleet.aside import Aside, in_line
from workers.fleet.cluster import sigterm_handler_kept
from workers.fleet.desk.attendance import Attendance
from workers.fleet.desk.seat import Desk, Orders, Wish
from workers.fleet.fleet import Fleet
from workers.fleet.gcs_watch import end_process
from workers.fleet.handles import Cluster
from workers.fleet.outages import Outages
from workers.fleet.staffing.planner import Staffing

TICK_S: Final = 0.5
"""Seconds between two checks of the workers, at most."""
JOIN_S: Final = 120.0
"""Ray must be started or joined within this many seconds. It takes three to ten on an idle machine."""
JOIN_TICK_S: Final = 0.02
"""While Ray starts, our handler of SIGTERM is put back once in this many seconds: Ray sets its own handler, which aborts."""
GIVE_UP_S: Final = 15.0
"""If a command ends while Ray is starting, it waits for Ray this many seconds. After a second interrupt it does not wait."""
INTERRUPTED: Final = 130
"""The exit status of a command that was interrupted before Ray had started."""
EMBEDDED: Final = (
    "no Redis is set (NIGHTPRESS_REDIS_URL): this command uses an embedded one, which other machines cannot reach"
)
STAFF_S: Final = 1.0
"""Seconds between two checks of which models need workers, and how many workers the cluster holds."""


def open_models(batches: Iterable[OutcomeIndex]) -> set[str]:
    """Return the models that open batches need."""
    return {lane.model for index in batches for lane in index.batch.lanes.values()}


class Goal(Protocol):
    """The goal of a command says when its fleet may end, and shows the progress until then."""

    def models(self, sweeper: Sweeper) -> Iterable[str]:
        """Return the aliases of the models that need workers now."""
        ...

    def look(self, sweeper: Sweeper) -> None:
        """Read from storage what the command shows. Called after each sweep.

        If Redis or the storage is away, the supervisor waits as in a sweep.
        """
        ...

    def is_reached(self, sweeper: Sweeper, still_open: int | None) -> bool:
        """Whether to end. Called after each sweep with the number of open batches; None if the number is not known."""
        ...

    def tick(self, sweeper: Sweeper, fleet: Fleet) -> None:
        """Show how far the work is. Called several times a second."""
        ...

    def show_phase(self, phase: str) -> None:
        """Show what the supervisor does before the first sweep and after the last."""
        ...


@dataclass
class Supervisor:
    """Runs a fleet over the open batches of `store`, or over the batches `only`.

    `connect` joins the cluster. `report` is called with a log event and a line for a person when something is away, back or
    damaged. `wish` says which models the command is for, and how many workers each has; by default the rows and the room decide
    (see `staffing`). `sweep_s` is the time between two sweeps, in seconds. `on_published` and `after_sweep` are given to the
    Sweeper. `timings` collects how many seconds the start of the Redis server and of Ray took. Rounds are published and dead
    workers buried on other threads, so that neither waits for the other: `publishing` and `burying` run their tasks. `open_desk`
    gives the desk of the store on a cluster, so that only one fleet of the store runs there; None allows any number. It may
    raise StoreUnavailable.
    """

    settings: Settings
    store: Store
    connect: Callable[[], Cluster]
    report: Callable[[str, str], object]
    only: frozenset[str] | None = None
    wish: Wish = field(default_factory=Wish)
    sweep_s: float = 1.0
    on_published: OnPublished = lambda *_: None
    after_sweep: Callable[[bool], object] = lambda _: None
    timings: dict[str, float] = field(default_factory=dict)
    publishing: Callable[[Callable[[], object]], object] = field(default_factory=lambda: Aside(name="publishing"))
    burying: Callable[[Callable[[], object]], object] = field(default_factory=lambda: Aside(name="burying"))
    open_desk: Callable[[Cluster], Desk | None] = lambda _: None
    interrupts: int = 0
    _orders: Orders = field(default_factory=Orders)
    _outages: Outages = field(init=False)
    _staffing: Staffing = field(init=False)
    _staffed_at: float = float("-inf")

    def __post_init__(self) -> None:
        folder = embedded_redis.folder_of(self.settings) if self.settings.redis_url is None else None
        self._outages = Outages(self.report, folder)
        self._staffing = Staffing(self.settings, self.wish.workers)

    def interrupt(self) -> None:
        """Drain the workers and end. A second call ends the workers at once. Safe in a signal handler."""
        self.interrupts += 1

    def run(self, goal: Goal, *, with_workers: bool = True) -> None:
        """Work until the goal is reached or `interrupt` is called. Without workers, only sweep once.

        Raises:
            UnavailableError: Redis, Ray, a model or the storage is not there at the start, or Ray is lost.
        """
        if self.settings.redis_url is not None:
            with contextlib.closing(RedisQueue.from_settings(self.settings, self.store)) as queue:
                # The first ping must succeed, since the URL may be wrong. In a later outage the supervisor waits.
                queue.ping(slow=lambda message: self.report("queue.unavailable", message))
        joining = self._join() if with_workers else None
        try:
            with self._redis_url() as url:
                queue = RedisQueue.from_settings(self.settings, self.store, url)
                sweeper = self._sweeper(queue)
                if joining is None:
                    sweeper.aside = in_line
                    goal.is_reached(sweeper, self.sweep(goal, sweeper))
                elif (cluster := self._joined(joining, goal)) is not None:
                    attendance = Attendance(self.open_desk, cluster, self.wish, self._outages)
                    with attendance.seated(lambda: self._stands_by(goal, sweeper)) as is_seated:
                        if is_seated:
                            fleet = Fleet(self.settings, url, cluster, self.only, queue.leave, self.burying)
                            self._supervise(goal, sweeper, fleet, attendance)
        finally:
            if joining is not None:
                self._give_up(joining)

    def sweep(self, goal: Goal, sweeper: Sweeper, fleet: Fleet | None = None) -> int | None:
        """Sweep once. Returns the number of open batches (at least 1 if one is damaged), or None if Redis or storage is away.

        If `fleet` is given, the sweep also counts the rows of each model, moves workers to models that have work, and looks for
        faults that workers have told. Each fault is reported once, whether the sweep or a worker has met it.
        """
        still_open, damage = None, list[StoreDamaged]()
        with self._outages.waited_for():
            with collect_damage(damage):
                still_open = sweeper.sweep()
            if damage:
                still_open = max(1, len(list(sweeper.batches)))
            with collect_damage(damage):
                goal.look(sweeper)
            if fleet is not None:
                self._count(goal, sweeper, fleet)
                fleet.allocate(self._staffing.has_rows)
                fleet.check_workers()
            if damage:
                raise damage[0]
        return still_open

    def _stands_by(self, goal: Goal, sweeper: Sweeper) -> bool:
        """Sweep once while another supervisor has the workers. Returns whether to go on standing by."""
        goal.show_phase("standing by: another supervisor has the workers")
        if self.interrupts or goal.is_reached(sweeper, self.sweep(goal, sweeper)):
            return False
        time.sleep(self.sweep_s)
        return not self.interrupts

    def _supervise(self, goal: Goal, sweeper: Sweeper, fleet: Fleet, attendance: Attendance) -> None:
        is_over, swept_at = False, float("-inf")
        try:
            fleet.adopt()
            with self._outages.waited_for(), collect_damage([]):
                sweeper.batches.scan()
                self._count(goal, sweeper, fleet)
            self._staff(goal, sweeper, fleet)
            lanes = sorted({self.settings.lane_of(replica.alias) for replica in fleet.replicas})
            started = {"workers": len(fleet.replicas), "lanes": lanes, "address": fleet.cluster.address}
            logger().info("fleet.started", **started, **self.timings)
            while not self.interrupts and not is_over:
                fleet.watch()
                if time.monotonic() - swept_at >= self.sweep_s:
                    swept_at = time.monotonic()
                    is_over = goal.is_reached(sweeper, self.sweep(goal, sweeper, fleet))
                    self._staff(goal, sweeper, fleet)
                goal.tick(sweeper, fleet)
                self._obey(attendance, fleet)
                if not is_over:
                    time.sleep(min(TICK_S, self.sweep_s))
            # A published batch has no rows left to finish, so workers that served only it need no drain.
            drain_s = 0.0 if is_over and self.only is not None else self.settings.drain_s
            fleet.drain(drain_s, meanwhile=lambda: self._while_draining(goal, fleet, attendance))
            if not is_over:
                sweeper.aside = in_line
                goal.is_reached(sweeper, self.sweep(goal, sweeper))  # publishes what the drain has finished
        except BaseException:
            if fleet.cluster.keeps:
                fleet.abandon()  # the next supervisor adopts the workers
            raise
        finally:
            fleet.kill()

    def _staff(self, goal: Goal, sweeper: Sweeper, fleet: Fleet) -> None:
        is_early = fleet.replicas and time.monotonic() - self._staffed_at < STAFF_S
        if is_early or fleet.cluster.is_away():
            return
        self._staffed_at = time.monotonic()
        fleet.follow(self._staffing.plan(self._models(goal, sweeper), fleet))

    def _count(self, goal: Goal, sweeper: Sweeper, fleet: Fleet) -> None:
        """Count the rows to do of the models that the goal needs, and of those that the fleet has workers of."""
        ours = {replica.alias for replica in fleet.replicas}
        self._staffing.count(ours.union(self._models(goal, sweeper)), sweeper)

    def _models(self, goal: Goal, sweeper: Sweeper) -> Sequence[str]:
        """Return the models that need workers now: those of the goal, and those that commands wish which have joined."""
        aliases = set(goal.models(sweeper))
        for wish in self._orders.wishes:
            aliases.update(wish.models or open_models(sweeper.batches))
        return self._staffing.known(aliases)

    def _obey(self, attendance: Attendance, fleet: Fleet) -> None:
        """Tell the desk how the fleet is, and follow its orders: to stop, and what commands wish that have joined."""
        rows = self._staffing.rows
        models = {alias: {"rows": rows.get(alias, 0), **figures} for alias, figures in fleet.figures().items()}
        self._orders = attendance.beat({"models": models, "state": "draining" if self.interrupts else "working"})
        self.interrupts = max(self.interrupts, self._orders.stops, int(self._orders.is_lost))
        wished = [wish.workers for wish in (self.wish, *self._orders.wishes) if wish.workers is not None]
        self._staffing.workers = max(wished, default=None)

    def _while_draining(self, goal: Goal, fleet: Fleet, attendance: Attendance) -> None:
        self._obey(attendance, fleet)
        if self.interrupts > 1:
            fleet.kill()
        if self.interrupts:
            goal.show_phase("finishing what is nearly done; Ctrl-C again to stop at once")

    def _sweeper(self, queue: RedisQueue) -> Sweeper:
        settings = self.settings
        return Sweeper(
            self.store,
            queue,
            OpenBatches(self.store, self.only, settings.batch_scan_s),
            settings.prices,
            breaker_rows=settings.breaker_rows,
            on_published=self.on_published,
            aside=self.publishing,
            after_sweep=self.after_sweep,
            compact_segments=settings.compact_segments,
            accounts=TenantAccounts(self.store, settings),
        )

    def _join(self) -> Future[Cluster]:
        """Join the cluster on a daemon thread: Python does not wait for it at exit."""
        joining: Future[Cluster] = Future()

        def join() -> None:
            began = time.monotonic()
            try:
                cluster = self.connect()
            except BaseException as error:  # noqa: BLE001 - raised again by `_joined`
                joining.set_exception(error)
            else:
                self.timings["ray_s"] = round(time.monotonic() - began, 2)
                joining.set_result(cluster)
                threading.Event().wait()  # this thread must not end: the kernel would end the processes of a local Ray with it

        threading.Thread(target=join, name="ray", daemon=True).start()
        return joining

    def _joined(self, joining: Future[Cluster], goal: Goal) -> Cluster | None:
        """Return the cluster once it is joined; None if the supervisor was interrupted.

        Raises UnavailableError if joining fails, or takes longer than JOIN_S seconds.
        """
        began = time.monotonic()
        with sigterm_handler_kept() as keep:
            while not joining.done() and not self.interrupts:
                goal.show_phase("starting Ray")
                if time.monotonic() - began > JOIN_S:
                    raise UnavailableError(
                        f"Ray has not started within {JOIN_S:.0f} s. Try again when the machine is less busy, and look into "
                        "Ray's logs (session_latest/logs)."
                    )
                time.sleep(JOIN_TICK_S)
                keep()
        if self.interrupts:
            return None
        cluster = joining.result()
        logger().info("cluster.joined", address=cluster.address)
        return cluster

    def _give_up(self, joining: Future[Cluster]) -> None:
        """If Ray is still starting at the end of the command, wait a little, and then end the process without it."""
        until = time.monotonic() + (GIVE_UP_S if self.interrupts < 2 else 0.0)
        with sigterm_handler_kept() as keep:
            while not joining.done() and time.monotonic() < until and self.interrupts < 2:
                time.sleep(JOIN_TICK_S)
                keep()
        if not joining.done():  # Ray's exit handlers would wait for Ray's start, or abort
            atexit.register(end_process, INTERRUPTED if self.interrupts else UnavailableError.exit_status)

    @contextlib.contextmanager
    def _redis_url(self) -> Iterator[str]:
        """Yield the URL of the user's server, or else of an embedded one, which runs while the block lasts."""
        if self.settings.redis_url is not None:
            yield self.settings.redis_url.get_secret_value()
            return
        began = time.monotonic()
        with embedded_redis.server(embedded_redis.folder_of(self.settings)) as url:
            self.timings["server_s"] = round(time.monotonic() - began, 2)
            logger().info("queue.embedded", message=EMBEDDED)
            yield url

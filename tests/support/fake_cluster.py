"""A cluster for tests. Its workers wait for room, come up, end after `stop`, and can be killed.

Waiting workers get room in the most unfavourable order: the last one first, on the emptiest node. Time passes only when a
test moves it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from workers.fleet.desk.seat import Holder, Orders, Seat, Wish
from workers.fleet.handles import Capacity, End, Found
from workers.worker.worker import WorkerPlan


@dataclass
class FakeLog:
    """The log of a fake worker: the lines of the next read, and the last lines."""

    next: list[tuple[str, str]] = field(default_factory=list)
    last: list[tuple[str, str]] = field(default_factory=list)
    is_near: bool = True

    def read(self) -> Sequence[tuple[str, str]]:
        lines, self.next = self.next, []
        return lines

    def read_rest(self, timeout_s: float) -> Sequence[tuple[str, str]]:
        del timeout_s
        return [*self.read(), *self.last]


@dataclass(eq=False)
class FakeWorker:
    """A worker on a `FakeCluster`. A slow worker gets room, but does not come up. It ends by itself if `exit` is set."""

    cluster: "FakeCluster"
    plan: WorkerPlan
    needs: Counter[str]
    slow: bool = False
    room: Counter[str] | None = None
    exit: End | None = None
    stopped_at: float = float("inf")
    drain_s: float | None = None
    killed: bool = False
    log: FakeLog = field(default_factory=FakeLog)
    running: int | None = None
    has_told: bool = False

    @property
    def alive(self) -> bool:
        return self.room is not None and not self.slow

    @property
    def stopped(self) -> bool:
        return self.stopped_at <= self.cluster.seconds

    @property
    def ended(self) -> bool:
        return (
            self.killed
            or self.exit is not None
            or (self.alive and self.cluster.seconds >= self.stopped_at + self.cluster.draining_s)
        )

    # -- what a fleet calls -----------------------------------------------------------------------------------------

    def is_placed(self) -> bool:
        return self.killed or (self.alive and self.has_told)

    def node(self) -> str:
        return "" if self.room is None else self.cluster.id_of(self.room)

    def end(self, timeout_s: float = 0.0) -> End | None:
        if not self.ended:
            self.cluster.seconds += timeout_s
        return (self.exit or End("it ended")) if self.ended else None

    def was_loaded(self) -> bool:
        return self.room is not None and not self.slow and self.cluster.loads

    def status(self) -> Mapping[str, Any] | None:
        if not self.alive or self.ended:
            return None
        own = {} if self.running is None else {"running": self.running}
        well = dict.fromkeys(("store_fault", "queue_fault", "store_damage"), "")
        return {"worker": self.plan.worker, "model": self.plan.alias, **well, **self.cluster.status, **own}

    def stop(self, drain_s: float) -> None:
        self.stopped_at, self.drain_s = self.cluster.seconds, drain_s

    def kill(self) -> None:
        self.cluster.die_slowly()
        if self.room is not None and not self.killed:
            self.room.update(self.needs)
            self.cluster.freed_at = self.cluster.seconds
        self.killed = True


@dataclass
class FakeCluster:
    """A cluster of nodes, each a count of its free resources. `status` is added to the status of each worker.

    A worker drains for `draining_s` seconds, and freed resources can be used after `freeing_s` seconds. Workers that are
    started while `slow` is set do not come up. While `away` is set, the cluster does not answer. `others` holds the resources
    that other programs wait for, and `drains` the ids of nodes that drain with the time at which each ends. Workers load their
    models at once if `loads` is set. If `grows_by` is given, each worker that waits and fits on no node brings a further node of
    these resources, as on a cluster that grants every demand. `requests` are the bundles of each request. `die_slowly` is called
    when a worker is killed.
    """

    nodes: list[Counter[str]]
    seconds: float = 0.0
    workers: list[FakeWorker] = field(default_factory=list)
    status: dict[str, Any] = field(default_factory=dict)
    slow: bool = False
    away: bool = False
    draining_s: float = 0.0
    freeing_s: float = 0.0
    freed_at: float = float("-inf")
    address: str = "a fake cluster"
    is_private: bool = False
    keeps: bool = False
    others: list[Mapping[str, float]] = field(default_factory=list)
    drains: dict[str, float] = field(default_factory=dict)
    loads: bool = True
    grows_by: Mapping[str, int] | None = None
    grown: Mapping[str, float] = field(default_factory=dict)
    requests: list[Sequence[Mapping[str, float]]] = field(default_factory=list)
    die_slowly: Callable[[], object] = lambda: None

    def __post_init__(self) -> None:
        self.nodes = list(self.nodes)
        self._totals = [dict(node) for node in self.nodes]

    def monotonic(self) -> float:
        return self.seconds

    def id_of(self, node: Counter[str]) -> str:
        """Return the id of a node: `node-0` for the first."""
        return f"node-{next(n for n, one in enumerate(self.nodes) if one is node)}"

    def _staying(self) -> list[Counter[str]]:
        return [node for node in self.nodes if self.id_of(node) not in self.drains]

    def place(self) -> None:
        """Give room to waiting workers, if there is any."""
        if self.seconds - self.freed_at < self.freeing_s:
            return
        for worker in reversed(self.waiting()):
            fitting = self._fitting(worker)
            if not fitting and self.grows_by is not None:
                self.nodes.append(Counter(self.grows_by))
                self._totals.append(dict(self.grows_by))
                fitting = self._fitting(worker)
            if fitting:
                worker.room = max(fitting, key=lambda node: sum(node.values()))
                worker.room.subtract(worker.needs)

    def _fitting(self, worker: FakeWorker) -> list[Counter[str]]:
        return [node for node in self._staying() if all(node[kind] >= n for kind, n in worker.needs.items())]

    def active(self) -> list[FakeWorker]:
        return [worker for worker in self.workers if worker.alive and not worker.stopped and not worker.ended]

    def waiting(self) -> list[FakeWorker]:
        return [worker for worker in self.workers if worker.room is None and not worker.killed]

    # -- what a fleet calls -----------------------------------------------------------------------------------------

    def start(self, plan: WorkerPlan, needs: Mapping[str, float]) -> FakeWorker:
        self.workers.append(FakeWorker(self, plan, Counter(needs), self.slow))
        return self.workers[-1]

    def left(self) -> Sequence[Found]:
        if not self.keeps:
            return ()
        return [Found(one.plan.worker, one.plan.alias, one) for one in self.workers if not one.killed]

    def capacity(self) -> Capacity:
        totals = [
            total for node, total in zip(self.nodes, self._totals, strict=True) if self.id_of(node) not in self.drains
        ]
        free = {kind: n for kind, n in sum(self._staying(), Counter()).items() if n}
        return Capacity(free, totals, self.grown)

    def draining(self) -> Mapping[str, float]:
        return self.drains

    def demands(self) -> Sequence[Mapping[str, float]]:
        return [*self.others, *(dict(worker.needs) for worker in self.waiting())]

    def request(self, bundles: Sequence[Mapping[str, float]]) -> None:
        self.requests.append(bundles)

    def check(self) -> None:
        for worker in self.workers:
            worker.has_told = worker.has_told or worker.alive

    def is_away(self) -> bool:
        return self.away

    def close(self) -> None:
        pass


# -- the desk of a store on it --------------------------------------------------------------------------------------------


def holder(name: str, kind: Literal["foreground", "detached"] = "foreground") -> Holder:
    return Holder(name, kind, "gpu-1", 7, "2026-12-01T22:00:00+00:00")


@dataclass
class DeskRoom:
    """The place of the desk: empty, or with a seat. `seconds` is its time."""

    seat: Seat | None = None
    seconds: float = 0.0

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class FakeDesk:
    """The desk in a room, as `holder` uses it."""

    room: DeskRoom
    holder: Holder
    told: list[Mapping[str, Any]] = field(default_factory=list)

    def take(self) -> Holder | None:
        if self.room.seat is None:
            self.room.seat = Seat(self.holder, self.room.monotonic)
            return None
        return self.room.seat.take(self.holder)

    def join(self, wish: Wish) -> None:
        if self.room.seat is not None:
            self.room.seat.join(self.holder.id, wish)

    def beat(self, figures: Mapping[str, Any]) -> Orders:
        self.told.append(figures)
        return Orders(is_lost=True) if self.room.seat is None else self.room.seat.sit(self.holder.id, figures)

    def leave(self) -> None:
        if self.room.seat is not None and self.room.seat.holder.id == self.holder.id:
            self.room.seat = None

"""The worker as a Ray actor, and the Ray cluster that starts it: the implementation of `workers/fleet/handles.py`.

The actor runs the worker on a thread of its own from the moment it is made, so nobody has to wait for a call. It answers `report`
when something has changed: that is how a fleet of many workers learns of each without asking. The fleet stops it by calling its
`stop`. SIGTERM makes it leave too, by a handler of ours: Ray's own would wait for calls that are under way. Ray restarts no actor
and repeats no call: only the queue decides on retries, and the fleet replaces workers that died.
"""

import atexit
import contextlib
import math
import os
import re
import secrets
import signal
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import ray

from jobs.errors import UnavailableError
from jobs.logs import logger
from workers.fleet.gcs_watch import GcsWatch, end_process
from workers.fleet.handles import GCS_TIMEOUT_VARIABLE, Capacity, End, Found
from workers.fleet.log_relay.worker_log import RayLog, logs_folder, read_to_the_end
from workers.fleet.nodes.draining import DrainWatch
from workers.fleet.nodes.interpreter import python_for
from workers.fleet.nodes.needs import Node, ray_needs, selectors
from workers.logs.files import Chunk, open_log, read_log
from workers.worker.worker import Worker, WorkerPlan

CONTROL: Final = "control"
"""The name of the concurrency group for calls that are answered at once."""
REPORTS: Final = "reports"
"""The name of the concurrency group for calls of `report`, which wait until something has changed."""
REPORT_S: Final = 2.0
"""A worker reports at least once in this many seconds, so that its figures are fresh. With many workers it reports less often."""
REPORTS_PER_S: Final = 50.0
"""The workers of a cluster together report at most about so often, beside what has changed."""
TICK_S: Final = 0.2
"""Seconds between two looks of a worker at whether something has changed."""
KEPT: Final = "worker"
"""The name of a detached worker begins with this; the alias of its model, its own name and that of its log follow."""
FAULTS: Final = ("store_fault", "queue_fault", "store_damage")
"""The fields of a status that report a fault: a change of one is reported at once."""
SILENT_S: Final = 30.0
"""Seconds after which the status of a worker that reports nothing is no longer known."""
LINGER_S: Final = 10.0
"""Seconds that the process of a worker that left stays, so that its fleet can read the end of its log, if no fleet ends it."""
TERMINATED_S: Final = 5.0
"""A worker has left this many seconds after SIGTERM, or after `drain_s` if that is shorter: whoever sends SIGTERM kills soon."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker tells: its status, and its end if it has ended. A further report is due once the `signature` changes."""

    status: Mapping[str, Any]
    signature: tuple[Any, ...]
    end: End | None


class NodeWorker(Worker):
    """A worker that knows on which node of the cluster it runs, and logs to files there. Its fleet fetches the lines.

    It loads no model on a node that drains, and leaves at SIGTERM.
    """

    def __init__(self, plan: WorkerPlan, log: str) -> None:
        self._node_id: str = ray.get_runtime_context().get_node_id()
        node = name_of_node(self._node_id, ray.nodes())
        self._log = log
        open_log(logs_folder(), log, plan.settings.log_level, node)
        super().__init__(replace(plan, node=node))
        self._ended = threading.Event()
        self._end: End | None = None
        self._reports = 0
        if (
            threading.current_thread() is threading.main_thread()
        ):  # Ray makes actors there; only there handlers can be set
            signal.signal(signal.SIGTERM, self._on_sigterm)
        threading.Thread(target=self._run_to_its_end, name="run", daemon=True).start()

    def status(self) -> Mapping[str, Any]:
        """Return `Worker.status`, and the id of the node."""
        return {**super().status(), "node_id": self._node_id}

    def report(self, known: tuple[Any, ...] | None, wait_s: float) -> Report:
        """Return a report once its signature is another than `known`, or after `wait_s` seconds.

        A later call ends an earlier one, whose caller may be gone.
        """
        self._reports += 1
        mine, until = self._reports, time.monotonic() + wait_s
        while True:
            status, end = self.status(), self._end or self._early_end()
            signature = ("load_s" in status, not status["running"], end is not None, *map(status.get, FAULTS))
            if signature != known or mine != self._reports or time.monotonic() >= until:
                return Report(status, signature, end)
            self._ended.wait(TICK_S)

    def _run_to_its_end(self) -> None:
        try:
            if self._node_id in (draining_nodes() or ()):  # Ray has chosen it just before
                self.leave("its node drains", 0.0)
            reason = self.run().get("left", "")
            self._end = End(reason or "it ended", left=bool(reason))
        except BaseException as error:  # noqa: BLE001 - the fleet decides what follows
            self._end = End(_text(error), error if isinstance(error, UnavailableError) else None)
        self._ended.set()
        if self._end.left:
            ending = threading.Timer(LINGER_S, self._end_process, [0])
            ending.daemon = True
            ending.start()

    def _early_end(self) -> End | None:
        """Return the end of a worker that was stopped while its model loads; its process ends soon."""
        reason = self.left_while_loading
        return None if reason is None else End(reason or "it was stopped while its model was loaded", left=bool(reason))

    def read_log(self, offsets: Sequence[int], *, is_over: bool = False) -> Chunk:
        """Return what this worker has logged and printed after the offsets."""
        return read_to_the_end(self._log, offsets) if is_over else read_log(logs_folder(), self._log, offsets)

    def _configure_logs(self) -> None:
        pass  # `open_log` has configured them when the worker was made

    def _on_sigterm(self, *_: object) -> None:
        # on a thread, since a handler may interrupt code that holds a lock which the drain needs
        grace_s = min(TERMINATED_S, self._plan.settings.drain_s)
        threading.Thread(target=self.leave, args=("its process was told to end", grace_s), daemon=True).start()


def draining_nodes() -> Mapping[str, float] | None:
    """Return the ids of the nodes that drain, each with the Unix time at which it ends, or infinity. None if Ray is away."""
    try:
        found = ray._private.state.state.get_draining_nodes()  # noqa: SLF001 - Ray tells it nowhere else without its dashboard
    except (ray.exceptions.RayError, RuntimeError, ConnectionError):
        return None
    return {node: ends_ms / 1000 if ends_ms else math.inf for node, ends_ms in found.items()}


def _text(error: BaseException) -> str:
    return str(error) if isinstance(error, UnavailableError) else f"{type(error).__name__}: {error}"


def name_of_node(node_id: str, nodes: Sequence[Mapping[str, Any]]) -> str:
    """Return the name of a node for people: its host's name, and the beginning of the node's id if several nodes share the
    host.
    """
    hosts = {str(node["NodeID"]): str(node["NodeManagerHostname"]) for node in nodes if node["Alive"]}
    host = hosts.get(node_id)
    if host is None:
        return node_id[:12]
    return host if list(hosts.values()).count(host) == 1 else f"{host}/{node_id[:6]}"


class RayWorker:
    """The handle of a worker that is a Ray actor. One call of its `report` is always under way: the worker answers it when
    something has changed, or after a while.
    """

    def __init__(self, actor: Any, is_lost: Callable[[], bool], log: str) -> None:
        self._actor = actor
        self._is_lost = is_lost
        self.log = RayLog(log, partial(self._call, "read_log"), is_lost)
        self._told: Report | None = None
        self._told_at = 0.0
        self._end: End | None = None
        self._lock = threading.Lock()
        self.wait_s = REPORT_S
        self.report = self._ask()

    def take_in(self, report: Any) -> None:
        """Take in the answer of a call that has come, and make the next call. A second time, nothing is done."""
        with self._lock:
            if report is not self.report or self._end is not None:
                return
            try:
                self._told = ray.get(report)
            except ray.exceptions.RayTaskError as error:
                self._end = End(str(error.cause), error.cause)
            except ray.exceptions.RayError as error:
                self._end = End(why(error))
            else:
                self._told_at, self._end = time.monotonic(), self._told.end
            if self._end is None:
                self.report = self._ask()

    def is_placed(self) -> bool:
        return self._told is not None or self._end is not None

    def node(self) -> str:
        return "" if self._told is None else str(self._told.status["node_id"])

    def end(self, timeout_s: float = 0.0) -> End | None:
        until = time.monotonic() + timeout_s
        while self._end is None and (left_s := until - time.monotonic()) > 0:
            report = self.report
            if ray.wait([report], timeout=left_s)[0]:
                self.take_in(report)
        return self._end

    def is_over(self) -> bool:
        """Whether the worker is known to have ended."""
        return self._end is not None

    def was_loaded(self) -> bool:
        return self._told is not None and "load_s" in self._told.status

    def status(self) -> Mapping[str, Any] | None:
        if self._told is None or self._end is not None:
            return None
        return self._told.status if time.monotonic() - self._told_at < SILENT_S + self.wait_s else None

    def stop(self, drain_s: float) -> None:
        self._call("stop", drain_s)

    def kill(self) -> None:
        if not self._is_lost():  # if the cluster is lost, the call would hang, and Ray ends the worker by itself
            ray.kill(self._actor)

    def _ask(self) -> Any:
        known = None if self._told is None else self._told.signature
        return self._actor.report.options(concurrency_group=REPORTS).remote(known, self.wait_s)

    def _call(self, method: str, *args: Any, **named: Any) -> Any:
        return getattr(self._actor, method).options(concurrency_group=CONTROL).remote(*args, **named)


def why(error: BaseException) -> str:
    """Return the reason that Ray gives for a worker's death, in one line, such as that its node ran out of memory."""
    text = " ".join(str(error).split())
    detail = re.search(r"Worker exit type: (\S+) Worker exit detail: (.*)", text)
    if detail is None:
        return f"{type(error).__name__}: {text}"
    return f"{type(error).__name__}: {detail[1]}: {detail[2].partition(' Some common causes')[0]}"


def named_actors(namespace: str) -> Sequence[str]:
    """Return the names of the actors in a namespace, also of those that wait for room."""
    found = ray.util.list_named_actors(all_namespaces=True)
    return [str(one["name"]) for one in found if one["namespace"] == namespace]


def grown() -> Mapping[str, float]:
    """Return the resources that the cluster has once its autoscaler has added all nodes that it may; empty without one."""
    try:
        found = ray._private.state.state.get_max_resources_from_cluster_config()  # noqa: SLF001 - Ray has no other way to ask
    except (ray.exceptions.RayError, RuntimeError, ConnectionError):
        return {}
    return {kind: float(n) for kind, n in (found or {}).items()}


class RayCluster:
    """The Ray cluster that this process has joined. Its control store is watched from the first `check` on.

    With a `namespace`, workers are detached actors with names in it, which outlive this process. `is_private` is whether this
    process has started the cluster. `grows_to` says which resources it may grow to by further nodes.
    """

    def __init__(
        self,
        address: str,
        *,
        is_private: bool = False,
        namespace: str | None = None,
        grows_to: Mapping[str, float] | None = None,
    ) -> None:
        self.address = address
        self.is_private = is_private
        self.keeps = namespace is not None
        self._namespace = namespace
        self._grows_to = grows_to or {}
        self._labels: set[str] = set()
        self._watch: GcsWatch | None = None
        self._drains: DrainWatch | None = None
        self._workers: weakref.WeakSet[RayWorker] = weakref.WeakSet()

    def start(self, plan: WorkerPlan, needs: Mapping[str, float]) -> RayWorker:
        resources = ray_needs(needs)
        self._labels |= needs.keys() - resources.keys()
        actor_class = ray.remote(
            num_cpus=resources.pop("CPU"),
            num_gpus=resources.pop("GPU", 0.0),
            resources=resources,
            label_selector=selectors(needs),
            max_restarts=0,
            max_task_retries=0,
            concurrency_groups={CONTROL: 3, REPORTS: 4},
        )(NodeWorker)
        card = plan.settings.catalog[plan.alias]
        if (python := python_for(plan.alias, card, plan.settings.cache_dir, needs)) is not None:
            actor_class = actor_class.options(runtime_env={"py_executable": str(python)})
        log = f"{plan.worker}-{secrets.token_hex(4)}"  # unique: a worker that replaces a dead worker has the same name
        if self._namespace is not None:
            name = f"{KEPT}/{plan.alias}/{plan.worker}/{log}"
            actor_class = actor_class.options(name=name, namespace=self._namespace, lifetime="detached")
        return self._follow(actor_class.remote(plan, log), log)

    def left(self) -> Sequence[Found]:
        if self._namespace is None:
            return ()
        found = []
        for name in named_actors(self._namespace):
            kind, _, rest = name.partition("/")
            if kind == KEPT:
                alias, worker, log = rest.split("/")
                with contextlib.suppress(ValueError):  # it has just ended
                    actor = ray.get_actor(name, namespace=self._namespace)
                    found.append(Found(worker, alias, self._follow(actor, log)))
        return found

    def _follow(self, actor: Any, log: str) -> RayWorker:
        worker = RayWorker(actor, self._is_lost, log)
        self._workers.add(worker)
        return worker

    def capacity(self) -> Capacity:
        draining = self.draining()
        alive = {node["NodeID"]: node for node in ray.nodes() if node["Alive"] and node["NodeID"] not in draining}
        nodes = {name: Node(node["Resources"], node["Labels"]) for name, node in alive.items()}
        free = Counter[str]()
        for name, resources in ray._private.state.available_resources_per_node().items():  # noqa: SLF001 - by node nowhere else
            if name in nodes:
                free.update(Node(resources, nodes[name].labels).with_labels(self._labels))
        totals = [node.with_labels(self._labels) for node in nodes.values()]
        return Capacity(free, totals, self._grown(totals), [node.labels for node in nodes.values()])

    def _grown(self, totals: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
        """Return the resources that the cluster may grow to; empty if it may not. A limit below what it has is no growth."""
        found = {**grown(), **self._grows_to}
        return found if any(n > sum(one.get(kind, 0.0) for one in totals) for kind, n in found.items()) else {}

    def draining(self) -> Mapping[str, float]:
        if self._drains is None:
            self._drains = DrainWatch(draining_nodes)
            self._drains.look()
            self._drains.start()
        return self._drains.nodes

    def demands(self) -> Sequence[Mapping[str, float]]:
        from ray.autoscaler.v2.sdk import get_cluster_status

        try:
            status = get_cluster_status(ray.get_runtime_context().gcs_address)
        except (ray.exceptions.RayError, RuntimeError):
            return ()
        waiting = [one for demand in status.resource_demands.ray_task_actor_demand for one in demand.bundles_by_count]
        return [dict(one.bundle) for one in waiting for _ in range(one.count)]

    def request(self, bundles: Sequence[Mapping[str, float]]) -> None:
        if self._is_lost():
            return
        from ray.autoscaler.sdk import request_resources

        try:
            request_resources(
                bundles=[ray_needs(bundle) for bundle in bundles],
                bundle_label_selectors=[selectors(bundle) for bundle in bundles],
            )
        except (ray.exceptions.RayError, RuntimeError) as error:  # the workers that wait are a demand of their own
            logger().warning("cluster.request_failed", error=_text(error))

    def check(self) -> None:
        self._take_in_reports()
        if self._watch is None:
            timeout_s = float(os.environ.get(GCS_TIMEOUT_VARIABLE, "60"))
            self._watch = GcsWatch(ray.get_runtime_context().gcs_address, timeout_s).start()
        try:
            self._watch.check()
        except UnavailableError as error:
            # `end_process` runs before Ray's exit handler, which would wait for the control store.
            atexit.register(end_process, error.exit_status)
            raise

    def is_away(self) -> bool:
        return self._watch is not None and self._watch.away

    def close(self) -> None:
        if self._drains is not None:
            self._drains.close()
            self._drains = None
        if self._watch is not None and not self._watch.lost:
            self._watch.close()
            self._watch = None

    def _take_in_reports(self) -> None:
        """Take in all reports that have come, with one question to Ray for all workers."""
        under_way = {worker.report: worker for worker in self._workers if not worker.is_over()}
        if not under_way:
            return
        for report in ray.wait(list(under_way), num_returns=len(under_way), timeout=0)[0]:
            worker = under_way[report]
            worker.wait_s = max(REPORT_S, len(under_way) / REPORTS_PER_S)
            worker.take_in(report)

    def _is_lost(self) -> bool:
        return self._watch is not None and self._watch.lost

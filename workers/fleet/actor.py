"""The worker as a Ray actor, and the Ray cluster that starts it: the implementation of `workers/fleet/handles.py`.

The actor has one long call, `run`, and a second concurrency group for all other calls. The fleet stops the actor by calling its
`stop`. SIGTERM makes it leave too: Ray's own handler would end the main thread and wait for `run`, so a handler of ours replaces
it. Ray restarts no actor and repeats no call: only the queue decides on retries, and the fleet replaces workers that died.
"""

import atexit
import math
import os
import re
import secrets
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import ray

from jobs.errors import UnavailableError
from workers.fleet.gcs_watch import GcsWatch, end_process
from workers.fleet.handles import GCS_TIMEOUT_VARIABLE, Capacity, End
from workers.fleet.nodes.draining import DrainWatch
from workers.fleet.worker_log import RayLog, logs_folder, read_to_the_end
from workers.logs.files import Chunk, open_log, read_log
from workers.worker.worker import Worker, WorkerPlan

CONTROL: Final = "control"
"""The name of the concurrency group for calls that are answered while `run` runs."""
LINGER_S: Final = 10.0
"""Seconds that the process of a worker that left stays, so that its fleet can read the end of its log, if no fleet ends it."""
TERMINATED_S: Final = 5.0
"""A worker has left this many seconds after SIGTERM, or after `drain_s` if that is shorter: whoever sends SIGTERM kills soon."""


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
        if (
            threading.current_thread() is threading.main_thread()
        ):  # where Ray makes actors; only there handlers can be set
            signal.signal(signal.SIGTERM, self._on_sigterm)

    def run(self) -> Mapping[str, Any]:
        """Work as `Worker.run` does, unless the node drains: Ray may have chosen it just before."""
        if self._node_id in (draining_nodes() or ()):
            self.leave("its node drains", 0.0)
        figures = super().run()
        if "left" in figures:
            ending = threading.Timer(LINGER_S, self._end_process, [0])
            ending.daemon = True
            ending.start()
        return figures

    def status(self) -> Mapping[str, Any]:
        """Return `Worker.status`, and the id of the node."""
        return {**super().status(), "node_id": self._node_id}

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
    """The handle of a worker that is a Ray actor. Making a handle calls the actor's `run`."""

    def __init__(self, actor: Any, is_lost: Callable[[], bool], log: str) -> None:
        self._actor = actor
        self._is_lost = is_lost
        self.log = RayLog(log, partial(self._call, "read_log"), is_lost)
        self._running = actor.run.remote()
        self._loaded = self._call("wait_loaded")
        self._first_answer = self._call("status")
        self._node: str | None = None

    def is_placed(self) -> bool:
        return bool(ray.wait([self._first_answer], timeout=0)[0])

    def node(self) -> str:
        if self._node is None and self.is_placed():
            try:
                self._node = str(ray.get(self._first_answer)["node_id"])
            except ray.exceptions.RayError:  # it died before it answered
                self._node = ""
        return self._node or ""

    def end(self, timeout_s: float = 0.0) -> End | None:
        if not ray.wait([self._running], timeout=timeout_s)[0]:
            return None
        try:
            ended = ray.get(self._running)
        except ray.exceptions.RayTaskError as error:
            return End(str(error.cause), error.cause)
        except ray.exceptions.RayError as error:
            return End("it left before its model was loaded", left=True) if self._left_early() else End(why(error))
        return End(ended["left"], left=True) if "left" in ended else End("it ended")

    def was_loaded(self) -> bool:
        try:
            return bool(ray.get(self._loaded, timeout=1.0))
        except (ray.exceptions.RayError, TimeoutError):
            return False

    def _left_early(self) -> bool:
        """Whether the worker, whose process has ended, had said that it leaves before its model was loaded."""
        try:
            return bool(ray.wait([self._loaded], timeout=0)[0]) and not ray.get(self._loaded)
        except ray.exceptions.RayError:
            return False

    def ask_status(self) -> Callable[[float], Mapping[str, Any] | None]:
        asked = self._call("status")

        def answer(timeout_s: float) -> Mapping[str, Any] | None:
            try:
                status: Mapping[str, Any] = ray.get(asked, timeout=timeout_s)
            except (ray.exceptions.RayError, TimeoutError):  # the worker has died, or is slow
                return None
            return status

        return answer

    def stop(self, drain_s: float) -> None:
        self._call("stop", drain_s)

    def kill(self) -> None:
        if not self._is_lost():  # if the cluster is lost, the call would hang, and Ray ends the worker by itself
            ray.kill(self._actor)

    def _call(self, method: str, *args: Any, **named: Any) -> Any:
        return getattr(self._actor, method).options(concurrency_group=CONTROL).remote(*args, **named)


def why(error: BaseException) -> str:
    """Return the reason that Ray gives for a worker's death, in one line, such as that its node ran out of memory."""
    text = " ".join(str(error).split())
    detail = re.search(r"Worker exit type: (\S+) Worker exit detail: (.*)", text)
    if detail is None:
        return f"{type(error).__name__}: {text}"
    return f"{type(error).__name__}: {detail[1]}: {detail[2].partition(' Some common causes')[0]}"


class RayCluster:
    """The Ray cluster that this process has joined. Its control store is watched from the first `check` on."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._watch: GcsWatch | None = None
        self._drains: DrainWatch | None = None

    def start(self, plan: WorkerPlan, needs: Mapping[str, float]) -> RayWorker:
        actor_class = ray.remote(
            num_cpus=needs["CPU"],
            num_gpus=needs.get("GPU", 0.0),
            max_restarts=0,
            max_task_retries=0,
            concurrency_groups={CONTROL: 3},
        )(NodeWorker)
        log = f"{plan.worker}-{secrets.token_hex(4)}"  # unique: a worker that replaces a dead worker has the same name
        return RayWorker(actor_class.remote(plan, log), self._is_lost, log)

    def capacity(self) -> Capacity:
        draining = self.draining()
        nodes = {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}
        free = Counter[str]()
        for node, resources in ray._private.state.available_resources_per_node().items():  # noqa: SLF001 - by node nowhere else
            if node in nodes and node not in draining:
                free.update(resources)
        return Capacity(free, [resources for node, resources in nodes.items() if node not in draining])

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

    def check(self) -> None:
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

    def _is_lost(self) -> bool:
        return self._watch is not None and self._watch.lost

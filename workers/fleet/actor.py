"""The worker as a Ray actor, and the Ray cluster that starts it: the implementation of `workers/fleet/handles.py`.

The actor has one long call, `run`, and a second concurrency group for all other calls. An actor does not notice SIGTERM during
a long call, so the fleet stops the actor by calling its `stop`. Ray restarts no actor and repeats no call: only the queue decides
on retries, and the fleet replaces workers that died.
"""

import atexit
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import ray

from jobs.errors import UnavailableError
from workers.fleet.gcs_watch import GcsWatch, end_process
from workers.fleet.handles import GCS_TIMEOUT_VARIABLE, Capacity, End
from workers.worker.worker import Worker, WorkerPlan

CONTROL: Final = "control"
"""The name of the concurrency group for calls that are answered while `run` runs."""


class NodeWorker(Worker):
    """A worker that knows on which node of the cluster it runs."""

    def __init__(self, plan: WorkerPlan) -> None:
        super().__init__(replace(plan, node=ray.get_runtime_context().get_node_id()[:12]))


class RayWorker:
    """The handle of a worker that is a Ray actor. Making a handle calls the actor's `run`."""

    def __init__(self, actor: Any, is_lost: Callable[[], bool]) -> None:
        self._actor = actor
        self._is_lost = is_lost
        self._running = actor.run.remote()
        self._loaded = self._call("wait_loaded")
        self._first_answer = self._call("status")

    def is_placed(self) -> bool:
        return bool(ray.wait([self._first_answer], timeout=0)[0])

    def end(self, timeout_s: float = 0.0) -> End | None:
        if not ray.wait([self._running], timeout=timeout_s)[0]:
            return None
        try:
            ray.get(self._running)
        except ray.exceptions.RayTaskError as error:
            return End(str(error.cause), error.cause)
        except ray.exceptions.RayError as error:
            return End(type(error).__name__)
        return End("it ended")

    def was_loaded(self) -> bool:
        try:
            ray.get(self._loaded, timeout=1.0)
        except (ray.exceptions.RayError, TimeoutError):
            return False
        return True

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

    def _call(self, method: str, *args: Any) -> Any:
        return getattr(self._actor, method).options(concurrency_group=CONTROL).remote(*args)


class RayCluster:
    """The Ray cluster that this process has joined. Its control store is watched from the first `check` on."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._watch: GcsWatch | None = None

    def start(self, plan: WorkerPlan, needs: Mapping[str, float]) -> RayWorker:
        actor_class = ray.remote(
            num_cpus=needs["CPU"],
            num_gpus=needs.get("GPU", 0.0),
            max_restarts=0,
            max_task_retries=0,
            concurrency_groups={CONTROL: 3},
        )(NodeWorker)
        return RayWorker(actor_class.remote(plan), self._is_lost)

    def capacity(self) -> Capacity:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return Capacity(ray.available_resources(), nodes)

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
        if self._watch is not None and not self._watch.lost:
            self._watch.close()
            self._watch = None

    def _is_lost(self) -> bool:
        return self._watch is not None and self._watch.lost

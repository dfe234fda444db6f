"""The worker as a Ray actor. One long call, `run`, and a second concurrency group for all others.

A Ray actor does not notice SIGTERM inside a long method, so the fleet stops it by a call. Ray restarts nothing and retries
nothing: the queue is the only authority on retries, and the fleet replaces the dead.
"""

from dataclasses import replace
from typing import Any, Final

import ray

from workers.worker.worker import Worker, WorkerPlan

CONTROL: Final = "control"


class NodeWorker(Worker):
    """A worker that knows on which node of the cluster it is."""

    def __init__(self, plan: WorkerPlan) -> None:
        super().__init__(replace(plan, node=ray.get_runtime_context().get_node_id()[:12]))


def start(plan: WorkerPlan, *, num_cpus: float, num_gpus: float) -> Any:
    """Start an actor for `plan` somewhere on the cluster, and return its handle. Its `run` is not called yet."""
    actor = ray.remote(
        num_cpus=num_cpus,
        num_gpus=num_gpus,
        max_restarts=0,
        max_task_retries=0,
        concurrency_groups={CONTROL: 3},
    )(NodeWorker)
    return actor.remote(plan)


def run(handle: Any) -> Any:
    """Begin to work; the reference is ready when the worker has drained, and fails when it has died."""
    return handle.run.remote()


def loaded(handle: Any) -> Any:
    """A reference that is ready once the worker's engine is loaded, and fails when the worker has died before."""
    return handle.wait_loaded.options(concurrency_group=CONTROL).remote()


def stop(handle: Any, drain_s: float) -> None:
    """Ask the worker to drain. Returns at once."""
    handle.stop.options(concurrency_group=CONTROL).remote(drain_s)


def status(handle: Any) -> Any:
    """A reference to what the worker says of itself."""
    return handle.status.options(concurrency_group=CONTROL).remote()

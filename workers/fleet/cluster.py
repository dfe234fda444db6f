"""The cluster that a fleet runs on: what a fleet asks of it, and how to join the Ray cluster that answers.

A fleet knows the protocols `Cluster` and `WorkerHandle`, and no Ray; `workers/fleet/actor.py` implements both with Ray. Ray is
imported only when a cluster is joined, since that takes a second.
"""

import contextlib
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from jobs.catalog import ModelCard
from jobs.errors import UnavailableError
from workers.fleet.gcs_watch import listens
from workers.worker.worker import WorkerPlan

GCS_TIMEOUT_VARIABLE: Final = "RAY_gcs_rpc_server_reconnect_timeout_s"
"""Ray's environment variable for how many seconds it waits for its control store before it gives up; 60 if it is not set."""

_HOST_AND_PORT: Final = re.compile(r"[^/]+:\d+")


@dataclass(frozen=True, slots=True)
class Capacity:
    """The resources that are free on the cluster, and those that each living node has in all, by Ray's names (CPU, GPU)."""

    free: Mapping[str, float]
    nodes: Sequence[Mapping[str, float]]

    def total(self, kind: str) -> float:
        """How much of one resource all nodes have together."""
        return sum(node.get(kind, 0.0) for node in self.nodes)


@dataclass(frozen=True, slots=True)
class End:
    """How a worker ended: the reason, for a person, and the exception if its `run` raised one."""

    reason: str
    error: BaseException | None = None


class WorkerHandle(Protocol):
    """A worker that was started on a cluster. Only `end` and `was_loaded` wait, the second for at most a second."""

    def is_placed(self) -> bool:
        """Whether the worker has been given room on a node, and its process answers or has died."""
        ...

    def end(self, timeout_s: float = 0.0) -> End | None:
        """How the worker ended; None if it still runs after `timeout_s`."""
        ...

    def was_loaded(self) -> bool:
        """Whether the worker's model was loaded before the worker ended. To be asked after `kill`."""
        ...

    def ask_status(self) -> Callable[[float], Mapping[str, Any] | None]:
        """Ask for `Worker.status`. The function that is returned waits that many seconds for the answer; None: there is none."""
        ...

    def stop(self, drain_s: float) -> None:
        """Ask the worker to drain within `drain_s`, as `Worker.stop` does."""
        ...

    def kill(self) -> None:
        """End the worker's process now."""
        ...


class Cluster(Protocol):
    """Nodes on which workers run. `address` names the cluster for the log."""

    address: str

    def start(self, plan: WorkerPlan, needs: Mapping[str, float]) -> WorkerHandle:
        """Start a worker once `needs` are free on a node. Returns at once."""
        ...

    def capacity(self) -> Capacity:
        """The resources of the cluster as they are now."""
        ...

    def check(self) -> None:
        """Raise UnavailableError once the cluster is lost: it will end all its processes within seconds."""
        ...

    def is_away(self) -> bool:
        """Whether the cluster does not answer at the moment, so that a call would hang until it does."""
        ...

    def close(self) -> None:
        """Stop watching whether the cluster is lost. Its workers are left as they are."""
        ...


def connect(address: str | None, *, local: bool = False) -> Cluster:
    """Join the Ray cluster at `address`. Without an address, join the cluster that is found, or else start a local one.

    With `local`, start a local one in any case. Raises UnavailableError if no cluster answers at `address`.
    """
    if address is not None and _HOST_AND_PORT.fullmatch(address) and not listens(address):
        raise UnavailableError(_no_cluster(address, "nothing listens there"))  # Ray itself would try for minutes
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if "NO_COLOR" in os.environ or not sys.stderr.isatty():
        os.environ.setdefault("RAY_COLOR_PREFIX", "0")
    import ray  # after the settings above, which it reads

    from workers.fleet.actor import RayCluster

    if ray.is_initialized():
        return RayCluster("the Ray of this process")
    if local:
        with _sigterm_handler_kept():
            ray.init(
                address="local",
                num_cpus=max(2, os.cpu_count() or 1),
                log_to_driver=False,
                logging_level=logging.ERROR,
                include_dashboard=False,
            )
        return RayCluster("a local Ray")
    try:
        with _sigterm_handler_kept():
            ray.init(address=address or "auto", log_to_driver=True, logging_level=logging.ERROR)
    except ConnectionError as error:
        if address is not None:
            raise UnavailableError(_no_cluster(address, str(error))) from None
        return connect(None, local=True)
    return RayCluster(address or "the Ray cluster that was found")


def _no_cluster(address: str, reason: str) -> str:
    return f"no Ray cluster at {address}: {reason}. Start one with `ray start --head`."


@contextlib.contextmanager
def _sigterm_handler_kept() -> Iterator[None]:
    """Put back the SIGTERM handler that Ray replaces: Ray's would end the command without a drain."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, ours)


def needs_of(card: ModelCard, cluster: Cluster) -> Mapping[str, float]:
    """The resources that one worker of a model needs, the scarcest first: a core, and part of a GPU if there are any."""
    if card.engine == "stub" or card.device == "cpu" or not card.num_gpus or cluster.capacity().total("GPU") <= 0:
        return {"CPU": 1.0}
    return {"GPU": card.num_gpus, "CPU": 1.0}


def workers_per_lane(card: ModelCard, cluster: Cluster) -> int:
    """The number of workers that a lane gets by default: as many as the GPUs hold; without GPUs, one a core but one."""
    capacity, gpus = cluster.capacity(), needs_of(card, cluster).get("GPU")
    if gpus is not None:
        return max(1, int(capacity.total("GPU") / gpus))
    return max(1, int(capacity.total("CPU")) - 1)

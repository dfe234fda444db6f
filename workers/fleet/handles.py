"""The protocols of a cluster and of the workers on it. A fleet uses these, and knows no Ray."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from workers.fleet.relay import WorkerLog
from workers.worker.worker import WorkerPlan

GCS_TIMEOUT_VARIABLE: Final = "RAY_gcs_rpc_server_reconnect_timeout_s"
"""The environment variable that says how many seconds Ray waits for its control store before it gives up. If it is not set, Ray
waits for 60 s.
"""


@dataclass(frozen=True, slots=True)
class Capacity:
    """The resources of a cluster, by Ray's names (CPU, GPU): what is `free` on all nodes together, and all that each node has."""

    free: Mapping[str, float]
    nodes: Sequence[Mapping[str, float]]

    def total(self, kind: str) -> float:
        """Return how much of one resource all nodes have together."""
        return sum(node.get(kind, 0.0) for node in self.nodes)


@dataclass(frozen=True, slots=True)
class End:
    """How a worker ended: the reason, for a person, and the exception if its `run` raised one.

    `left` is whether it left in order without being told by its fleet: its node drains, or its process was told to end.
    """

    reason: str
    error: BaseException | None = None
    left: bool = False


class WorkerHandle(Protocol):
    """A worker that was started on a cluster. Only two calls wait: `end` for its timeout, `was_loaded` for a second at most."""

    @property
    def log(self) -> WorkerLog:
        """The log of the worker, which the fleet passes on."""
        ...

    def is_placed(self) -> bool:
        """Whether the worker was given room on a node, so that its process answers or has died."""
        ...

    def node(self) -> str:
        """Return the id of the node on which the worker is; empty if the worker has not come up, or has died before."""
        ...

    def end(self, timeout_s: float = 0.0) -> End | None:
        """Return how the worker ended; None if it still runs after `timeout_s`."""
        ...

    def was_loaded(self) -> bool:
        """Whether the worker's model was loaded before the worker ended. Call this after `kill`."""
        ...

    def ask_status(self) -> Callable[[float], Mapping[str, Any] | None]:
        """Ask for `Worker.status`, and return a function that waits for the answer.

        The function takes the seconds to wait, and returns None if no answer came.
        """
        ...

    def stop(self, drain_s: float) -> None:
        """Ask the worker to drain within `drain_s`, as `Worker.stop` does. May be called again with a shorter time."""
        ...

    def kill(self) -> None:
        """End the worker's process now."""
        ...


class Cluster(Protocol):
    """Nodes on which workers run. `address` names the cluster for the log."""

    address: str

    def start(self, plan: WorkerPlan, needs: Mapping[str, float]) -> WorkerHandle:
        """Start a worker as soon as a node has the resources `needs` free. Returns at once."""
        ...

    def capacity(self) -> Capacity:
        """Return the resources of the cluster as they are now, without those of nodes that drain."""
        ...

    def draining(self) -> Mapping[str, float]:
        """Return the ids of the nodes that drain, each with the Unix time at which it ends; infinity if that is not known.

        Returns at once, and may be a second old.
        """
        ...

    def demands(self) -> Sequence[Mapping[str, float]]:
        """Return the resources that each waiting actor and task needs, of all programs on the cluster. Empty if they are
        unknown.
        """
        ...

    def check(self) -> None:
        """Raise UnavailableError if the cluster is lost: all its processes will end within seconds."""
        ...

    def is_away(self) -> bool:
        """Whether the cluster does not answer at the moment. A call would hang until the cluster answers."""
        ...

    def close(self) -> None:
        """Stop watching whether the cluster is lost. Its workers are left as they are."""
        ...

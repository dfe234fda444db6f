"""The protocols of a cluster and of the workers on it. A fleet uses these, and knows no Ray."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from workers.fleet.log_relay.relay import WorkerLog
from workers.worker.worker import WorkerPlan

ROUNDING: Final = 1e-6
"""Tolerance of comparisons, in CPUs or GPUs: fractions of a GPU are added up as floats."""
GCS_TIMEOUT_VARIABLE: Final = "RAY_gcs_rpc_server_reconnect_timeout_s"
"""The environment variable that says how many seconds Ray waits for its control store before it gives up. If it is not set, Ray
waits for 60 s.
"""


@dataclass(frozen=True, slots=True)
class Capacity:
    """The resources of a cluster, by Ray's names (CPU, GPU): what is `free` on all nodes together, and all that each node has.

    `grown` is what all nodes have together once the cluster has grown as far as it may; empty if it does not grow. `labels` are
    the labels of each node. The labels that workers need are written among the resources too (`workers/fleet/nodes/needs.py`).
    """

    free: Mapping[str, float]
    nodes: Sequence[Mapping[str, float]]
    grown: Mapping[str, float] = field(default_factory=dict)
    labels: Sequence[Mapping[str, str]] = ()

    def total(self, kind: str) -> float:
        """Return how much of one resource all nodes have together."""
        return sum(node.get(kind, 0.0) for node in self.nodes)

    def most(self, kind: str) -> float:
        """Return how much of one resource all nodes have, or would have once the cluster has grown."""
        return max(self.total(kind), self.grown.get(kind, 0.0))

    def may_grow_by(self, kind: str, amount: float) -> bool:
        """Whether the cluster may grow by so much of a resource. If it grows, nodes bring what `grown` does not name."""
        return bool(self.grown) and (kind not in self.grown or self.grown[kind] - self.total(kind) >= amount - ROUNDING)


@dataclass(frozen=True, slots=True)
class End:
    """How a worker ended: the reason, for a person, and the exception if its `run` raised one.

    `left` is whether it left in order without being told by its fleet: its node drains, or its process was told to end.
    """

    reason: str
    error: BaseException | None = None
    left: bool = False


class WorkerHandle(Protocol):
    """A worker that was started on a cluster. It tells by itself when something changes; `Cluster.check` takes that in.

    Only `end` waits, for its timeout, and `kill`, for the cluster.
    """

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
        """Return how the worker ended; None if it still runs after `timeout_s`.

        Without a timeout, only what the worker has told counts.
        """
        ...

    def was_loaded(self) -> bool:
        """Whether the worker has told that its model is loaded."""
        ...

    def status(self) -> Mapping[str, Any] | None:
        """Return the last `Worker.status` that the worker has told; None if it has told none, or none for long."""
        ...

    def stop(self, drain_s: float) -> None:
        """Ask the worker to drain within `drain_s`, as `Worker.stop` does. May be called again with a shorter time."""
        ...

    def kill(self) -> None:
        """End the worker's process now."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """A worker that an earlier fleet has left on the cluster: its name, the alias of its model, and its handle."""

    worker: str
    alias: str
    handle: WorkerHandle


class Cluster(Protocol):
    """Nodes on which workers run. `address` names the cluster for the log.

    A *private* cluster was started by this process, and ends with it. The workers of a cluster that *keeps* them live on when
    this process ends.
    """

    address: str
    is_private: bool
    keeps: bool

    def start(self, plan: WorkerPlan, needs: Mapping[str, float]) -> WorkerHandle:
        """Start a worker as soon as a node has the resources `needs` free. Returns at once."""
        ...

    def left(self) -> Sequence[Found]:
        """Return the workers that an earlier fleet of the same store has left; none if the cluster keeps no workers."""
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

    def request(self, bundles: Sequence[Mapping[str, float]]) -> None:
        """Ask a cluster that can grow to have room for these bundles, one a worker, until the next request. Returns at once.

        Without bundles the request is taken back.
        """
        ...

    def check(self) -> None:
        """Take in what the workers have told.

        Raises UnavailableError if the cluster is lost: all its processes will end within seconds.
        """
        ...

    def is_away(self) -> bool:
        """Whether the cluster does not answer at the moment. A call would hang until the cluster answers."""
        ...

    def close(self) -> None:
        """Stop watching whether the cluster is lost. Its workers are left as they are."""
        ...

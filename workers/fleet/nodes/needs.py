"""What a worker of a model needs of a node, in the resources of Ray, and which nodes have it.

The label of a node is no resource of Ray. Here it is written as one, so that a fleet that compares needs with capacities compares
labels too: a worker needs `LABEL_NEED` of `label:tier=spot`, of which each node with that label has more than can be used up.
"""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from jobs.catalog import SMALLEST_SHARE, ModelCard

ACCELERATOR: Final = "accelerator_type:"
"""Ray's prefix of the resource by which nodes have a type of GPU."""
ACCELERATOR_NEED: Final = 0.001
"""How much of that resource a worker takes: so little that it never limits the number of workers, as Ray does it."""
ACCELERATOR_LABEL: Final = "ray.io/accelerator-type"
"""The label by which Ray names the type of the GPUs of a node."""
MEMORY_LABEL: Final = "gpu-memory-gb"
"""The label by which a node may say how much memory each of its GPUs has, in GiB, if `MEMORY_GB` lacks it."""
LABEL: Final = "label:"
"""The prefix of a label that is written as a resource: `label:name=selector`."""
LABEL_NEED: Final = SMALLEST_SHARE
LABEL_AMOUNT: Final = 1e6
MEMORY_GB: Final[Mapping[str, float]] = {
    "P4": 7,
    "K80": 11,
    "T4": 14,
    "P100": 15,
    "V100": 15,
    "A10G": 22,
    "L4": 22,
    "A100": 39,
    "A100-40G": 39,
    "L40S": 44,
    "A100-80G": 79,
    "H100": 79,
    "RTX-PRO-6000": 94,
    "H20": 95,
    "H200": 140,
    "B200": 178,
    "GB200": 183,
    "B300": 267,
    "GB300": 275,
}
"""The memory of a GPU by Ray's name of its type, in whole GiB below what its driver reports. Of two sizes this is the smaller."""
ROUNDING: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the cluster: all its resources, by Ray's names, and its labels."""

    resources: Mapping[str, float]
    labels: Mapping[str, str]

    @property
    def gpus(self) -> int:
        """The number of GPUs of the node."""
        return int(self.resources.get("GPU", 0.0) + ROUNDING)

    @property
    def accelerators(self) -> frozenset[str]:
        """The names of the type of the node's GPUs, by Ray; empty if Ray does not know them. One may be narrower: `A100-80G`."""
        named = {name.removeprefix(ACCELERATOR) for name in self.resources if name.startswith(ACCELERATOR)}
        return frozenset(named | ({self.labels[ACCELERATOR_LABEL]} if ACCELERATOR_LABEL in self.labels else set()))

    @property
    def gpu_memory_gb(self) -> float | None:
        """The memory of each GPU of the node in GiB; None if it is not known."""
        try:
            return float(self.labels[MEMORY_LABEL])
        except (KeyError, ValueError):
            return max((MEMORY_GB[kind] for kind in self.accelerators if kind in MEMORY_GB), default=None)

    def with_labels(self, needs: Collection[str]) -> Mapping[str, float]:
        """Return the resources, and among them those labels of `needs` that the node has."""
        return {**self.resources, **{name: LABEL_AMOUNT for name in needs if _has_label(self.labels, name)}}


def needs(card: ModelCard, nodes: Sequence[Node], *, may_grow: bool) -> Mapping[str, float]:
    """Return what one worker of a model needs of a node, the scarcest first.

    A worker needs a core, and a GPU or its share if its model can use one and a node has any, or the cluster may grow by such
    nodes (`may_grow`). If the card names a type or memory of a GPU, the worker waits for one in any case.
    """
    found: dict[str, float] = {}
    has_gpus = any(node.gpus for node in nodes)
    if card.gpus and (has_gpus or may_grow or card.accelerator is not None or card.memory_gb is not None):
        found["GPU"] = share_of_gpu(card, nodes)
        if card.accelerator is not None:
            found[ACCELERATOR + card.accelerator] = ACCELERATOR_NEED
        elif large := _only_large_enough(card, nodes):
            found[f"{LABEL}{ACCELERATOR_LABEL}={large}"] = LABEL_NEED
    labels = {f"{LABEL}{name}={selector}": LABEL_NEED for name, selector in card.labels.items()}
    return {**found, **card.resources, **labels, "CPU": 1.0}


def share_of_gpu(card: ModelCard, nodes: Sequence[Node]) -> float:
    """Return the GPUs of a worker: what the card says, or the share of a GPU that has `memory_gb`.

    A worker may come to any node that its card allows, so the GPU with least memory counts, of those that have enough. If the
    memory of some GPU is not known, or none has enough, the worker gets a whole one.
    """
    if card.memory_gb is None:
        return card.gpus
    sizes = [node.gpu_memory_gb for node in _with_gpus(card, nodes)]
    if not sizes and card.accelerator is not None:
        sizes = [MEMORY_GB.get(card.accelerator)]
    enough = [size for size in sizes if size is not None and size >= card.memory_gb]
    if None in sizes or not enough:
        return 1.0
    return math.ceil(card.memory_gb / min(enough) / SMALLEST_SHARE - ROUNDING) * SMALLEST_SHARE


def ray_needs(needed: Mapping[str, float]) -> dict[str, float]:
    """Return those of a worker's needs that are resources of Ray."""
    return {name: amount for name, amount in needed.items() if not name.startswith(LABEL)}


def selectors(needed: Mapping[str, float]) -> dict[str, str]:
    """Return the labels that a worker needs of its node, as Ray selects them."""
    named = (name.removeprefix(LABEL).partition("=") for name in needed if name.startswith(LABEL))
    return {name: selector for name, _, selector in named}


def room_for(needed: Mapping[str, float], node: Node) -> int:
    """Return how many workers with these needs an empty node holds. A share of a GPU is of one GPU, never of two."""
    resources = node.with_labels(needed)
    counts = [_times(resources.get(name, 0.0), amount) for name, amount in needed.items() if name != "GPU"]
    if gpus := needed.get("GPU", 0.0):
        counts.append(node.gpus * _times(1.0, gpus) if gpus < 1 else _times(node.gpus, gpus))
    return min(counts)


def is_same_device(accelerator: str, device: str) -> bool:
    """Whether Ray's name of a GPU, `H100`, and that of a device that an engine measured, `NVIDIA H100 80GB HBM3`, may be one."""
    wanted, found = (re.findall(r"[a-z0-9]+", name.lower()) for name in (accelerator, device))
    return any(found[n : n + len(wanted)] == wanted for n in range(len(found)))


def _times(amount: float, by: float) -> int:
    return int(amount / by + ROUNDING)


def _with_gpus(card: ModelCard, nodes: Sequence[Node]) -> list[Node]:
    """Return the nodes with GPUs on which the card allows workers."""
    labels = [f"{LABEL}{name}={selector}" for name, selector in card.labels.items()]
    return [
        node
        for node in nodes
        if node.gpus
        and (card.accelerator is None or card.accelerator in node.accelerators)
        and all(_has_label(node.labels, label) for label in labels)
    ]


def _only_large_enough(card: ModelCard, nodes: Sequence[Node]) -> str:
    """Return a selector of the types of GPUs that have `memory_gb`; empty if all or none have it, or it is not known."""
    found = _with_gpus(card, nodes)
    sizes = {node.labels.get(ACCELERATOR_LABEL): node.gpu_memory_gb for node in found}
    if card.memory_gb is None or None in sizes or None in sizes.values():
        return ""
    large = sorted(str(kind) for kind, size in sizes.items() if size is not None and size >= card.memory_gb)
    return "" if len(large) in (0, len(sizes)) else f"in({', '.join(large)})"


def _has_label(labels: Mapping[str, str], needed: str) -> bool:
    """Whether a node has a label that is written as a resource. A label that a node lacks differs from every value."""
    if not needed.startswith(LABEL):
        return False
    name, _, selector = needed.removeprefix(LABEL).partition("=")
    text = selector.removeprefix("!")
    among = text.removeprefix("in(").removesuffix(")").split(",") if text.startswith("in(") else [text]
    return (labels.get(name) in [one.strip() for one in among]) != selector.startswith("!")

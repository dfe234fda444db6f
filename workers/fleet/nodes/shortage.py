"""Says for a person where workers of a model may run on a cluster, or what the cluster lacks for them."""

from collections.abc import Sequence

from jobs.catalog import ModelCard
from jobs.did_you_mean import did_you_mean
from workers.fleet.nodes.needs import ACCELERATOR, LABEL, Node, needs, room_for


def places(card: ModelCard, nodes: Sequence[Node], *, may_grow: bool) -> str:
    """Return how many workers of a model the nodes hold, such as `GPU 0.5 each: 8 workers on 2 of 3 nodes`; empty if none."""
    needed = needs(card, nodes, may_grow=may_grow)
    rooms = [room_for(needed, node) for node in nodes]
    if not any(rooms):
        return ""
    each = ", ".join(_named(name, amount) for name, amount in needed.items() if name != "CPU") or "a core"
    return f"{each} each: {sum(rooms)} workers on {sum(room > 0 for room in rooms)} of {len(nodes)} nodes"


def shortage(card: ModelCard, nodes: Sequence[Node], *, may_grow: bool) -> tuple[str, str]:
    """Return what no node has that a worker of a model needs, and what to do about it. Call it where `places` are none."""
    needed = needs(card, nodes, may_grow=may_grow)
    with_labels = [node.with_labels(needed) for node in nodes]
    for name, amount in needed.items():
        most = max((resources.get(name, 0.0) for resources in with_labels), default=0.0)
        if most < amount:
            return _lack(name, amount, most, nodes)
    asked = ", ".join(_named(name, amount) for name, amount in needed.items())
    return f"no node has all of {asked}", "take one of them from the card, or add a node that has them together"


def _named(name: str, amount: float) -> str:
    if name.startswith(ACCELERATOR):
        return name.removeprefix(ACCELERATOR)
    return name.removeprefix(LABEL) if name.startswith(LABEL) else f"{name} {amount:g}"


def _lack(name: str, amount: float, most: float, nodes: Sequence[Node]) -> tuple[str, str]:
    """Return the fault and the remedy for one thing of which no node has enough."""
    if name.startswith(ACCELERATOR):
        wanted, known = name.removeprefix(ACCELERATOR), sorted({one for node in nodes for one in node.accelerators})
        has = f"the cluster has {', '.join(known)}" if known else "the cluster has no GPU of a known type"
        hint = did_you_mean(wanted, known)
        return f"no node has a GPU of type {wanted}; {has}{hint}", "correct accelerator, or add such a node"
    if name.startswith(LABEL):
        label, _, selector = name.removeprefix(LABEL).partition("=")
        known = sorted({node.labels[label] for node in nodes if label in node.labels})
        has = f"it has {', '.join(known)} there" if known else "no node has that label"
        return f"no node has the label {label} = {selector}; {has}", "correct labels, or start nodes with that label"
    if name == "GPU" and not most:
        return "no node has a GPU", "add a node with one, or take accelerator and memory_gb from the card"
    return f"no node has {amount:g} {name}; the most is {most:g}", "ask for less, or add a larger node"

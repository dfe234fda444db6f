"""Shows workers/fleet/nodes/needs.py: what a worker of a model needs of a node, and how many of them nodes hold."""

from typing import Any

import pytest

from jobs.catalog import ModelCard
from workers.fleet.allocation import Room
from workers.fleet.handles import Capacity
from workers.fleet.nodes.needs import (
    ACCELERATOR_LABEL,
    Node,
    is_same_device,
    needs,
    ray_needs,
    room_for,
    selectors,
    share_of_gpu,
)


def node(gpu: str | None = None, gpus: float = 1, cpus: float = 8, **labels: str) -> Node:
    """A node with GPUs of a type, as Ray shows it."""
    if gpu is None:
        return Node({"CPU": cpus}, labels)
    resources = {"CPU": cpus, "GPU": gpus, f"accelerator_type:{gpu}": 1.0}
    return Node(
        resources, {ACCELERATOR_LABEL: gpu, **{name.replace("_", "-"): value for name, value in labels.items()}}
    )


def card(**fields: Any) -> ModelCard:
    return ModelCard(**{"engine": "causal", "source": "nowhere", **fields})


MIXED = [node("H200", 8), node("L4", 4), node()]


@pytest.mark.parametrize(
    ("fields", "needed"),
    [
        pytest.param({}, {"GPU": 1.0, "CPU": 1.0}, id="nothing said"),
        pytest.param({"num_gpus": 0.25}, {"GPU": 0.25, "CPU": 1.0}, id="a share"),
        pytest.param({"engine": "stub", "num_gpus": 4}, {"GPU": 4.0, "CPU": 1.0}, id="several"),
        pytest.param({"device": "cpu"}, {"CPU": 1.0}, id="on the CPU"),
        pytest.param({"engine": "stub"}, {"CPU": 1.0}, id="the stub"),
        pytest.param(
            {"accelerator": "H200"}, {"GPU": 1.0, "accelerator_type:H200": 0.001, "CPU": 1.0}, id="a type of GPU"
        ),
        pytest.param({"resources": {"lora": 2}}, {"GPU": 1.0, "lora": 2.0, "CPU": 1.0}, id="a resource"),
        pytest.param(
            {"device": "cpu", "labels": {"tier": "spot"}}, {"label:tier=spot": 0.0001, "CPU": 1.0}, id="a label"
        ),
        pytest.param(
            {"memory_gb": 70, "accelerator": "H200"},
            {"GPU": 0.5, "accelerator_type:H200": 0.001, "CPU": 1.0},
            id="memory of a type",
        ),
        pytest.param(
            {"memory_gb": 70},
            {"GPU": 0.5, f"label:{ACCELERATOR_LABEL}=in(H200)": 0.0001, "CPU": 1.0},
            id="memory that one type of two has",
        ),
        pytest.param({"memory_gb": 11}, {"GPU": 0.5, "CPU": 1.0}, id="memory that both types have: the smaller counts"),
        pytest.param({"memory_gb": 500}, {"GPU": 1.0, "CPU": 1.0}, id="memory that none has"),
    ],
)
def test_what_a_worker_needs(fields: dict[str, Any], needed: dict[str, float]) -> None:
    assert needs(card(**fields), MIXED, may_grow=False) == pytest.approx(needed)
    assert list(needs(card(**fields), MIXED, may_grow=False)) == list(needed), "the scarcest first"


@pytest.mark.parametrize(
    ("fields", "may_grow", "gpus"),
    [
        pytest.param({}, False, 0.0, id="any device will do"),
        pytest.param({}, True, 1.0, id="it may grow by nodes with GPUs, so no model of its lane begins on a CPU"),
        pytest.param({"device": "cuda"}, False, 0.0, id="no node will ever come: its worker says that there is no GPU"),
        pytest.param({"device": "cuda"}, True, 1.0, id="a GPU"),
        pytest.param({"accelerator": "H200"}, False, 1.0, id="a type"),
        pytest.param({"memory_gb": 35, "accelerator": "H200"}, True, 0.25, id="a share of a known type"),
        pytest.param({"memory_gb": 35}, False, 1.0, id="memory of an unknown type"),
        pytest.param({"memory_gb": 35, "accelerator": "X1"}, True, 1.0, id="a type of unknown memory"),
    ],
)
def test_a_gpu_is_waited_for_by_those_that_ask_for_one(fields: dict[str, Any], may_grow: bool, gpus: float) -> None:
    assert needs(card(**fields), [node()], may_grow=may_grow).get("GPU", 0.0) == gpus


def test_a_node_may_say_how_much_memory_its_gpus_have() -> None:
    assert share_of_gpu(card(memory_gb=12), [node("X1", gpu_memory_gb="48")]) == 0.25
    assert share_of_gpu(card(memory_gb=12), [node("X1", gpu_memory_gb="much")]) == 1.0
    assert share_of_gpu(card(memory_gb=12), [node("X1"), node("H200")]) == 1.0, "Ray may choose the unknown one"


def test_a_narrower_name_of_a_gpu_counts() -> None:
    """Ray itself calls both sizes of this GPU A100; an operator may give a node the narrower name too."""
    large = Node({"CPU": 8, "GPU": 1, "accelerator_type:A100": 1, "accelerator_type:A100-80G": 1}, {})
    assert share_of_gpu(card(memory_gb=39.5), [large]) == 0.5
    assert room_for(needs(card(accelerator="A100-80G"), [large], may_grow=False), large) == 1


@pytest.mark.parametrize("share", [0.5, 1 / 3, 0.25, 0.2, 0.1, 0.05, 0.01])
def test_shares_by_memory_fit_on_a_gpu_as_often_as_their_memory_does(share: float) -> None:
    gpu = node("H200", 1, cpus=1000)
    needed = needs(card(memory_gb=140 * share), [gpu], may_grow=False)
    assert room_for(needed, gpu) == int(1 / share + 1e-9) or needed["GPU"] * (int(1 / share + 1e-9)) > 1
    assert needed["GPU"] * 140 >= 140 * share - 1e-9, "never less than the memory asked for"
    assert round(needed["GPU"] * 10_000) == pytest.approx(needed["GPU"] * 10_000), "Ray knows no smaller shares"


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        pytest.param({}, [8, 4, 0], id="one each"),
        pytest.param({"num_gpus": 0.6}, [8, 4, 0], id="a share of one GPU, never of two"),
        pytest.param({"num_gpus": 0.3}, [8, 8, 0], id="as many as there are cores"),
        pytest.param({"engine": "stub", "num_gpus": 3}, [2, 1, 0], id="several of one node"),
        pytest.param({"accelerator": "L4"}, [0, 4, 0], id="a type"),
        pytest.param({"labels": {"ray.io/accelerator-type": "!L4"}}, [8, 0, 0], id="all but one type"),
        pytest.param({"resources": {"lora": 1}}, [0, 0, 0], id="what no node has"),
        pytest.param({"device": "cpu"}, [8, 8, 8], id="cores"),
    ],
)
def test_how_many_workers_a_node_holds(fields: dict[str, Any], counts: list[int]) -> None:
    needed = needs(card(**fields), MIXED, may_grow=False)
    assert [room_for(needed, one) for one in MIXED] == counts


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ("spot", ["spot"]),
        ("!spot", ["fixed", "none"]),
        ("in(spot,fixed)", ["spot", "fixed"]),
        ("in(spot, fixed)", ["spot", "fixed"]),
        ("!in(spot, fixed)", ["none"]),
        ("other", []),
    ],
)
def test_labels_choose_nodes_as_ray_chooses_them(selector: str, chosen: list[str]) -> None:
    """A node without the label is not among those that a selector names, and is among all others."""
    nodes = {"spot": node(tier="spot"), "fixed": node(tier="fixed"), "none": node()}
    needed = needs(card(device="cpu", labels={"tier": selector}), list(nodes.values()), may_grow=False)
    assert [name for name, one in nodes.items() if room_for(needed, one)] == chosen
    assert selectors(needed) == {"tier": selector}
    assert ray_needs(needed) == {"CPU": 1.0}


@pytest.mark.parametrize("tier", ["spot", "fixed"])
def test_no_worker_makes_room_where_a_label_is_missing(tier: str) -> None:
    """Otherwise workers of other models would leave for one that Ray can never place."""
    needed = needs(card(device="cpu", labels={"tier": "spot"}), [], may_grow=False)
    total = node(tier=tier).with_labels(needed)
    room = Room(Capacity({**total, "CPU": 0.0}, [total]), {"CPU": 8.0})
    assert room.could_hold(needed) == (tier == "spot")


@pytest.mark.parametrize(
    ("accelerator", "device", "same"),
    [
        ("H100", "NVIDIA H100 80GB HBM3", True),
        ("H200", "NVIDIA H200", True),
        ("H20", "NVIDIA H200", False),
        ("A100", "NVIDIA A100-SXM4-80GB", True),
        ("T4", "Tesla T4", True),
        ("L4", "NVIDIA L40S", False),
        ("L4", "NVIDIA L4", True),
        ("RTX-PRO-6000", "NVIDIA RTX PRO 6000 Blackwell Server Edition", True),
        ("H200", "cpu", False),
    ],
)
def test_a_type_of_gpu_is_known_by_the_name_of_a_measured_device(accelerator: str, device: str, same: bool) -> None:
    assert is_same_device(accelerator, device) == same

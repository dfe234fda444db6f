"""Shows workers/fleet/nodes/shortage.py, and the checks of the doctor that stand on it."""

from typing import Any

import pytest

from jobs.catalog import ModelCard
from jobs.settings import Settings
from workers.commands.doctor import places_of_models
from workers.fleet.handles import Capacity
from workers.fleet.nodes.needs import ACCELERATOR_LABEL, Node
from workers.fleet.nodes.shortage import places, shortage

NODES = [
    Node({"CPU": 8, "GPU": 4, "accelerator_type:L4": 1}, {ACCELERATOR_LABEL: "L4", "tier": "spot"}),
    Node({"CPU": 8, "GPU": 4, "accelerator_type:H200": 1}, {ACCELERATOR_LABEL: "H200"}),
    Node({"CPU": 8}, {}),
]


def card(**fields: Any) -> ModelCard:
    return ModelCard(**{"engine": "causal", "source": "nowhere", **fields})


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        pytest.param({}, "GPU 1 each: 8 workers on 2 of 3 nodes", id="any GPU"),
        pytest.param({"device": "cpu"}, "a core each: 24 workers on 3 of 3 nodes", id="any core"),
        pytest.param({"accelerator": "H200"}, "GPU 1, H200 each: 4 workers on 1 of 3 nodes", id="a type"),
        pytest.param(
            {"labels": {"tier": "spot"}, "num_gpus": 0.5},
            "GPU 0.5, tier=spot each: 8 workers on 1 of 3 nodes",
            id="a label",
        ),
    ],
)
def test_the_places_of_workers_are_counted(fields: dict[str, Any], found: str) -> None:
    assert places(card(**fields), NODES, may_grow=False) == found


@pytest.mark.parametrize(
    ("fields", "fault", "remedy"),
    [
        pytest.param(
            {"accelerator": "h200"},
            "no node has a GPU of type h200; the cluster has H200, L4: did you mean H200?",
            "correct accelerator",
            id="a type that is spelled otherwise",
        ),
        pytest.param(
            {"labels": {"tier": "cheap"}},
            "no node has the label tier = cheap; it has spot there",
            "labels",
            id="a value",
        ),
        pytest.param({"labels": {"zone": "a"}}, "zone = a; no node has that label", "start nodes with", id="a label"),
        pytest.param(
            {"engine": "stub", "num_gpus": 8},
            "no node has 8 GPU; the most is 4",
            "ask for less",
            id="more than a node has",
        ),
        pytest.param(
            {"resources": {"lora": 1}}, "no node has 1 lora; the most is 0", "add a larger node", id="a resource"
        ),
        pytest.param(
            {"accelerator": "H200", "labels": {"tier": "spot"}},
            "no node has all of GPU 1, H200, tier=spot, CPU 1",
            "together",
            id="what two nodes have, but none has both",
        ),
    ],
)
def test_a_lack_is_named_with_its_remedy(fields: dict[str, Any], fault: str, remedy: str) -> None:
    assert places(card(**fields), NODES, may_grow=False) == ""
    found = shortage(card(**fields), NODES, may_grow=False)
    assert found[0].endswith(fault)
    assert remedy in found[1]


def test_a_cluster_without_nodes_lacks_what_the_card_names() -> None:
    assert shortage(card(accelerator="H200"), [], may_grow=False)[0] == "no node has a GPU"


@pytest.mark.parametrize("grown", [{}, {"GPU": 8.0}])
def test_the_doctor_names_what_each_model_lacks(grown: dict[str, float]) -> None:
    """On a cluster that may grow it is a note: the node may come later."""
    settings = Settings(model="writer", models={"writer": {"source": "a/b", "accelerator": "B200"}})
    capacity = Capacity({}, [node.resources for node in NODES], grown, [node.labels for node in NODES])
    checks = {check.name: check for check in places_of_models(settings, capacity)}
    assert list(checks) == ["places of smollm2-135m", "places of stub", "places of writer"]
    assert (checks["places of stub"].ok, checks["places of stub"].detail) == (
        True,
        "a core each: 24 workers on 3 of 3 nodes",
    )
    assert not checks["places of writer"].ok
    assert "B200" in checks["places of writer"].detail
    assert checks["places of writer"].needed == (not grown)

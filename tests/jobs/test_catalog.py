"""Shows jobs/catalog.py: which devices a model's card may ask for, and what is refused, with the field and the remedy."""

import pickle
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.catalog import ABILITIES, SHIPPED, ModelCard
from jobs.errors import RequestError
from jobs.settings import Settings, load

REMOTE = {"engine": "remote", "source": "https://host/v1"}


@pytest.mark.parametrize("gpus", [0, 0.0001, 0.25, 0.5, 1])
@pytest.mark.parametrize("engine", sorted({"auto", *ABILITIES} - {"remote"}))
def test_a_worker_may_have_a_share_of_a_gpu_or_one(engine: Any, gpus: float) -> None:
    assert ModelCard(engine=engine, num_gpus=gpus).gpus == gpus


@pytest.mark.parametrize("engine", sorted({"auto", *ABILITIES} - {"stub", "vllm", "remote"}))
def test_several_gpus_are_refused_for_engines_that_use_one(engine: Any) -> None:
    with pytest.raises(ValidationError, match=r"num_gpus\n.*on one GPU, so no worker can use 4: set num_gpus to 1"):
        ModelCard(engine=engine, num_gpus=4)


def test_the_stub_may_hold_several_gpus_so_that_a_placement_can_be_tried() -> None:
    assert ModelCard(engine="stub", num_gpus=4).gpus == 4


@pytest.mark.parametrize(
    ("card", "remedy"),
    [
        pytest.param({"num_gpus": 1.5, "engine": "stub"}, "whole number, such as 1", id="one and a half"),
        pytest.param({"num_gpus": 2.5}, "whole number, such as 2", id="two and a half, of an engine for one"),
        pytest.param({"num_gpus": 0.00001}, "smallest share of a GPU is 0.0001", id="next to nothing"),
        pytest.param({"num_gpus": -1}, "greater than or equal to 0", id="below nothing"),
        pytest.param({"num_gpus": float("nan")}, "finite number", id="not a number"),
        pytest.param({"num_gpus": 0.5, "memory_gb": 20}, "remove one of them", id="two words on one thing"),
        pytest.param({"memory_gb": 0}, "greater than 0", id="no memory"),
        pytest.param({"memory_gb": float("inf")}, "finite number", id="endless memory"),
        pytest.param({"device": "cpu", "memory_gb": 8}, 'device = "cpu" takes none', id="memory of a GPU on a CPU"),
        pytest.param({"device": "cpu", "accelerator": "H200"}, 'device = "cpu" takes none', id="a type on a CPU"),
        pytest.param({"num_gpus": 0, "accelerator": "H200"}, "num_gpus = 0 takes none", id="a type of no GPU"),
        pytest.param({"accelerator": ""}, "match pattern", id="a type without a name"),
        pytest.param({"accelerator": "NVIDIA H200"}, "match pattern", id="a type with a space"),
        pytest.param({**REMOTE, "num_gpus": 1}, "remote uses no GPU: remove num_gpus", id="a GPU of a server's client"),
        pytest.param({**REMOTE, "accelerator": "L4"}, "remote uses none: remove accelerator", id="a type of none"),
        pytest.param({"resources": {"GPU": 1}}, "set num_gpus", id="GPUs among the resources"),
        pytest.param({"resources": {"CPU": 1}}, "a worker takes one", id="cores among the resources"),
        pytest.param({"resources": {"memory": 1e9}}, "set memory_gb", id="memory among the resources"),
        pytest.param({"resources": {"lora": 0}}, "lora: give an amount of 0.0001 or more", id="none of a resource"),
        pytest.param({"resources": {"lora": float("inf")}}, "lora: give an amount", id="no end of a resource"),
        pytest.param({"resources": {" lora": 1}}, "no name of a resource", id="a resource with a space"),
        pytest.param({"labels": {"-zone": "a"}}, "no name of a label", id="a label's name"),
        pytest.param({"labels": {"a/b/c": "a"}}, "no name of a label", id="a label with two prefixes"),
        pytest.param({"labels": {"zone": "in()"}}, "zone: give a value, !value, in", id="among none"),
        pytest.param({"labels": {"zone": "a b"}}, "zone: give a value", id="a value with a space"),
        pytest.param({"labels": {"zone": "in(a, b"}}, "zone: give a value", id="an open bracket"),
        pytest.param({"labels": {"zone": ""}}, "zone: give a value", id="no value"),
        pytest.param(
            {"engine": "seq2seq", "adapters": {"a": {"source": "a/b"}}},
            "has no adapters",
            id="adapters of a translator",
        ),
        pytest.param({"family": "nllb", "adapters": {"a": {"source": "a/b"}}}, "has no adapters", id="of a family"),
        pytest.param({"adapters": {"a b": {"source": "a/b"}}}, "should match pattern", id="a name with a space"),
        pytest.param({"adapters": {"a": {"source": ""}}}, "at least 1 character", id="an adapter from nowhere"),
    ],
)
def test_what_no_cluster_has_is_refused_with_the_remedy(card: dict[str, Any], remedy: str) -> None:
    with pytest.raises(ValidationError, match=remedy):
        ModelCard(**card)


@pytest.mark.parametrize("value", ["spot", "!spot", "in(a,b)", "in(a, b)", "!in(H100, H200)", "eu-west-1a", "1"])
def test_labels_are_selected_as_ray_selects_them(value: str) -> None:
    from ray._common.ray_option_utils import validate_label_selector

    labels = dict(ModelCard(labels={"ray.io/accelerator-type": value, "tier": value}).labels)
    assert validate_label_selector(labels) is None


def test_a_card_that_says_nothing_needs_one_gpu_and_the_stub_none() -> None:
    assert (ModelCard(source="a/b").gpus, SHIPPED["stub"].gpus, ModelCard(device="cpu").gpus) == (1.0, 0.0, 0.0)
    assert ModelCard(**REMOTE).gpus == 0.0
    assert ModelCard(engine="stub", accelerator="H200").gpus == 1.0


def test_a_card_stays_the_same_on_its_way_to_a_worker() -> None:
    """A worker gets the settings pickled, and commands copy them with changes."""
    settings = Settings(models={"m": {"source": "a/b", "memory_gb": 20, "labels": {"tier": "spot"}}})
    assert pickle.loads(pickle.dumps(settings)).catalog["m"] == settings.catalog["m"]
    assert Settings(**settings.model_dump()).catalog["stub"].gpus == 0.0


def test_the_message_names_card_field_and_file(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nightpress.toml").write_text('[models.writer]\nsource = "a/b"\nnum_gpus = 2\n')
    with pytest.raises(RequestError) as fault:
        load()
    assert "models.writer.num_gpus: " in str(fault.value)
    assert "set num_gpus to 1" in str(fault.value)
    assert "nightpress.toml" in str(fault.value)

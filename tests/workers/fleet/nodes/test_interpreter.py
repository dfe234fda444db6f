"""Shows workers/fleet/nodes/interpreter.py: which Python the worker of a model runs."""

import json
import platform
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from jobs.catalog import ModelCard
from workers.engines.vllm.environment import Environment, folder_in
from workers.engines.vllm.version import MINOR
from workers.fleet.nodes.interpreter import python_for

GPU = {"GPU": 1.0, "CPU": 1.0}
CPU = {"CPU": 1.0}
LLAMA = {"architectures": ["LlamaForCausalLM"]}


def environment(cache: Path, ray: str = version("ray")) -> Environment:
    made = Environment(folder_in(cache), platform.python_version(), ray, f"{MINOR}.0", frozenset({"LlamaForCausalLM"}))
    made.folder.mkdir(parents=True, exist_ok=True)
    made.write()
    return made


@pytest.mark.parametrize(
    ("card", "config", "needed", "is_vllms"),
    [
        pytest.param({"engine": "vllm"}, LLAMA, CPU, True, id="the card says vllm"),
        pytest.param({}, LLAMA, GPU, True, id="auto on a GPU"),
        pytest.param({}, LLAMA, CPU, False, id="auto on a CPU"),
        pytest.param({}, {"architectures": ["OwnModel"]}, GPU, False, id="a model that vLLM does not know"),
        pytest.param({}, {**LLAMA, "is_encoder_decoder": True}, GPU, False, id="an encoder-decoder"),
        pytest.param({"family": "marian"}, LLAMA, GPU, False, id="a translator"),
        pytest.param({"engine": "causal"}, LLAMA, GPU, False, id="the card says causal"),
        pytest.param({"engine": "stub"}, LLAMA, GPU, False, id="a stub"),
    ],
)
def test_a_model_on_vllm_gets_its_python(
    card: dict[str, Any],
    config: dict[str, Any],
    needed: dict[str, float],
    is_vllms: bool,
    tiny_model: Path,
    tmp_path: Path,
) -> None:
    made = environment(tmp_path / "cache")
    files = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    (files / "config.json").write_text(json.dumps(config))
    found = python_for("m", ModelCard(source=str(files), **card), tmp_path / "cache", needed)
    assert found == (made.executable if is_vllms else None)


def test_files_that_are_not_here_yet_are_looked_at_by_the_worker(tmp_path: Path) -> None:
    made = environment(tmp_path)
    assert python_for("m", ModelCard(source="someone/model-of-nobody"), tmp_path, GPU) == made.executable


def test_an_environment_that_does_not_fit_is_not_used(tmp_path: Path) -> None:
    assert python_for("m", ModelCard(engine="vllm", source="a/b"), tmp_path, GPU) is None
    environment(tmp_path, ray="1.0")
    assert python_for("m", ModelCard(engine="vllm", source="a/b"), tmp_path, GPU) is None

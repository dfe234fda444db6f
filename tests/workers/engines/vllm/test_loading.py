"""Shows workers/engines/vllm/loading.py and its options: what vLLM is asked for, and which cards are refused with a sentence."""

import importlib.util
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra `workers` is not installed")
pytest.importorskip("transformers", reason="the extra `workers` is not installed")

import torch

from jobs.catalog import ModelCard
from jobs.errors import ModelUnavailable
from workers.engines.device.placement import Placement
from workers.engines.options import parse_options
from workers.engines.registry import make_engine
from workers.engines.vllm.environment import Environment, folder_in
from workers.engines.vllm.loading import engine_args
from workers.engines.vllm.options import VllmOptions
from workers.engines.vllm.version import MINOR

CPU = Placement(torch.device("cpu"), torch.float32, "cpu")
GPU = Placement(torch.device("cuda"), torch.bfloat16, "NVIDIA H200")


def asked(folder: Path, placement: Placement, **card: Any) -> dict[str, Any]:
    model = ModelCard(engine="vllm", source=str(folder), **card)
    options = parse_options("vllm", VllmOptions, model.options)
    return engine_args(model, folder, options, placement, None, 8)


def test_on_a_cpu_no_prompt_is_read_in_parts(tiny_model: Path) -> None:
    """A step has room for a whole context, and blocks suit the kernels."""
    found = asked(tiny_model, CPU, device="cpu", options={"step_tokens": 10, "cache_bytes": 1 << 20})
    assert (found["enable_chunked_prefill"], found["max_num_batched_tokens"]) == (False, 96)
    assert (found["block_size"] % 32, found["kv_cache_memory_bytes"], found["enforce_eager"]) == (0, 1 << 20, True)
    assert (found["scheduling_policy"], found["generation_config"]) == ("fcfs", "vllm")


def test_several_gpus_share_a_model_by_tensors(tiny_model: Path) -> None:
    found = asked(tiny_model, GPU, num_gpus=4, options={"quantization": "fp8", "engine_args": {"seed": 3}})
    assert (found["tensor_parallel_size"], found["distributed_executor_backend"]) == (4, "mp")
    assert (found["quantization"], found["seed"], found["enforce_eager"]) == ("fp8", 3, False)
    assert "enable_chunked_prefill" not in found
    assert "distributed_executor_backend" not in asked(tiny_model, GPU)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param({"pipeline_parallel": 2}, "a model is not spread over several nodes", id="pipeline parallel"),
        pytest.param({"engine_args": {"dtype": "half"}}, "dtype cannot be set here", id="what the card says"),
        pytest.param({"padded": True}, "does not know the option padded", id="of another engine"),
    ],
)
def test_an_option_that_the_engine_cannot_honour_is_refused(
    options: dict[str, Any], reason: str, tiny_model: Path, tmp_path: Path
) -> None:
    card = ModelCard(engine="vllm", source=str(tiny_model), device="cpu", options=options)
    with pytest.raises(ModelUnavailable, match=reason):
        make_engine("m", card, tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed here")
def test_without_vllm_the_error_says_where_it_is_or_how_to_get_it(tiny_model: Path, tmp_path: Path) -> None:
    card = ModelCard(engine="vllm", source=str(tiny_model), device="cpu")
    with pytest.raises(ModelUnavailable, match="and there is none: nightpress models env vllm"):
        make_engine("m", card, tmp_path)
    there = Environment(folder_in(tmp_path), platform.python_version(), "1.0", f"{MINOR}.0", frozenset())
    there.folder.mkdir(parents=True)
    there.write()
    with pytest.raises(ModelUnavailable, match=r"does not fit: its Ray is 1\.0, and that of this command is"):
        make_engine("m", card, tmp_path)
    Environment(there.folder, there.python, version("ray"), there.vllm, frozenset()).write()
    with pytest.raises(ModelUnavailable, match="/bin/nightpress in place of this one"):
        make_engine("m", card, tmp_path)

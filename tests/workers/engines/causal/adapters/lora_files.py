"""Adapters for small random models: their files, and the models that have the weights of an adapter merged into their own."""

import copy
import json
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from torch import nn
from transformers.pytorch_utils import Conv1D

from jobs.catalog import AdapterCard, ModelCard
from tests.workers.engines.architectures import Numbers, make
from workers.engines.causal.loading import CausalOptions, with_adapters, wrap_model
from workers.engines.causal.model import CausalModel
from workers.engines.device.placement import Placement

Weights = Mapping[str, tuple[torch.Tensor, torch.Tensor]]
"""A and B by the path of their layer."""

LLAMA: Final = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The linear layers in each layer of a Llama."""


def lora_weights(network: Any, names: Sequence[str], rank: int, seed: int = 0, size: float = 0.3) -> Weights:
    """Random weights of an adapter for all linear layers whose paths end with one of the names."""
    chance = torch.Generator().manual_seed(seed)

    def some(*shape: int) -> torch.Tensor:
        return size * torch.randn(*shape, generator=chance)

    found = {}
    for path, layer in network.named_modules():
        if path.endswith(tuple(names)) and isinstance(layer, nn.Linear | Conv1D):
            outputs, inputs = layer.weight.shape if isinstance(layer, nn.Linear) else reversed(layer.weight.shape)
            found[path] = (some(rank, inputs), some(outputs, rank))
    return found


def write_lora(folder: Path, weights: Weights, **config: Any) -> Path:
    """Write an adapter as peft does. Without a rank in `config`, it is that of the first weights."""
    folder.mkdir(parents=True, exist_ok=True)
    rank = next(iter(weights.values()))[0].shape[0]
    given = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "bias": "none", **config}
    (folder / "adapter_config.json").write_text(json.dumps(given))
    tensors = {
        f"base_model.model.{path}.lora_{side}.weight": one.contiguous()
        for path, pair in weights.items()
        for side, one in zip("AB", pair, strict=True)
    }
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def merged(network: Any, weights: Weights, scale: float | None = None) -> Any:
    """Return a copy of a network with an adapter merged into its weights. Without a scale, it is that of `write_lora`: 2."""
    copied = copy.deepcopy(network)
    for path, (a, b) in weights.items():
        layer = copied.get_submodule(path)
        added = (2.0 if scale is None else scale) * (b.double() @ a.double())
        added = added.T if isinstance(layer, Conv1D) else added
        layer.weight.data = (layer.weight.data.double() + added).to(layer.weight.dtype)
    return copied


def model_with(
    adapters: Mapping[str, Path | str],
    network: Any = None,
    *,
    slots: int = 4,
    dtype: torch.dtype = torch.float32,
    **options: Any,
) -> CausalModel:
    """A small random model with adapters, in float32 on a CPU."""
    card = ModelCard(adapters={name: AdapterCard(source=str(found)) for name, found in adapters.items()})
    placement = Placement(torch.device("cpu"), dtype, "cpu")
    model = wrap_model(make("llama") if network is None else network, Numbers(), placement, card)
    return with_adapters("tiny", model, adapters, CausalOptions(**options), slots=slots)


def shuffled(values: Sequence[Any], seed: int = 0) -> list[Any]:
    """Return the values in another order."""
    return random.Random(seed).sample(list(values), len(values))


def rslora(alpha: float, rank: int) -> float:
    """The scale of rank-stabilised LoRA (arXiv 2312.03732)."""
    return alpha / math.sqrt(rank)

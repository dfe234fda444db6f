"""Finds the linear layers of a network that adapters may change, by the paths that they have in transformers.

Packed and fused layers compute several of these layers at once. A target names the layer that is called, and which of its
outputs are those of the target.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers.pytorch_utils import Conv1D

from workers.engines.causal.kernels.cpu.fused import FusedGatedMlp, QkvPart
from workers.engines.causal.kernels.cpu.packed import PackedLinear


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """The outputs of `layer` from `first` on, `outputs` of them, which are those of one linear layer of the network."""

    layer: nn.Module
    inputs: int
    first: int
    outputs: int


class Targets:
    """The layers that adapters may change, by path."""

    def __init__(self, network: Any) -> None:
        last = network.get_output_embeddings()
        inner = {
            layer for one in network.modules() if isinstance(one, FusedGatedMlp) for layer, *_ in one.parts.values()
        }
        self.by_path: Mapping[str, Target] = {
            path: target
            for name, module in network.named_modules()
            if module is not last and module not in inner
            for path, target in _targets(name, module)
        }
        self._refused = {path for path, module in network.named_modules() if module is last}

    def fits(self, path: str) -> tuple[int, int] | str:
        """Return the inputs and outputs of the layer at a path, or a clause that says why no adapter may change it."""
        if path in self._refused:
            return f"it changes {path}, the layer that makes the logits"
        if ".experts." in path:
            return f"it changes {path}, an expert, which only some of the tokens reach"
        if (target := self.by_path.get(path)) is None:
            return f"it is for another model: there is no linear layer {path} here"
        return target.inputs, target.outputs


def _targets(path: str, module: nn.Module) -> Iterator[tuple[str, Target]]:
    """Yield the paths of the linear layers that a module computes, each with its target."""
    if isinstance(module, FusedGatedMlp):
        for name, (layer, first, outputs) in module.parts.items():
            yield f"{path}.{name}", Target(layer, layer.in_features, first, outputs)
    elif isinstance(module, QkvPart):
        yield path, Target(module.whole, module.in_features, module.first, module.out_features)
    elif isinstance(module, nn.Linear | PackedLinear):
        yield path, Target(module, module.in_features, 0, module.out_features)
    elif isinstance(module, Conv1D):
        yield path, Target(module, module.nx, 0, module.nf)

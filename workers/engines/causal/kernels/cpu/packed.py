"""Packed weights lie in memory in the order in which matrix products read them, so that no step has to rearrange weights.

A linear layer gets packed weights if its weights are bfloat16 and on a CPU that computes in bfloat16. `products` computes the
layers that it supports, and oneDNN computes all others. The results are those of the plain layers. A plain layer's weights are
freed, unless another module uses the same weights, as tied embeddings do.
"""

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import nn

from workers.engines.causal.kernels.cpu.products import Panels, fits_panels

TYPICAL_ROWS: Final = 64
"""oneDNN packs weights in the order that suits inputs of this many tokens. Inputs of more or fewer tokens work too."""


class PackedLinear(nn.Module):
    """A linear layer with packed weights, for inputs [..., in_features].

    If several layers are given, their outputs for the same input are joined in the last dimension.
    """

    def __init__(self, *layers: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = layers[0].in_features, sum(layer.out_features for layer in layers)
        weights = [layer.weight.detach() for layer in layers]
        weight = weights[0] if len(weights) == 1 else torch.cat(weights)
        self._bias = _joined_bias(layers)
        self._panels = Panels(weight, self._bias) if fits_panels(weight) else None
        if self._panels is None:
            self._packed = torch.ops.mkldnn._reorder_linear_weight(weight, TYPICAL_ROWS)  # noqa: SLF001 - its only name

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        if self._panels is not None:
            return self._panels.multiply(states)
        out: torch.Tensor = torch.ops.mkldnn._linear_pointwise(states, self._packed, self._bias, "none", [], "")  # noqa: SLF001
        return out


def _joined_bias(layers: Sequence[nn.Linear]) -> torch.Tensor | None:
    if all(layer.bias is None for layer in layers):
        return None
    none = [layer.weight.new_zeros(layer.out_features) for layer in layers]
    return torch.cat(
        [zeros if layer.bias is None else layer.bias for layer, zeros in zip(layers, none, strict=True)]
    ).detach()


def computes_in_bf16(device: torch.device) -> bool:
    """Whether a device is a CPU with matrix products in bfloat16."""
    return device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001 - its only name


def pack(network: Any, device: torch.device) -> int:
    """Pack the bfloat16 linear layers of a network, if `device` is a CPU that computes in bfloat16.

    Returns the number of packed layers.
    """
    if not computes_in_bf16(device):
        return 0
    plain = [
        (parent, name)
        for parent in network.modules()
        for name, child in parent.named_children()
        if type(child) is nn.Linear and child.weight.dtype == torch.bfloat16
    ]
    with torch.inference_mode(False), torch.no_grad():
        for parent, name in plain:
            setattr(parent, name, PackedLinear(getattr(parent, name)))
    return len(plain)

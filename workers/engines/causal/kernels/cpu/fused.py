"""Fused layers do small operations of a network in one pass over memory. torch makes several passes.

Like packed weights (`packed`), fused layers are for CPUs that compute in bfloat16. `fuse` recognises a layer by the layer's
parts. `fuse` replaces a norm or an MLP only if the fused layer gives the same outputs for random numbers.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

import numpy as np
import torch
from numba import types
from torch import nn

from workers.engines.causal.kernels.cpu.loops import compiled, exp, from_float32, to_float32
from workers.engines.causal.kernels.cpu.packed import PackedLinear, computes_in_bf16
from workers.engines.causal.kernels.cpu.tiles import as_numpy

TOLERANCE: Final = 2.0**-7
"""A fused norm or MLP is used only if its outputs differ from the original layer's by at most this fraction of the largest
output. Numbers in bfloat16 are about as precise.
"""

QKV_NAMES: Final = ("q_proj", "k_proj", "v_proj")
"""The names of the layers for queries, keys and values in most models. The three layers have the same input."""


class FusedRmsNorm(nn.Module):
    """An RMS norm (arXiv 1910.07467) that rounds before it multiplies by the weight. Input and output are [..., size]."""

    def __init__(self, norm: Any) -> None:
        super().__init__()
        self.weight = norm.weight
        self.eps = norm.variance_epsilon if hasattr(norm, "variance_epsilon") else norm.eps
        self._weight = as_numpy(norm.weight.detach())

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        rows = states.reshape(-1, states.shape[-1]).contiguous()
        out = torch.empty_like(rows)
        _norm(as_numpy(rows), self._weight, self.eps, as_numpy(out))
        return out.view(states.shape)


class FusedQkv:
    """The query, key and value layers of attention, computed as one product.

    The product is computed when the first of the three layers is called.
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        self._sizes = [layer.out_features for layer in layers]
        self.whole = PackedLinear(*layers)
        self._states: torch.Tensor | None = None
        self._parts: list[torch.Tensor | None] = []

    def first(self, number: int) -> int:
        """Return the first output of layer `number` in the product of all three (`whole`)."""
        return sum(self._sizes[:number])

    def part(self, states: torch.Tensor, number: int) -> torch.Tensor:
        """Return the output of layer `number` for `states`, and forget that output, to free memory."""
        if states is not self._states or self._parts[number] is None:
            self._states, self._parts = states, list(self.whole(states).split(self._sizes, -1))
        part, self._parts[number] = self._parts[number], None
        if not any(left is not None for left in self._parts):
            self._states = None
        return cast("torch.Tensor", part)


class QkvPart(nn.Module):
    """One of the three layers of a `FusedQkv`. The layer's output is a part of the product of all three."""

    def __init__(self, qkv: FusedQkv, number: int, layer: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self._qkv, self._number = qkv, number

    @property
    def whole(self) -> PackedLinear:
        """The layer that computes the product of all three."""
        return self._qkv.whole

    @property
    def first(self) -> int:
        """The first output of this layer in the product of all three."""
        return self._qkv.first(self._number)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self._qkv.part(states, self._number)


class FusedGatedMlp(nn.Module):
    """A gated MLP with SiLU (SwiGLU, arXiv 2002.05202). Its gate and up projections are computed as one product."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self._both = PackedLinear(layer.gate_proj, layer.up_proj)
        self._down = PackedLinear(layer.down_proj)

    @property
    def parts(self) -> Mapping[str, tuple[PackedLinear, int, int]]:
        """The three layers of the MLP by name: the packed layer that computes each, its first output there, and its outputs."""
        gate = self._both.out_features // 2
        down = self._down.out_features
        return {
            "gate_proj": (self._both, 0, gate),
            "up_proj": (self._both, gate, gate),
            "down_proj": (self._down, 0, down),
        }

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        both = self._both(states)
        gated = both.new_empty(*both.shape[:-1], both.shape[-1] // 2)
        _gate(as_numpy(both.view(-1, both.shape[-1])), as_numpy(gated.view(-1, gated.shape[-1])))
        out: torch.Tensor = self._down(gated)
        return out


def fuse(network: Any, device: torch.device) -> None:
    """Replace the layers of a network that can be fused. Call this function before `packed.pack`, because it recognises only
    plain linear layers.
    """
    if not computes_in_bf16(device):
        return
    found: list[tuple[Any, str, Callable[[Any], nn.Module], int]] = []
    for parent in network.modules():
        for name, child in parent.named_children():
            if _is_rms_norm(child):
                found.append((parent, name, FusedRmsNorm, child.weight.shape[0]))
            elif _is_gated_mlp(child):
                found.append((parent, name, FusedGatedMlp, child.gate_proj.in_features))
    with torch.inference_mode(False), torch.no_grad():
        for module in [module for module in network.modules() if _has_qkv(module)]:
            layers = [getattr(module, name) for name in QKV_NAMES]
            qkv = FusedQkv(layers)
            for number, (name, layer) in enumerate(zip(QKV_NAMES, layers, strict=True)):
                setattr(module, name, QkvPart(qkv, number, layer))
        for parent, name, make, size in found:
            original = getattr(parent, name)
            fused = make(original)
            if _gives_same(original, fused, size):
                setattr(parent, name, fused)


def _has_qkv(module: Any) -> bool:
    layers = [getattr(module, name, None) for name in QKV_NAMES]
    linear = all(type(layer) is nn.Linear and _is_bf16(dict(layer.named_parameters())) for layer in layers)
    return linear and len({cast("nn.Linear", layer).in_features for layer in layers}) == 1


def _is_rms_norm(module: Any) -> bool:
    if not type(module).__name__.endswith("RMSNorm") or not _takes_states_alone(module):
        return False
    parameters = dict(module.named_parameters())
    eps = hasattr(module, "variance_epsilon") or hasattr(module, "eps")
    return list(parameters) == ["weight"] and eps and _is_bf16(parameters)


def _is_gated_mlp(module: Any) -> bool:
    parts = dict(module.named_children())
    linear = all(type(parts.get(name)) is nn.Linear for name in ("gate_proj", "up_proj", "down_proj"))
    act = parts.get("act_fn")
    named = linear and isinstance(act, nn.Module) and "silu" in type(act).__name__.lower() and len(parts) == 4
    return named and _takes_states_alone(module) and _is_bf16(dict(module.named_parameters()))


def _takes_states_alone(module: nn.Module) -> bool:
    """Whether a layer takes one argument, its states. Some norms also take a gate."""
    return len(inspect.signature(module.forward).parameters) == 1


def _is_bf16(parameters: dict[str, torch.Tensor]) -> bool:
    return all(parameter.dtype == torch.bfloat16 for parameter in parameters.values())


def _gives_same(original: nn.Module, fused: nn.Module, size: int) -> bool:
    """Whether both layers give the same outputs, within `TOLERANCE`, for random numbers of two magnitudes."""
    generator = torch.Generator().manual_seed(0)
    some = torch.randn(1, 6, size, generator=generator)
    tried = torch.cat([some, 0.05 * some]).bfloat16()
    wanted, got = original(tried).float(), fused(tried).float()
    return bool(((got - wanted).abs().amax((1, 2)) <= TOLERANCE * wanted.abs().amax((1, 2))).all())


_ROWS: Final = types.Array(types.uint16, 2, "C")


@compiled(types.void(_ROWS, types.Array(types.uint16, 1, "C"), types.float64, _ROWS))
def _norm(states: Any, weight: Any, eps: Any, out: Any) -> None:
    size = states.shape[1]
    for row in range(len(states)):
        squares = np.float32(0.0)
        for d in range(size):
            number = to_float32(states[row, d], True)
            squares += number * number
        part = np.float32(1.0) / np.sqrt(squares / np.float32(size) + np.float32(eps))
        for d in range(size):
            rounded = to_float32(from_float32(to_float32(states[row, d], True) * part, True), True)
            out[row, d] = from_float32(rounded * to_float32(weight[d], True), True)


@compiled(types.void(_ROWS, _ROWS))
def _gate(both: Any, gated: Any) -> None:
    one, size = np.float32(1.0), gated.shape[1]
    for row in range(len(gated)):
        for d in range(size):
            gate = to_float32(both[row, d], True)
            opened = to_float32(from_float32(gate / (one + exp(-gate)), True), True)
            gated[row, d] = from_float32(opened * to_float32(both[row, size + d], True), True)

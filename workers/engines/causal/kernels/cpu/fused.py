"""Small operators of a network, each in one pass: in torch they read and write memory several times for a few numbers.

For bfloat16 on CPUs that compute in it, as `packed`, which has the linear layers. What is replaced is known by its parts,
and only if it computes the same: each is tried beside the model's own on random numbers first.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import numpy as np
import torch
from numba import types
from torch import nn

from workers.engines.causal.kernels.cpu.loops import compiled, exp, narrow, wide
from workers.engines.causal.kernels.cpu.packed import PackedLinear, computes_in_bf16
from workers.engines.causal.kernels.cpu.tiles import shown

NEAR: Final = 2.0**-7
"""How far an output may lie from the model's own, beside its greatest: the last place of a bfloat16."""

QUERIES: Final = ("q_proj", "k_proj", "v_proj")
"""The layers of attention that get the same input, as most models name them."""


class FusedNorm(nn.Module):
    """A norm by the root mean square (arXiv 1910.07467): rounded before it is weighed. Input and output [..., size]."""

    def __init__(self, norm: Any) -> None:
        super().__init__()
        self.weight = norm.weight
        self.eps = norm.variance_epsilon if hasattr(norm, "variance_epsilon") else norm.eps
        self._weight = shown(norm.weight.detach())

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        rows = states.reshape(-1, states.shape[-1]).contiguous()
        out = torch.empty_like(rows)
        _norm(shown(rows), self._weight, self.eps, shown(out))
        return out.view(states.shape)


class SharedProduct:
    """The product of layers that get the same input one after the other, made when the first of them is asked."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        self._sizes = [layer.out_features for layer in layers]
        self._whole = PackedLinear(*layers)
        self._states: torch.Tensor | None = None
        self._parts: list[torch.Tensor | None] = []

    def part(self, states: torch.Tensor, number: int) -> torch.Tensor:
        """What layer `number` gives. Each part is given once, so that no memory is kept."""
        if states is not self._states or self._parts[number] is None:
            self._states, self._parts = states, list(self._whole(states).split(self._sizes, -1))
        part, self._parts[number] = self._parts[number], None
        if not any(left is not None for left in self._parts):
            self._states = None
        return cast("torch.Tensor", part)


class Part(nn.Module):
    """One of the layers of a shared product."""

    def __init__(self, shared: SharedProduct, number: int, layer: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self._shared, self._number = shared, number

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self._shared.part(states, self._number)


class FusedGate(nn.Module):
    """A feed-forward layer whose gate is SiLU (arXiv 2002.05202). Gate and what it lets through are one product."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self._both = PackedLinear(layer.gate_proj, layer.up_proj)
        self._down = PackedLinear(layer.down_proj)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        both = self._both(states)
        passed = both.new_empty(*both.shape[:-1], both.shape[-1] // 2)
        _gate(shown(both.view(-1, both.shape[-1])), shown(passed.view(-1, passed.shape[-1])))
        out: torch.Tensor = self._down(passed)
        return out


def fuse(network: Any, device: torch.device) -> None:
    """Replace what can be, before `packed.pack`. Each part is let go when it is replaced."""
    if not computes_in_bf16(device):
        return
    found: list[tuple[Any, str, Callable[[Any], nn.Module], int]] = []
    for parent in network.modules():
        for name, child in parent.named_children():
            if _is_norm(child):
                found.append((parent, name, FusedNorm, child.weight.shape[0]))
            elif _is_gated(child):
                found.append((parent, name, FusedGate, child.gate_proj.in_features))
    with torch.inference_mode(False), torch.no_grad():
        for module in [module for module in network.modules() if _has_queries(module)]:
            layers = [getattr(module, name) for name in QUERIES]
            shared = SharedProduct(layers)
            for number, (name, layer) in enumerate(zip(QUERIES, layers, strict=True)):
                setattr(module, name, Part(shared, number, layer))
        for parent, name, form, size in found:
            own = getattr(parent, name)
            new = form(own)
            if _is_same(own, new, size):
                setattr(parent, name, new)


def _has_queries(module: Any) -> bool:
    layers = [getattr(module, name, None) for name in QUERIES]
    linear = all(type(layer) is nn.Linear and _is_half(dict(layer.named_parameters())) for layer in layers)
    return linear and len({cast("nn.Linear", layer).in_features for layer in layers}) == 1


def _is_norm(module: Any) -> bool:
    if not type(module).__name__.endswith("RMSNorm") or not _takes_one(module):
        return False
    parameters = dict(module.named_parameters())
    eps = hasattr(module, "variance_epsilon") or hasattr(module, "eps")
    return list(parameters) == ["weight"] and eps and _is_half(parameters)


def _is_gated(module: Any) -> bool:
    parts = dict(module.named_children())
    linear = all(type(parts.get(name)) is nn.Linear for name in ("gate_proj", "up_proj", "down_proj"))
    act = parts.get("act_fn")
    named = linear and isinstance(act, nn.Module) and "silu" in type(act).__name__.lower() and len(parts) == 4
    return named and _takes_one(module) and _is_half(dict(module.named_parameters()))


def _takes_one(module: nn.Module) -> bool:
    """Whether it is called with states alone: some norms take a gate beside them."""
    return len(inspect.signature(module.forward).parameters) == 1


def _is_half(parameters: dict[str, torch.Tensor]) -> bool:
    return all(parameter.dtype == torch.bfloat16 for parameter in parameters.values())


def _is_same(own: nn.Module, new: nn.Module, size: int) -> bool:
    """Whether both give the same for random numbers of two magnitudes."""
    numbers = torch.Generator().manual_seed(0)
    some = torch.randn(1, 6, size, generator=numbers)
    tried = torch.cat([some, 0.05 * some]).bfloat16()
    wanted, got = own(tried).float(), new(tried).float()
    return bool(((got - wanted).abs().amax((1, 2)) <= NEAR * wanted.abs().amax((1, 2))).all())


_ROWS: Final = types.Array(types.uint16, 2, "C")


@compiled(types.void(_ROWS, types.Array(types.uint16, 1, "C"), types.float64, _ROWS))
def _norm(states: Any, weight: Any, eps: Any, out: Any) -> None:
    size = states.shape[1]
    for row in range(len(states)):
        squares = np.float32(0.0)
        for d in range(size):
            number = wide(states[row, d], True)
            squares += number * number
        part = np.float32(1.0) / np.sqrt(squares / np.float32(size) + np.float32(eps))
        for d in range(size):
            rounded = wide(narrow(wide(states[row, d], True) * part, True), True)
            out[row, d] = narrow(rounded * wide(weight[d], True), True)


@compiled(types.void(_ROWS, _ROWS))
def _gate(both: Any, passed: Any) -> None:
    one, size = np.float32(1.0), passed.shape[1]
    for row in range(len(passed)):
        for d in range(size):
            gate = wide(both[row, d], True)
            opened = wide(narrow(gate / (one + exp(-gate)), True), True)
            passed[row, d] = narrow(opened * wide(both[row, size + d], True), True)

"""The bank holds the adapters of a model: which can be used, the weights of those in memory, and the hooks that apply them.

Adapters that cannot be used are found when the model is loaded, and fail the rows that name them. All others share a number of
places, each as large as the ranks of all adapters together need. Weights are read into a place when a row needs its adapter.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from jobs.generation import Fault
from jobs.logs import logger
from workers.engines.causal.adapters.grouped import ROW_ADAPTERS, RowAdapters, Stack
from workers.engines.causal.adapters.lora import AdapterUnusable, Lora, open_lora
from workers.engines.causal.adapters.panels import PanelStack
from workers.engines.causal.adapters.residency import Residency
from workers.engines.causal.adapters.targets import Targets

Part = tuple[int, int, int]

NO_ADAPTERS: Final = "The model has no adapter {}."


class NoRoom(Exception):
    """The room for adapters is smaller than one adapter. The message says how much one needs."""


class BrokenAdapter(Exception):
    """The adapter of a batch's row cannot be used. `fault` is what such a row fails with."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class AdapterBank:
    """The adapters of a loaded model.

    Args:
        network: The network, after its layers were packed and fused. Its layers get hooks.
        found: The folder of each adapter, by name, or a sentence that says why there is none.
        room: The memory for weights of adapters, in bytes.
        patience: By how many rows a row may be overtaken before an adapter makes room for its own (`Residency`).

    Raises:
        NoRoom: `room` is too small for one adapter.
    """

    def __init__(self, network: Any, found: Mapping[str, Path | str], *, room: int, patience: int) -> None:
        targets = Targets(network)
        self._targets = targets.by_path
        self._like = next(network.parameters()).detach()
        self._usable: dict[str, Lora] = {}
        self._faults: dict[str, str] = {}
        for name, folder in found.items():
            try:
                if isinstance(folder, str):
                    raise AdapterUnusable(folder)
                self._usable[name] = open_lora(folder, targets.fits)
            except AdapterUnusable as unusable:
                self._note_fault(name, str(unusable))
        self._parts = self._parts_of_layers()
        self.place_bytes = self._like.element_size() * sum(
            self._kind(layer).place_numbers(*self._shape(layer)) for layer in self._parts
        )
        places = min(len(self._usable), room // self.place_bytes) if self.place_bytes else 0
        if self._usable and not places:
            raise NoRoom(f"an adapter takes {self.place_bytes} bytes, and there is room for {room}")
        self._stacks = {layer: self._kind(layer)(places, *self._shape(layer), self._like) for layer in self._parts}
        for layer, stack in self._stacks.items():
            layer.register_forward_hook(stack.hook)
        self.residency = Residency(places, patience)
        self._last: RowAdapters | None = None

    def fault_of(self, name: str | None) -> Fault | None:
        """Return why rows with this adapter cannot run; None if they can."""
        if name is None or name in self._usable:
            return None
        if (reason := self._faults.get(name)) is None:
            return Fault("unknown_adapter", NO_ADAPTERS.format(name))
        return Fault("broken_adapter", f"The adapter {name} cannot be used: {reason}.")

    def load_new(self) -> list[str]:
        """Read the weights of adapters that were given a place. Returns those that cannot be read, which have a fault now."""
        broken = []
        for name, place in self.residency.take_loads().items():
            try:
                if (lora := self._usable.get(name)) is not None:
                    self._put(place, lora)
                    continue
            except AdapterUnusable as unusable:
                del self._usable[name]
                self._note_fault(name, str(unusable))
            self.residency.forget(name)
            broken.append(name)
        return broken

    def use(self, names: Collection[str]) -> None:
        """Bring adapters into memory, at most as many as there are places. Raises BrokenAdapter if one cannot be used."""
        for name in names:
            if (fault := self.fault_of(name)) is not None:
                raise BrokenAdapter(fault)
            self.residency.admit(name, names)
        for name in self.load_new():
            if (fault := self.fault_of(name)) is not None:
                raise BrokenAdapter(fault)

    @contextmanager
    def applied(self, names: Sequence[str | None]) -> Iterator[None]:
        """Apply the adapters of texts, one for each text, to what the network computes in the `with` block."""
        if not any(names):
            yield
            return
        places = tuple(-1 if name is None else self.residency.place_of(name) for name in names)
        if self._last is None or self._last.places != places:
            self._last = RowAdapters(places, self._like.device)
        token = ROW_ADAPTERS.set(self._last)
        try:
            yield
        finally:
            ROW_ADAPTERS.reset(token)

    def _note_fault(self, name: str, reason: str) -> None:
        self._faults[name] = reason
        logger().warning("adapter.unusable", adapter=name, reason=reason)

    def _parts_of_layers(self) -> dict[nn.Module, list[Part]]:
        """Return for each layer that adapters change its parts: the first output, the outputs and the largest rank of each."""
        ranks: dict[str, int] = {}
        for lora in self._usable.values():
            for path, pair in lora.pairs.items():
                ranks[path] = max(pair.rank, ranks.get(path, 0))
        found: dict[nn.Module, list[Part]] = {}
        for path, rank in ranks.items():
            target = self._targets[path]
            found.setdefault(target.layer, []).append((target.first, target.outputs, rank))
        return {layer: sorted(parts) for layer, parts in found.items()}

    def _kind(self, layer: Any) -> type[Stack] | type[PanelStack]:
        inputs, parts, _ = self._shape(layer)
        return PanelStack if PanelStack.fits(inputs, parts, self._like) else Stack

    def _shape(self, layer: Any) -> tuple[int, list[Part], int]:
        target = next(one for one in self._targets.values() if one.layer is layer)
        outputs = max(one.first + one.outputs for one in self._targets.values() if one.layer is layer)
        return target.inputs, self._parts[layer], outputs

    @torch.inference_mode()
    def _put(self, place: int, lora: Lora) -> None:
        weights = lora.read()
        for stack in self._stacks.values():
            stack.clear(place)
        for path, (a, b, scale) in weights.items():
            target = self._targets[path]
            part = next(n for n, one in enumerate(self._parts[target.layer]) if one[0] == target.first)
            self._stacks[target.layer].put(place, part, a, b, scale)

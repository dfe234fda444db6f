"""Defines the form of a loaded model that both the slot engine and the padded engine take."""

from dataclasses import dataclass
from typing import Any

from jobs.generation import Fault
from workers.engines.causal.adapters.bank import AdapterBank
from workers.engines.device.placement import Placement
from workers.engines.text.encoding import Encoder


@dataclass(frozen=True, slots=True)
class CausalModel:
    """A loaded model: its network, its encoder, its placement, the tokens that end a sequence, and its adapters if it has any."""

    network: Any
    encoder: Encoder
    placement: Placement
    eos: tuple[int, ...]
    adapters: AdapterBank | None = None

    @property
    def layers(self) -> int:
        """The number of layers, each of which may keep keys and values."""
        return int(self.network.config.get_text_config().num_hidden_layers)

    def adapter_fault(self, name: str | None) -> Fault | None:
        """Return why rows with this adapter cannot run; None if they can."""
        if name is None or self.adapters is not None:
            return None if self.adapters is None else self.adapters.fault_of(name)
        return Fault("unknown_adapter", f"The model has no adapter {name}.")

"""Defines the form of a loaded model that both the slot engine and the padded engine take."""

from dataclasses import dataclass
from typing import Any

from workers.engines.device.placement import Placement
from workers.engines.text.encoding import Encoder


@dataclass(frozen=True, slots=True)
class CausalModel:
    """A loaded model: its network, its encoder, its placement, and the tokens that end a sequence."""

    network: Any
    encoder: Encoder
    placement: Placement
    eos: tuple[int, ...]

    @property
    def layers(self) -> int:
        """The number of layers, each of which may keep keys and values."""
        return int(self.network.config.get_text_config().num_hidden_layers)

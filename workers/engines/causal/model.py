"""A loaded model, as both forms of the engine take it."""

from dataclasses import dataclass
from typing import Any

from workers.engines.device.placement import Placement
from workers.engines.text.encoding import Encoder


@dataclass(frozen=True, slots=True)
class CausalModel:
    """A network, its tokenizer with the limits, where it runs, and the tokens that end a text."""

    network: Any
    encoder: Encoder
    placement: Placement
    eos: tuple[int, ...]

    @property
    def layers(self) -> int:
        """How many layers may keep keys and values."""
        return int(self.network.config.get_text_config().num_hidden_layers)

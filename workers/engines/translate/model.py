"""A converted model that is loaded, with the codec of its tokens."""

from dataclasses import dataclass
from typing import Any

from workers.engines.families.codec import Codec


@dataclass(frozen=True, slots=True)
class TranslateModel:
    """The model.

    Args:
        translator: A `ctranslate2.Translator` with one replica, whose vocabulary is the numbers of the tokens.
        codec: Turns requests into tokens, and tokens into text.
        suppressed: Tokens that are never written.
        device_name: The name under which the device's price is listed.
    """

    translator: Any
    codec: Codec
    suppressed: tuple[int, ...] = ()
    device_name: str = "cpu"

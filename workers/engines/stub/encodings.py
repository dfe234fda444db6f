"""This module makes what the stub engine gives for texts to encode. It depends only on what is asked."""

import math
import random
import struct
from typing import Final

from jobs.generation import Encodable, Encoding, TokenLogprob

DIMENSIONS: Final = 8
"""The numbers of a vector."""
CLASSES: Final = ("positive", "negative")
"""The classes of a request that names none."""
_WORDS: Final = ("morning", "light", "harbour", "reader", "page", "idea", "plan", "writer", "line", "mind")


def encoding_of(asked: Encodable | None) -> Encoding | None:
    """Return what the stub gives for a text; None if nothing is asked."""
    if asked is None:
        return None
    chooser = random.Random(f"{asked.wanted}/{asked.prefix}/{asked.text}")
    if asked.wanted == "vector":
        numbers = [chooser.gauss(0.0, 1.0) for _ in range(DIMENSIONS)][: asked.dimensions]
        length = math.sqrt(math.fsum(number**2 for number in numbers))
        return Encoding(vector=struct.pack(f"<{len(numbers)}f", *(number / length for number in numbers)))
    if asked.wanted == "classes":
        names = asked.classes or CLASSES
        weights = [chooser.uniform(0.1, 1.0) for _ in names]
        return Encoding(
            classes=tuple((name, math.log(one / sum(weights))) for name, one in zip(names, weights, strict=True))
        )
    gaps = asked.text.count(asked.mark) if asked.wanted == "fills" else 0
    return Encoding(fills=tuple(_fills(chooser, asked.top) for _ in range(gaps)))


def _fills(chooser: random.Random, top: int) -> tuple[TokenLogprob, ...]:
    words = chooser.sample(_WORDS, min(top, len(_WORDS)))
    return tuple(TokenLogprob(_WORDS.index(word), word, math.log(0.5 ** (n + 1))) for n, word in enumerate(words))

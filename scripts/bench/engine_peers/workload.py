"""The requests of `bench/engines.py`: prompts with a common beginning, and the number of new tokens of each answer.

This module imports nothing of Nightpress and no model library, because every contender reads it in its own environment.
"""

import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

SHAPES: Final = {"social": (30, 90), "article": (200, 360), "mixed": (30, 360)}
"""The name of each shape, and the fewest and the most new tokens of an answer. All numbers in this range are equally likely."""

PREFIX_WORDS: Final = 48
OWN_WORDS: Final = (8, 32)
WORDS: Final = """
shop garden river winter letter window market bridge morning paper silver orange yellow little friend summer house street
music flower water bread light stone happy quiet simple strong early gentle write about name give
"""


@dataclass(frozen=True)
class Request:
    """A prompt, and the number of new tokens of its answer."""

    prompt: str
    new_tokens: int


@dataclass(frozen=True)
class Workload:
    """The task of every contender: the model's folder, number format and device, the number of slots, and the requests."""

    folder: str
    dtype: str
    slots: int
    requests: list[Request]
    device: str = "cpu"

    @property
    def new_tokens(self) -> int:
        """The total number of new tokens of all answers."""
        return sum(request.new_tokens for request in self.requests)

    def write(self, path: Path) -> None:
        """Write the workload as JSON."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: str) -> "Workload":
        """Read a workload that `write` wrote."""
        values = json.loads(Path(path).read_text())
        return cls(**{**values, "requests": [Request(**request) for request in values["requests"]]})


def requests_of(shape: str, n: int, seed: int) -> list[Request]:
    """Return `n` random requests of a shape of SHAPES. The same seed gives the same requests."""
    some = random.Random(seed)

    vocabulary = WORDS.split()

    def words(size: int) -> str:
        return " ".join(some.choice(vocabulary) for _ in range(size))

    prefix = words(PREFIX_WORDS)
    return [Request(f"{prefix} {words(some.randint(*OWN_WORDS))}", some.randint(*SHAPES[shape])) for _ in range(n)]

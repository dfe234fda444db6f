"""A request row: one accepted row as it stands, with its checksum, in a line of `input/<lane>.jsonl`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from jobs.store.checksum import with_checksum, without_checksum


@dataclass(frozen=True, slots=True)
class RowRequest:
    """One accepted row: a line of its lane's input file.

    `row` counts the rows of the batch from 0; `line` is the line of the user's file, from 1. `request` holds the fields of
    the kind, already validated. `max_tokens`, `temperature`, `top_p` and `seed` are put over those of the kind. `cost` is
    the expected work in tokens, as the kind estimates it.
    """

    row: int
    line: int
    kind: str
    model: str
    request: Mapping[str, Any]
    custom_id: str | None = None
    adapter: str | None = None
    seed: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    priority: int = 4
    tenant: str = "default"
    metadata: Mapping[str, Any] | None = None
    cost: int = 0

    def to_bytes(self) -> bytes:
        """One JSON line without its newline. Fields that are None are left out."""
        return orjson.dumps({n: v for n in self.__slots__ if (v := getattr(self, n)) is not None})

    def to_line(self) -> bytes:
        """The line that is stored: that of `to_bytes`, with its checksum and its newline."""
        return with_checksum(self.to_bytes()) + b"\n"

    @classmethod
    def from_bytes(cls, line: bytes) -> "RowRequest":
        """Read the line that `to_line` made. Raises ValueError or TypeError when it made no such line."""
        values = orjson.loads(without_checksum(line))
        if not isinstance(values, dict):
            raise ValueError("not an object")
        return cls(**values)

    @property
    def overrides(self) -> Mapping[str, Any]:
        """The sampling params that the row itself asks for."""
        return {"max_tokens": self.max_tokens, "temperature": self.temperature, "top_p": self.top_p}

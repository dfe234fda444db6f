"""A job: one row on the queue, and the forms in which it travels.

`RowRequest` is a normalised request: with its checksum, one line of `input/<lane>.jsonl`. `Job` is what a claim hands to a
worker: the row, its lease and its payload. A payload is the line itself when it is small, else where it stands in the input.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from jobs.store.checksum import sealed, unsealed


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
        return sealed(self.to_bytes()) + b"\n"

    @classmethod
    def from_bytes(cls, line: bytes) -> "RowRequest":
        """Read a line back, with a checksum or without. Raises ValueError (or TypeError) when it is not one of ours."""
        values = orjson.loads(unsealed(line))
        if not isinstance(values, dict):
            raise ValueError("not an object")
        return cls(**values)

    @property
    def overrides(self) -> Mapping[str, Any]:
        """The sampling params that the row itself asks for."""
        return {"max_tokens": self.max_tokens, "temperature": self.temperature, "top_p": self.top_p}


@dataclass(frozen=True, slots=True, order=True)
class JobKey:
    """Which job: the row of a batch. On the queue it is written `<batch_id>/<row>`."""

    batch_id: str
    row: int

    def __str__(self) -> str:
        return f"{self.batch_id}/{self.row}"

    @classmethod
    def parse(cls, text: str) -> "JobKey":
        """The key that `str()` wrote."""
        batch_id, _, row = text.rpartition("/")
        return cls(batch_id, int(row))


@dataclass(frozen=True, slots=True)
class InputSlice:
    """Where a request stands in its lane's input file: `length` bytes from `offset`, without the newline."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to report on a job. The queue takes a report only if all of these match what it remembers."""

    key: JobKey
    round: int
    fence: int
    claim_id: str


@dataclass(frozen=True, slots=True)
class Job:
    """One claimed job.

    `attempt` counts from 1. `crashes` counts the leases that ran out, which cost no attempt; `solo_crashes` are those of
    them with nothing else in the worker's hand. `rescued` is set when this claim follows a lost lease (`lost`, and whether
    that was solo), so that the row may already have an outcome in storage. A `suspect` was lost with a worker, and is run
    beside no other jobs than those of this claim. A `burial` is not to be run: the claimer writes its final failure.
    """

    lease: Lease
    payload: bytes | InputSlice
    attempt: int = 1
    crashes: int = 0
    solo_crashes: int = 0
    suspect: bool = False
    rescued: bool = False
    burial: bool = False
    lost: tuple[Lease, ...] = field(default=())
    lost_solo: bool = False

    @property
    def key(self) -> JobKey:
        """The row of a batch that this job is."""
        return self.lease.key

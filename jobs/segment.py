"""Segments: immutable files of attempt outcomes, and the index at the head of each.

A segment's first line is an index of its rows, so that a rebuild reads headers only; each further line is one outcome of
one attempt. Its name ends in the sha256 of its bytes: to find that it exists is to know that it was written.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from jobs.usage import Usage

EVERY_ROUND: Final = 0
"""The round of an outcome that holds in every round: a row that intake refused stays refused."""

LineStatus = Literal["completed", "failed", "crashed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt of one row came to: a line of a segment.

    `final` is False for a failure that will be retried and for a crash. `usage` is what is billed if this line wins;
    `wasted` is regenerated text within the attempt. `receipt` holds the rest of an output row: model, model_revision,
    adapter, engine, device, finish_reason, seed, worker, started_at, finished_at, prices, templates, prompts' labels.
    """

    row: int
    round: int
    fence: int
    claim_id: str
    status: LineStatus
    final: bool
    kind: str
    custom_id: str | None = None
    attempt: int = 1
    output: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    usage: Usage = field(default_factory=Usage)
    wasted: Usage = field(default_factory=Usage)
    model: str = ""
    metadata: Mapping[str, Any] | None = None
    receipt: Mapping[str, Any] = field(default_factory=dict)

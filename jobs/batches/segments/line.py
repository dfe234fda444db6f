"""A line of a segment is the outcome of one attempt as JSON.

If the outcome may be published, its line ends in the published row: `"published":{...}}`. The fields before `published` are those
that the row lacks: claim id, round, fence, `final`, `wasted` and the rest of the receipt. Any other line holds the fields of its
Outcome.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import orjson

from jobs.batches.output_rows import PRICED, published_row
from jobs.findings import Verdict
from jobs.usage import Usage

LineStatus = Literal["completed", "failed", "crashed"]

LINE_END: Final = len(b"}\n")
"""The number of bytes that follow the published row in its line."""

EVERY_ROUND: Final = 0
"""An outcome of this round counts in every round. Refusals by intake have it, so that a refused row stays refused."""

_ROW: Final = (
    "row",
    "custom_id",
    "tenant",
    "kind",
    "status",
    "output",
    "verdict",
    "error",
    "findings",
    "rejected",
    "model",
    "attempt",
    "metadata",
)
"""The fields that an outcome and a published row have under the same name."""
_NOT_RECEIPT: Final = frozenset(("batch_id", "usage", *_ROW))
"""The fields of a published row that are no part of the receipt."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one attempt of one row: a line of a segment.

    `final` is False for a failure that will be retried and for a crash. `solo` is True if the job crashed while the worker held
    no other job, and None otherwise. `tenant` is billed for the row. `usage` is billed if this line wins. `wasted` is the cost
    of answers that were thrown away within the attempt, since the kind asked again. `receipt` holds the rest of an output row:
    model_revision, adapter, engine, device, finish_reason, seed, worker, started_at, finished_at, prices, currency, templates,
    and the labels of the prompts. `cost` is the expected work of the row in tokens, or 0 if its request could not be read.

    `verdict` is that of the checks on a completed row, None if they were not run, and `findings` are what they found
    (jobs/findings.py). `rejected` is the output of a row that failed because of a finding.
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
    verdict: Verdict | None = None
    error: Mapping[str, Any] | None = None
    findings: Sequence[Mapping[str, Any]] | None = None
    rejected: Mapping[str, Any] | None = None
    usage: Usage = field(default_factory=Usage)
    wasted: Usage = field(default_factory=Usage)
    model: str = ""
    tenant: str = ""
    metadata: Mapping[str, Any] | None = None
    solo: bool | None = None
    receipt: Mapping[str, Any] = field(default_factory=dict)
    cost: int = 0


def to_line(batch_id: str, outcome: Outcome) -> tuple[bytes, int]:
    """Return two values: the line with its newline, and the length in bytes of the published row in it.

    The length is 0 if the outcome may not be published.
    """
    values = {name: value for name in Outcome.__slots__ if (value := getattr(outcome, name)) is not None}
    if outcome.status != "completed" and not outcome.final:
        return orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE), 0
    row = published_row(batch_id, {**values, "usage": outcome.usage.as_dict()})
    restored = _receipt(row)
    attempt = {
        "claim_id": outcome.claim_id,
        "round": outcome.round,
        "fence": outcome.fence,
        "final": outcome.final,
        "wasted": outcome.wasted,
        "cost": outcome.cost,
        "receipt": {n: v for n, v in outcome.receipt.items() if v is not None and restored.get(n) != v},
    }
    published = orjson.dumps(row)
    return b'%s,"published":%s}\n' % (orjson.dumps(attempt)[:-1], published), len(published)


def parse_line(line: bytes) -> Outcome:
    """Return the outcome on a line. Unknown fields are ignored."""
    values = orjson.loads(line)
    published = values.pop("published", None)
    if published is not None:
        values |= {name: published[name] for name in _ROW if name in published}
        values["receipt"] = {**_receipt(published), **values["receipt"]}
        values["usage"] = published["usage"]
    values = {name: value for name, value in values.items() if name in Outcome.__slots__}
    values["usage"] = Usage.from_dict(values["usage"])
    values["wasted"] = Usage.from_dict(values["wasted"])
    return Outcome(**values)


def _receipt(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of the receipt that a published row holds."""
    found = {name: value for name, value in row.items() if name not in _NOT_RECEIPT and value is not None}
    return found | {name: value for name in PRICED if (value := row["usage"].get(name)) is not None}

"""Segments: immutable files of attempt outcomes, and the index at the head of each.

A segment's first line is an index of its rows, so that a rebuild reads headers only; each further line is one outcome of
one attempt. Its name ends in the sha256 of its bytes: to find that it exists is to know that it was written. A segment
of before, without the published rows in its lines, is brought into today's form as it is read.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from jobs.batches.batch import BatchPaths
from jobs.batches.output_rows import first_template
from jobs.batches.segments.head import SEGMENT_FORMAT, HeadRow, SegmentHead, damaged, parsed, raw_heads, read_heads
from jobs.batches.segments.line import LineStatus, Outcome, parse, to_line
from jobs.batches.segments.name import SegmentName
from jobs.store.store import Store
from jobs.usage import NAMES, Usage, counts_of, total

__all__ = [
    "EVERY_ROUND",
    "SOLO",
    "HeadRow",
    "Outcome",
    "Segment",
    "SegmentHead",
    "encode",
    "parse",
    "read_heads",
    "read_outcomes",
    "read_segments",
    "write",
]

EVERY_ROUND: Final = 0
"""The round of an outcome that holds in every round: a row that intake refused stays refused."""

_LETTERS: Final[Mapping[LineStatus, str]] = {"completed": "c", "failed": "f", "crashed": "x"}
SOLO: Final = "s"
"""In the index, a crash with no other job in hand. Segments of before that count have only `x`."""

_NOTHING: Final = (0,) * len(NAMES)


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment that was read: its head, as parsed and as stored, and the bytes in which its lines begin at `start`."""

    head: SegmentHead
    values: Mapping[str, Any]
    data: bytes
    start: int

    @property
    def body(self) -> bytes:
        """Its lines."""
        return self.data[self.start : self.start + self.head.bytes]

    def outcomes(self) -> Iterator[Outcome]:
        """Each outcome, in its order."""
        start = self.start
        for line in self.head.lines:
            yield parse(self.data[start : start + line[0]])
            start += line[0]


def encode(batch_id: str, outcomes: Sequence[Outcome], worker: str, incarnation: str, n: int) -> tuple[str, bytes]:
    """The name and the bytes of the `n`-th segment of one life of a worker."""
    head, body = encoded(batch_id, outcomes)
    data = orjson.dumps(head, option=orjson.OPT_APPEND_NEWLINE) + body
    return str(SegmentName(worker, incarnation, n, hashlib.sha256(data).hexdigest())), data


def encoded(batch_id: str, outcomes: Sequence[Outcome]) -> tuple[dict[str, Any], bytes]:
    """The head and the lines of a segment."""
    texts: list[bytes] = []
    lines: list[Sequence[int]] = []
    accounts: dict[Sequence[str | None], int] = {}
    spent: dict[str, Usage] = {}
    for outcome in outcomes:
        text, published = to_line(batch_id, outcome)
        texts.append(text)
        if published:
            completed = outcome.status == "completed"
            number = accounts.setdefault(_account(outcome), len(accounts))
            counts = counts_of(outcome.usage.as_dict()) if completed else _NOTHING
            lines.append((len(text), published, number, *counts))
        else:
            lines.append((len(text),))
        spent[outcome.model] = spent.get(outcome.model, Usage()) + outcome.usage + outcome.wasted
    failed = total(outcome.usage for outcome in outcomes if outcome.status != "completed")
    head = {
        "format": SEGMENT_FORMAT,
        "rows": [[o.row, SOLO if o.solo else _LETTERS[o.status], int(o.final), o.round, o.fence] for o in outcomes],
        "usage": total(outcome.usage for outcome in outcomes if outcome.status == "completed").as_dict(),
        "wasted": total([failed, *(outcome.wasted for outcome in outcomes)]).as_dict(),
        "bytes": sum(map(len, texts)),
        "lines": lines,
        "accounts": list(accounts),
        "spent": {model: counts_of(usage.as_dict()) for model, usage in spent.items()},
        "currency": next((named for o in outcomes if (named := o.receipt.get("currency"))), None),
    }
    return head, b"".join(texts)


def _account(outcome: Outcome) -> Sequence[str | None]:
    """Return the account of an outcome, but for its currency, which stands in the head."""
    if outcome.status != "completed":
        return outcome.status, outcome.model, None, "", "", ""
    template = first_template(outcome.receipt)
    return outcome.status, outcome.model, outcome.receipt.get("prices"), outcome.tenant, outcome.kind, template


def write(store: Store, paths: BatchPaths, outcomes: Sequence[Outcome], worker: str, incarnation: str, n: int) -> str:
    """Make outcomes durable. Returns the segment's name; written twice it is the same segment."""
    name, data = encode(paths.batch_id, outcomes, worker, incarnation, n)
    if not store.create(paths.segment(name), data):
        raise damaged(paths.segment(name))
    return name


def read_segments(store: Store, path: str, batch_id: str) -> Sequence[Segment]:
    """The segments of a file, whole. Raises KeyError when it is missing, StoreDamaged when its sha256 differs."""
    data = store.read(path)
    if not path.endswith(f"-{hashlib.sha256(data).hexdigest()}.jsonl"):
        raise damaged(path)
    start = data.find(b"\n") + 1
    segments = []
    for values in raw_heads(data[:start], path):
        head = parsed(values, path)
        read = Segment(head, values, data, start)
        segments.append(read if "lines" in values else _of_before(read, batch_id, path))
        start += head.bytes
    if start != len(data):
        raise damaged(path)
    return segments


def read_outcomes(store: Store, path: str) -> Iterator[Outcome]:
    """Each outcome of a file of segments, in its order."""
    for segment in read_segments(store, path, ""):
        yield from segment.outcomes()


def _of_before(segment: Segment, batch_id: str, path: str) -> Segment:
    """A segment of format 1, in today's form."""
    values, lines = encoded(batch_id, [parse(line) for line in segment.body.splitlines()])
    values = orjson.loads(orjson.dumps({"name": segment.head.name, **values}))
    return Segment(parsed(values, path), values, lines, 0)

"""Segments are immutable files of outcomes of attempts, each with an index on its first line.

A segment is named by the sha256 of its bytes and never changes, so a file of that name was written as a whole (rule 7 of
jobs/PROTOCOL.md). `head.py` has the head, `line.py` the lines, `name.py` the name, and `files.py` the places of the files.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from jobs.batches.batch import FORMAT, BatchPaths
from jobs.batches.output_rows import code_of, first_template
from jobs.batches.segments.head import SOLO, SegmentHead, damaged, parse_head, stored_heads
from jobs.batches.segments.line import LineStatus, Outcome, parse_line, to_line
from jobs.batches.segments.name import SegmentName
from jobs.store.store import Store
from jobs.usage import NAMES, Remembered, Usage, counts_of, total

_LETTERS: Final[Mapping[LineStatus, str]] = {"completed": "c", "failed": "f", "crashed": "x"}
_NO_COUNTS: Final = (0,) * len(NAMES)


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment that was read.

    `values` is the head as stored. `data` has all bytes of the file, in which the lines of the segment begin at `start`.
    """

    head: SegmentHead
    values: Mapping[str, Any]
    data: bytes
    start: int

    @property
    def body(self) -> bytes:
        """The bytes of the segment's lines."""
        return self.data[self.start : self.start + self.head.bytes]

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the outcome of each line, in order."""
        start = self.start
        for line in self.head.lines:
            yield parse_line(self.data[start : start + line[0]])
            start += line[0]


def encode(batch_id: str, outcomes: Sequence[Outcome], worker: str, incarnation: str, n: int) -> tuple[str, bytes]:
    """Return the name and the bytes of the `n`-th segment that this incarnation of a worker writes."""
    head, body = _head_and_body(batch_id, outcomes)
    data = orjson.dumps(head, option=orjson.OPT_APPEND_NEWLINE) + body
    return str(SegmentName(worker, incarnation, n, hashlib.sha256(data).hexdigest())), data


def _head_and_body(batch_id: str, outcomes: Sequence[Outcome]) -> tuple[dict[str, Any], bytes]:
    """Return two values: the head of a segment as it is stored, and the bytes of its lines."""
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
            counts = counts_of(outcome.usage.as_dict()) if completed else _NO_COUNTS
            remembered = Remembered.from_dict(outcome.receipt.get("memory")).counts if completed else ()
            lines.append((len(text), published, number, *counts, *(remembered if any(remembered) else ())))
        else:
            lines.append((len(text),))
        spent[outcome.model] = spent.get(outcome.model, Usage()) + outcome.usage + outcome.wasted
    failed = total(outcome.usage for outcome in outcomes if outcome.status != "completed")
    head = {
        "format": FORMAT,
        "rows": [
            [o.row, SOLO if o.solo else _LETTERS[o.status], int(o.final), o.round, o.fence, o.cost] for o in outcomes
        ],
        "usage": total(outcome.usage for outcome in outcomes if outcome.status == "completed").as_dict(),
        "wasted": total([failed, *(outcome.wasted for outcome in outcomes)]).as_dict(),
        "bytes": sum(map(len, texts)),
        "lines": lines,
        "accounts": list(accounts),
        "spent": {model: counts_of(usage.as_dict()) for model, usage in spent.items()},
        "currency": next((named for o in outcomes if (named := o.receipt.get("currency"))), None),
        "device": next((named for o in outcomes if (named := o.receipt.get("device"))), None),
    }
    return head, b"".join(texts)


def _account(outcome: Outcome) -> Sequence[str | None]:
    """Return the fields of an outcome's `Account`, without the currency and the device, which the head names once."""
    if outcome.status != "completed":
        return outcome.status, outcome.model, None, "", "", "", code_of(outcome.error), ""
    template = first_template(outcome.receipt)
    fields = (outcome.model, outcome.receipt.get("prices"), outcome.tenant, outcome.kind, template, "")
    return outcome.status, *fields, outcome.verdict or ""


def write(store: Store, paths: BatchPaths, outcomes: Sequence[Outcome], worker: str, incarnation: str, n: int) -> str:
    """Make outcomes durable as a segment, and return its name. If the same call is made again, nothing changes.

    Raises StoreUnavailable, and StoreDamaged if a file of that name holds other bytes.
    """
    name, data = encode(paths.batch_id, outcomes, worker, incarnation, n)
    if not store.create(paths.segment(name), data):
        raise damaged(paths.segment(name))
    return name


def read_segments(store: Store, path: str) -> Sequence[Segment]:
    """Read the segments of a file.

    Raises KeyError if the file is missing, StoreDamaged if it is not what was written, and StoreTooNew if its format is newer.
    """
    data = store.read(path)
    if not path.endswith(f"-{hashlib.sha256(data).hexdigest()}.jsonl"):
        raise damaged(path)
    start = data.find(b"\n") + 1
    segments = []
    for values in stored_heads(data[:start], path):
        head = parse_head(values, path)
        segments.append(Segment(head, values, data, start))
        start += head.bytes
    if start != len(data):
        raise damaged(path)
    return segments


def read_outcomes(store: Store, path: str) -> Iterator[Outcome]:
    """Yield each outcome of a file of segments, in order."""
    for segment in read_segments(store, path):
        yield from segment.outcomes()

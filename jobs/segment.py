"""Segments: immutable files of attempt outcomes, and the index at the head of each.

A segment's first line is an index of its rows, so that a rebuild reads headers only; each further line is one outcome of
one attempt. Its name ends in the sha256 of its bytes: to find that it exists is to know that it was written.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

import orjson

from jobs.batch import FORMAT, BatchPaths
from jobs.errors import StoreDamaged
from jobs.storage import Store
from jobs.usage import Usage, total

EVERY_ROUND: Final = 0
"""The round of an outcome that holds in every round: a row that intake refused stays refused."""

HEAD_BYTES: Final = 64 << 10
"""How much of a segment is read at first to find its head."""

LineStatus = Literal["completed", "failed", "crashed"]
_LETTERS: Final[Mapping[LineStatus, str]] = {"completed": "c", "failed": "f", "crashed": "x"}
SOLO: Final = "s"
"""In the index, a crash with no other job in hand. Segments of before that count have only `x`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt of one row came to: a line of a segment.

    `final` is False for a failure that will be retried and for a crash; `solo` is set for a crash with no other job in
    hand. `usage` is what is billed if this line wins;
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
    solo: bool | None = None
    receipt: Mapping[str, Any] = field(default_factory=dict)


class HeadRow(NamedTuple):
    """What the index says of one line: which row, `c`ompleted, `f`ailed, crashed (`x`, or `s`olo), and its place in time."""

    row: int
    status: str
    final: bool
    round: int
    fence: int


@dataclass(frozen=True, slots=True)
class SegmentHead:
    """The first line of a segment. `usage` is the sum over its completed lines, `wasted` all else that it cost.

    `rows` has an entry for each line, in their order; `bytes` counts what follows the head.
    """

    rows: Sequence[HeadRow]
    usage: Usage
    wasted: Usage
    bytes: int


def encode(outcomes: Sequence[Outcome], worker: str, incarnation: str, n: int) -> tuple[str, bytes]:
    """The name and the bytes of the `n`-th segment of one life of a worker."""
    lines = [orjson.dumps(_values(outcome)) for outcome in outcomes]
    completed = total(outcome.usage for outcome in outcomes if outcome.status == "completed")
    wasted = total(outcome.usage for outcome in outcomes if outcome.status != "completed")
    head = {
        "format": FORMAT,
        "rows": [[o.row, SOLO if o.solo else _LETTERS[o.status], int(o.final), o.round, o.fence] for o in outcomes],
        "usage": completed.as_dict(),
        "wasted": total([wasted, *(outcome.wasted for outcome in outcomes)]).as_dict(),
        "bytes": sum(len(line) + 1 for line in lines),
    }
    data = b"".join(line + b"\n" for line in (orjson.dumps(head), *lines))
    return f"{worker}-{incarnation}-{n}-{hashlib.sha256(data).hexdigest()}.jsonl", data


def write(store: Store, paths: BatchPaths, outcomes: Sequence[Outcome], worker: str, incarnation: str, n: int) -> str:
    """Make outcomes durable. Returns the segment's name; written twice it is the same segment."""
    name, data = encode(outcomes, worker, incarnation, n)
    if not store.create(paths.segment(name), data):
        raise _damaged(paths.segment(name))
    return name


def read_head(store: Store, path: str) -> SegmentHead:
    """The index of a segment, read without the rest of it."""
    data = store.read_range(path, 0, HEAD_BYTES)
    while b"\n" not in data:
        more = store.read_range(path, len(data), 4 * len(data))
        if not more:
            raise _damaged(path)
        data += more
    return parse_head(data.partition(b"\n")[0], path)


def parse_head(line: bytes, path: str) -> SegmentHead:
    """The index, from its line."""
    try:
        values = orjson.loads(line)
        return SegmentHead(
            rows=[
                HeadRow(row, status, bool(final), round_, fence) for row, status, final, round_, fence in values["rows"]
            ],
            usage=Usage.from_dict(values["usage"]),
            wasted=Usage.from_dict(values["wasted"]),
            bytes=values["bytes"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path) from error


def read_lines(store: Store, path: str) -> Iterator[tuple[HeadRow, bytes]]:
    """Each line as it stands, with its entry in the index. Raises StoreDamaged at the end if the sha256 differs."""
    digest = hashlib.sha256()
    with store.reader(path) as file:
        first = file.readline()
        digest.update(first)
        rows = parse_head(first, path).rows
        for row, line in zip(rows, file, strict=False):
            digest.update(line)
            yield row, line
        digest.update(file.read())
    if not path.endswith(f"-{digest.hexdigest()}.jsonl"):
        raise _damaged(path)


def read_outcomes(store: Store, path: str) -> Iterator[Outcome]:
    """Each outcome of a segment, in its order. Raises StoreDamaged."""
    for _, line in read_lines(store, path):
        with damage_said(path):
            outcome = parse(line)
        yield outcome


def parse(line: bytes) -> Outcome:
    """An outcome, from its line. Fields that a newer release added are passed over."""
    values = {name: value for name, value in orjson.loads(line).items() if name in Outcome.__slots__}
    values["usage"] = Usage.from_dict(values["usage"])
    values["wasted"] = Usage.from_dict(values["wasted"])
    return Outcome(**values)


def _values(outcome: Outcome) -> dict[str, Any]:
    return {name: value for name in Outcome.__slots__ if (value := getattr(outcome, name)) is not None}


@contextmanager
def damage_said(path: str) -> Iterator[None]:
    """What cannot be parsed of a segment is said as its damage, before its sha256 would show it."""
    try:
        yield
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path) from error


def _damaged(path: str) -> StoreDamaged:
    return StoreDamaged(f"storage: segment {path} is damaged. Restore it from a backup.")

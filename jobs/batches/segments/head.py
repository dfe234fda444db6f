"""The head of a segment is its index. Heads are on the first line of a file, so a rebuild or a count reads no further line.

A head says for each line which row it is about, how the attempt ended and how long the line is. If the line may be published,
the head also says how long the published row in the line is, and what that row adds to the ledger. So a publisher copies bytes
and adds integers. A compacted file holds the heads of several segments, each with the name that its segment had alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Any, Final, NamedTuple

import orjson

from jobs.batches.batch import FORMAT, MOST_ROUNDS, MOST_ROWS
from jobs.errors import StoreDamaged
from jobs.store.damage import check_format
from jobs.store.store import Store
from jobs.usage import Usage

HEAD_BYTES: Final = 64 << 10
"""The first read of a file takes this many bytes. If the head is longer, each further read takes four times what was read."""

_STATUSES: Final = frozenset("cfxs")

SOLO: Final = "s"
"""The status in a head of a job that crashed while the worker held no other job."""


class HeadRow(NamedTuple):
    """One line as its head shows it. `status` is `c` (completed), `f` (failed), `x` (crashed) or `s` (crashed alone: `SOLO`).

    `cost` is the expected work of the row in tokens, or 0 if its request could not be read.
    """

    row: int
    status: str
    final: bool
    round: int
    fence: int
    cost: int = 0


class Account(NamedTuple):
    """An account is a group of rows that the ledger adds up together.

    A completed row has all fields but `code`; `prices` names the version of the prices that the row was charged by. A row of
    another status has no prices, tenant, kind or template; `code` is the code of its failure. `currency` is None if no line of
    the segment names one. `verdict` is empty if the row was not judged, and `device` if no line of the segment names a device;
    heads of earlier releases have neither.
    """

    status: str
    model: str
    prices: str | None
    tenant: str
    kind: str
    template: str
    code: str
    currency: str | None
    verdict: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True)
class SegmentHead:
    """The index of one segment.

    `name` is the name of the segment's own file. The name stays after compaction, since names break ties (rule 18 of
    jobs/PROTOCOL.md). `rows` and `lines` have one entry for each line, in order. An entry of `lines` begins with the length of
    the line in bytes. If the line may be published, the entry goes on with the length of the published row, the number of the
    line's account in `accounts`, the six counts of the line's usage, and, if the translation memory was asked for the row, the
    four counts of what it answered. `bytes` is the length of all lines together.

    `usage` is the sum over the completed lines, and `wasted` is everything else that the lines cost. `spent` is the sum of both,
    by model. All amounts are in `currency`, since one worker, with one currency, writes a segment.
    """

    name: str
    rows: Sequence[HeadRow]
    usage: Usage
    wasted: Usage
    bytes: int
    lines: Sequence[Sequence[int]]
    accounts: Sequence[Account]
    spent: Mapping[str, Sequence[int]]
    currency: str | None


def read_heads(store: Store, path: str) -> Sequence[SegmentHead]:
    """Read the heads of a file without its other lines. Raises KeyError if the file is missing."""
    data = store.read_range(path, 0, HEAD_BYTES)
    while b"\n" not in data:
        more = store.read_range(path, len(data), 4 * len(data))
        if not more:
            raise damaged(path)
        data += more
    return parse_heads(data.partition(b"\n")[0], path)


def parse_heads(line: bytes, path: str) -> Sequence[SegmentHead]:
    """Read the heads on the first line of a file. Raises StoreDamaged, or StoreTooNew if a newer release wrote them."""
    return [parse_head(values, path) for values in stored_heads(line, path)]


def stored_heads(line: bytes, path: str) -> Sequence[dict[str, Any]]:
    """Read the heads as they are stored, each with its name. Raises StoreDamaged, or StoreTooNew if they are too new."""
    try:
        values = orjson.loads(line)
        check_format(values, FORMAT, f"storage: segment {path}")
        heads = values["segments"] if "segments" in values else [{"name": path.rpartition("/")[2], **values}]
        if not isinstance(heads, list):
            raise ValueError("segments is no list")
    except (ValueError, TypeError, KeyError) as error:
        raise damaged(path) from error
    return heads


def parse_head(values: Mapping[str, Any], path: str) -> SegmentHead:
    """Read one head from its stored form. Raises StoreDamaged."""
    try:
        currency, device = values["currency"], str(values.get("device") or "")
        _check(values)
        return SegmentHead(
            name=values["name"],
            rows=list(starmap(HeadRow, values["rows"])),
            usage=Usage.from_dict(values["usage"]),
            wasted=Usage.from_dict(values["wasted"]),
            bytes=values["bytes"],
            lines=values["lines"],
            accounts=[_account(currency, device, *fields) for fields in values["accounts"]],
            spent=values["spent"],
            currency=currency,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(path, f"{error}" if isinstance(error, ValueError) else "") from error


def _account(currency: str | None, device: str, *fields: Any) -> Account:
    """Return an account as a head stores it: the fields up to `code`, then the verdict, which earlier releases did not store.

    The head names the currency and the device once for all lines. Only completed rows have a device.
    """
    *named, verdict = fields if len(fields) == len(Account._fields) - 2 else (*fields, "")
    return Account._make((*named, currency, verdict, device if named[:1] == ["completed"] else ""))


def _check(values: Mapping[str, Any]) -> None:
    """Raise ValueError if a head holds a value that would break the counts of rows. The error names the field."""
    rows = values["rows"]
    for row, status, final, round_, fence, cost in rows:
        if not (
            type(row) is type(round_) is type(fence) is type(cost) is int
            and cost >= 0
            and 0 <= row < MOST_ROWS
            and 0 <= round_ <= MOST_ROUNDS
            and status in _STATUSES
            and final in (0, 1)
        ):
            raise ValueError("rows: no line is such a row")
    size = values["bytes"]
    if type(size) is not int or size < 0:
        raise ValueError("bytes: it is not a number of bytes")
    if type(values["name"]) is not str:
        raise ValueError("name: it is no text")
    if len(values["lines"]) != len(rows):
        raise ValueError("lines: they are not as many as the rows")


def damaged(path: str, fault: str = "") -> StoreDamaged:
    """Make the error for a file of segments whose content is not what was written. `fault` names the field that shows the
    damage, if a field does.
    """
    reason = f" ({fault})" if fault else ""
    return StoreDamaged(f"storage: segment {path} is damaged{reason}. Restore it from a backup.")

"""Heads: the index at the beginning of each file of segments, so that a rebuild and a count need no line itself.

A head says of each line which row it is, what it came to and where it ends, and of a line that may be published also where the
published row stands in it and what it adds to the ledger: who publishes copies bytes and adds integers. A compacted
file holds the heads of several segments, each under the name that it had alone. This module owns that form, and reads the
one of before, whose lines have to be parsed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import starmap
from typing import Any, Final, NamedTuple

import orjson

from jobs.errors import StoreDamaged
from jobs.store.store import Store
from jobs.usage import Usage

SEGMENT_FORMAT: Final = 2
"""The version of a file of segments. In version 1 a line is an outcome without its published form."""

HEAD_BYTES: Final = 64 << 10
"""How much of a file is read at first to find its head."""


class HeadRow(NamedTuple):
    """What the index says of one line: which row, `c`ompleted, `f`ailed, crashed (`x`, or `s`olo), and its place in time."""

    row: int
    status: str
    final: bool
    round: int
    fence: int


class Account(NamedTuple):
    """What published rows are added up under. `prices` and what follows is empty for rows that did not complete.

    `currency` is None where the row does not say it.
    """

    status: str
    model: str
    prices: str | None
    tenant: str
    kind: str
    template: str
    currency: str | None


@dataclass(frozen=True, slots=True)
class SegmentHead:
    """The index of one segment. `usage` is the sum over its completed lines, `wasted` all else that it cost.

    `name` orders it among all, also where it was compacted. `rows` has an entry for each line, in their order; `bytes` counts
    those lines. `lines` holds for each how long it is; and if it may be published, how long the published row in it is,
    the number of its account, and six counts. `spent` is all that its lines cost, by model. `currency` is that of all its
    amounts, as a segment is of one worker.
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
    """The heads of a file, read without the rest of it. Raises KeyError when it is missing."""
    data = store.read_range(path, 0, HEAD_BYTES)
    while b"\n" not in data:
        more = store.read_range(path, len(data), 4 * len(data))
        if not more:
            raise damaged(path)
        data += more
    return parse_heads(data.partition(b"\n")[0], path)


def parse_heads(line: bytes, path: str) -> Sequence[SegmentHead]:
    """The heads, from the first line of a file."""
    return [parsed(values, path) for values in raw_heads(line, path)]


def raw_heads(line: bytes, path: str) -> Sequence[dict[str, Any]]:
    """The same as they are stored, each with its name."""
    try:
        values = orjson.loads(line)
        return values["segments"] if "segments" in values else [{"name": path.rpartition("/")[2], **values}]
    except (ValueError, TypeError) as error:
        raise damaged(path) from error


def parsed(values: Mapping[str, Any], path: str) -> SegmentHead:
    """One head. Of format 1 it has no `lines`, no `accounts` and no `spent`.

    The currency stands beside the accounts, and not in them, where an earlier release would take it for damage.
    """
    try:
        currency = values.get("currency")
        return SegmentHead(
            name=values["name"],
            rows=list(starmap(HeadRow, values["rows"])),
            usage=Usage.from_dict(values["usage"]),
            wasted=Usage.from_dict(values["wasted"]),
            bytes=values["bytes"],
            lines=values.get("lines", ()),
            accounts=list(starmap(partial(Account, currency=currency), values.get("accounts", ()))),
            spent=values.get("spent", {}),
            currency=currency,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(path) from error


def damaged(path: str) -> StoreDamaged:
    """The error of a file that is not what was written."""
    return StoreDamaged(f"storage: segment {path} is damaged. Restore it from a backup.")

"""Finds a row of a batch by the name that a person typed: its number, or its custom_id.

A whole number is always the number of a row, and any other text is a custom_id. `id:7` is the row whose custom_id is 7.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import orjson

from jobs.batches.batch import Batch
from jobs.batches.input import lane_input, read_row
from jobs.batches.refused import read_refused
from jobs.did_you_mean import did_you_mean
from jobs.errors import RequestError
from jobs.store.store import Store

BY_ID: Final = "id:"
"""The prefix that a person types before a custom_id that looks like a number."""
COMPARED: Final = 10_000
"""If no row has a custom_id, at most this many others are compared with it to suggest the nearest."""
_LIKE_NUMBER: Final = re.compile(r"\s*[-+\u2212]?\d[\d.,_]*(?:e[-+]?\d+)?\s*", re.IGNORECASE)
"""Matches what a person may have typed for a number, such as -1, +1, 01, 1.0 or 1,000."""
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,19}", re.ASCII)


@dataclass(frozen=True, slots=True)
class FoundRow:
    """The number of a row, and a sentence about another row that may have been meant; empty if there is none."""

    row: int
    remark: str = ""


def find_row(store: Store, batch: Batch, name: str | int) -> FoundRow:
    """Return the row that a name stands for. Reads the whole input.

    If an accepted row and refused rows have the custom_id, the accepted row is returned. Raises RequestError if no row has the
    name, or if only refused rows have the custom_id, and several of them.
    """
    text = str(name)
    if _NUMBER.fullmatch(text):
        return _by_number(store, batch, int(text), text if isinstance(name, str) else None)
    custom_id = text.removeprefix(BY_ID)
    if not custom_id:
        raise RequestError(f"the name of a row is empty: {_known(batch)}")
    accepted, refused = _with_id(store, batch, custom_id)
    if not accepted and not refused:
        if _LIKE_NUMBER.fullmatch(text):
            raise RequestError(f"no row of {batch.batch_id} has the number or the custom_id {text!r}: {_known(batch)}")
        like = did_you_mean(custom_id, islice(_ids(store, batch), COMPARED))
        raise RequestError(f"no row of {batch.batch_id} has the custom_id {custom_id!r}{like}")
    if len(accepted) > 1 or (not accepted and len(refused) > 1):
        rows = ", ".join(map(str, (accepted or refused)[:10]))
        raise RequestError(
            f"several rows of {batch.batch_id} have the custom_id {custom_id!r}: name one of the rows {rows}"
        )
    if not accepted:
        return FoundRow(refused[0])
    also = f"{_rows(refused)} with the same custom_id, which intake refused, can be named by number" if refused else ""
    return FoundRow(accepted[0], also)


def _known(batch: Batch) -> str:
    return f"its rows are 0 to {batch.rows - 1}, or name a row by its custom_id"


def _by_number(store: Store, batch: Batch, row: int, typed: str | None) -> FoundRow:
    accepted, refused = ([], []) if typed is None else _with_id(store, batch, typed)
    others = [other for other in (*accepted, *refused) if other != row]
    remark = f"the custom_id {typed} is that of {_rows(others)}: {BY_ID}{typed} means that one" if others else ""
    if row >= batch.rows:
        more = f"; {remark}" if remark else ""
        raise RequestError(f"batch {batch.batch_id} has no row {row}: its rows are 0 to {batch.rows - 1}{more}")
    return FoundRow(row, f"{row} is the number of a row; {remark}" if remark else "")


def _with_id(store: Store, batch: Batch, custom_id: str) -> tuple[list[int], list[int]]:
    """Return the numbers of the accepted rows with this custom_id, and those of the refused rows."""
    try:
        sought = b'"custom_id":' + orjson.dumps(custom_id)
    except orjson.JSONEncodeError:  # a lone surrogate is in no custom_id
        return [], []
    accepted: list[int] = []
    for lane in batch.lanes:
        with lane_input(store, batch.batch_id, lane) as file:
            for line in file:
                if sought in line and (request := read_row(line)) is not None and request.custom_id == custom_id:
                    accepted.append(request.row)
    return sorted(accepted), [row.row for row in read_refused(store, batch) if row.custom_id == custom_id]


def _ids(store: Store, batch: Batch) -> Iterator[str]:
    for lane in batch.lanes:
        with lane_input(store, batch.batch_id, lane) as file:
            for line in file:
                if (request := read_row(line)) is not None and request.custom_id is not None:
                    yield request.custom_id


def _rows(rows: Sequence[int]) -> str:
    return f"row{'s' * (len(rows) != 1)} {', '.join(map(str, rows[:10]))}"

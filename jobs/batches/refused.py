"""Keeps refused rows as they came, so that they can be corrected: one line a row in the batch's `refused.jsonl`."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import orjson

from jobs.batches.batch import Batch, BatchPaths
from jobs.batches.records import missing
from jobs.store.checksum import with_checksum, without_checksum
from jobs.store.damage import damaged_file
from jobs.store.store import Store

REASON = "nightpress_error"
"""The name of a key or column in a file to correct. It holds the reason why a row was refused. Intake ignores it."""
UNREAD = "nightpress_raw"
"""The name of a key or column in a file to correct, with the text of a row that could not be read. Intake refuses such rows."""


class RefusedRow(NamedTuple):
    """A row that intake refused.

    Attributes:
        row: Its number in the batch, from 0.
        line: Its line in the file, from 1.
        custom_id: Its custom_id, if it could be read.
        reason: The line, code, field and message of the fault, in one sentence.
        text: The text of the row; empty if it is in `cells`. Bytes that are not UTF-8 are replaced.
        cells: The cells of a row of a CSV; None in other formats, and if the row could not be split into cells.
        is_unread: Whether `text` is a text that could not be read as a row.
    """

    row: int
    line: int
    custom_id: str | None
    reason: str
    text: str
    cells: Sequence[str] | None = None
    is_unread: bool = False

    def to_line(self) -> bytes:
        """Return the line that is stored, with its checksum and a newline."""
        return with_checksum(orjson.dumps(self._asdict())) + b"\n"


def read_refused(store: Store, batch: Batch) -> Iterator[RefusedRow]:
    """Yield the rows of a batch that intake refused, in input order. Raises StoreDamaged if their file is missing or damaged."""
    if not batch.refused:
        return
    path, count = BatchPaths(batch.batch_id).refused, 0
    try:
        with store.reader(path) as file:
            for line in file:
                yield RefusedRow(**orjson.loads(without_checksum(line)))
                count += 1
    except KeyError as error:
        raise missing(store, path) from error
    except (ValueError, TypeError) as error:
        raise damaged_file(store, path) from error
    if count != batch.refused:
        raise damaged_file(store, path, f"it has {count} rows, and the batch {batch.refused}")

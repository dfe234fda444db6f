"""Results are the published rows of a batch or, before its first publication, the rows that have an outcome so far."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, Final

import orjson

from jobs.batches.batch import Batch, Done
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.published import ERRORS, OUTPUT, parsed_row, published_lines, read_published
from jobs.batches.rounds import read_round, require_batch
from jobs.batches.segments.files import until_read
from jobs.errors import RequestError
from jobs.findings import Verdict
from jobs.publishing.candidates import add_candidates
from jobs.publishing.ledger import Ledger
from jobs.publishing.winners import Winners
from jobs.store.store import Store

SCRATCH: Final = "nightpress-"
"""The beginning of the name of the temporary folder in which a batch's rows are sorted."""


@dataclass(frozen=True)
class Results:
    """Rows of one batch in input order, each a dict as `output.jsonl` or `errors.jsonl` has it. Iterate as often as you like.

    Nothing is read before the first row is asked for, and rows are never all in memory.

    Attributes:
        batch: The batch as it was accepted.
        round: The published round that the rows are from; None if no round is published yet. If it is None, the rows are those
            that have an outcome so far. A later iteration may then yield more rows, and another output for a retried row.
        is_finished: Whether the batch is published and not open again.
        errors: True if these are the rows that did not complete, False if they are the completed rows.
        only: The verdict of the rows; None for all rows.
    """

    batch: Batch
    round: int | None
    is_finished: bool
    errors: bool
    _store: Store
    _done: Done | None
    only: Verdict | None = None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Return the rows. Raises StoreDamaged; if only the checksum shows the damage, the error comes after the last row."""
        if self._done is None:
            return map(orjson.loads, self.lines())
        rows = read_published(self._store, self._done, self.batch.batch_id, self._name)
        return rows if self.only is None else filter(partial(_has, self.only), rows)

    def lines(self) -> Iterator[bytes]:
        """Return the same rows as JSON lines: the lines of the published file, or the lines that this file would have now."""
        if self._done is None:
            lines = _lines_so_far(self._store, self.batch, completed=not self.errors)
        else:
            lines = published_lines(self._store, self._done, self.batch.batch_id, self._name)
        return lines if self.only is None else self._of_verdict(self.only, lines)

    @property
    def unjudged(self) -> int:
        """The number of completed rows without a verdict, since they were not checked; 0 before the batch is published."""
        if self._done is None:
            return 0
        return self._done.counts.get("completed", 0) - sum(self._done.verdicts.values())

    def _of_verdict(self, verdict: Verdict, lines: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the lines of rows with this verdict. A line in which its word stands nowhere is not parsed."""
        word = f'"{verdict}"'.encode()
        for line in lines:
            if word in line and _has(verdict, self._parsed(line)):
                yield line

    def _parsed(self, line: bytes) -> dict[str, Any]:
        if self._done is not None:
            return parsed_row(self._store, self._done, self.batch.batch_id, self._name, line)
        row: dict[str, Any] = orjson.loads(line)
        return row

    @property
    def _name(self) -> str:
        return ERRORS if self.errors else OUTPUT


def _has(verdict: Verdict, row: Mapping[str, Any]) -> bool:
    """Whether a published row has this verdict. Every row that failed has the verdict `failed`."""
    return bool(row.get("status") == "failed" if verdict == "failed" else row.get("verdict") == verdict)


def results(store: Store, batch_id: str, *, errors: bool = False, only: Verdict | None = None) -> Results:
    """Return the completed rows of a batch; with `errors`, all other rows that have an outcome; with `only`, those of a verdict.

    Raises RequestError if `only` names a verdict of completed rows and `errors` is set, NoBatch, StoreUnavailable.
    """
    if errors and only in ("fit", "review"):
        raise RequestError(f"rows with the verdict {only} completed: leave out errors")
    batch = require_batch(store, batch_id)
    current = read_round(store, batch)
    done = current.latest
    round_, is_finished = None if done is None else done.round, current.published is not None
    return Results(batch, round_, is_finished, errors or only == "failed", store, done, only)


def _lines_so_far(store: Store, batch: Batch, *, completed: bool) -> Iterator[bytes]:
    def collected() -> Winners:
        index = OutcomeIndex(store, batch)
        index.refresh()
        winners = Winners(batch.rows, sum(index.files.values()), Path(mkdtemp(dir=scratch)))
        add_candidates(store, index, winners, Ledger())
        return winners

    with TemporaryDirectory(prefix=SCRATCH) as scratch:
        for _, chosen in until_read(store, collected).ranges():
            for _, winner in sorted(chosen.items()):
                line = bytes(winner.text)
                if (orjson.loads(line)["status"] == "completed") == completed:
                    yield line + b"\n"

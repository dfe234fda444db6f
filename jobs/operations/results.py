"""Results: the rows of a batch as they are published; of a batch that never was, those that have an outcome by now."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, Final

import orjson

from jobs.batches.batch import Batch, Done
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.published import ERRORS, OUTPUT, published_lines, read_published
from jobs.batches.rounds import read_round, require_batch
from jobs.batches.segments.files import until_read
from jobs.publishing.candidates import add_candidates
from jobs.publishing.ledger import Ledger
from jobs.publishing.winners import Winners
from jobs.store.store import Store

SCRATCH: Final = "nightpress-"
"""How the name of the temporary folder begins in which the rows of a large batch are sorted."""


@dataclass(frozen=True)
class Results:
    """Rows of one batch in input order, each a dict as `output.jsonl` or `errors.jsonl` has it. Iterate as often as you like.

    Nothing is read before the first row is asked for, and rows are never all in memory.

    Attributes:
        batch: The batch as it was accepted.
        round: The published round that the rows are from. None: no round is published yet, and the rows are those that have an
            outcome by now, as they would be published; asked again, there may be more, and a retried row may have another output.
        is_finished: Whether the batch is published and not open again.
        errors: Whether these are the rows that did not complete, in place of those that did.
    """

    batch: Batch
    round: int | None
    is_finished: bool
    errors: bool
    _store: Store
    _done: Done | None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The rows. Raises StoreDamaged, at the end also where the file is not the one that was published."""
        if self._done is None:
            return map(orjson.loads, self.lines())
        return read_published(self._store, self._done, self.batch.batch_id, self._name)

    def lines(self) -> Iterator[bytes]:
        """The same rows as JSON lines: the bytes of the published file, or those that it would have by now."""
        if self._done is None:
            return _lines_so_far(self._store, self.batch, completed=not self.errors)
        return published_lines(self._store, self._done, self.batch.batch_id, self._name)

    @property
    def _name(self) -> str:
        return ERRORS if self.errors else OUTPUT


def results(store: Store, batch_id: str, *, errors: bool = False) -> Results:
    """The completed rows of a batch; with `errors`, all others that have an outcome. Raises NoBatch, StoreUnavailable."""
    batch = require_batch(store, batch_id)
    current = read_round(store, batch)
    done = current.latest
    return Results(batch, None if done is None else done.round, current.published is not None, errors, store, done)


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

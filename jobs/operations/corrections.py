"""Gives the rows that intake refused as a file to correct, and the command that enqueues the corrected file."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Final

import orjson

from jobs.batches.batch import Batch, BatchPaths, InputLayout
from jobs.batches.records import missing
from jobs.batches.refused import read_refused
from jobs.batches.rounds import require_batch
from jobs.batches.segments.files import each_heads, list_files, until_read
from jobs.batches.segments.line import EVERY_ROUND
from jobs.errors import RequestError
from jobs.formats.results.corrections import SUFFIXES, correction_lines, write_corrections_as_parquet
from jobs.printable import shell_word
from jobs.store.store import Store

_FLAGS: Final = ("override_model",)
_LISTS: Final = ("set", "extra")
_GIVEN_AGAIN: Final = ("kind", "model", "override_model", "set", "map", "extra", "tenant", "priority", "rows_may_set")
"""The options of a batch with which its corrected rows must be enqueued too."""


@dataclass(frozen=True)
class Corrections:
    """The refused rows of a batch. `count` is their number, `form` their format, and `suffix` the suffix of their file."""

    store: Store
    batch: Batch
    layout: InputLayout

    @property
    def count(self) -> int:
        return self.batch.refused

    @property
    def form(self) -> str:
        return self.layout.form

    @property
    def suffix(self) -> str:
        return SUFFIXES[self.layout.form]

    def write(self, target: BinaryIO) -> None:
        """Write the file. Raises StoreDamaged, and RequestError if Parquet is needed and its extra is not installed."""
        rows = read_refused(self.store, self.batch)
        if self.form != "parquet":
            target.writelines(correction_lines(rows, self.layout))
            return
        with TemporaryDirectory(prefix="nightpress-") as scratch:
            path = Path(scratch) / "corrections.parquet"
            write_corrections_as_parquet(rows, self.layout, path)
            with path.open("rb") as source:
                while piece := source.read(1 << 20):
                    target.write(piece)

    def command(self, file: str) -> str:
        """Return the command line that enqueues the corrected file, with the options that its rows need."""
        words = ["nightpress", "enqueue", f"./{file}" if file.startswith("-") else file]  # not taken for an option
        for name in _GIVEN_AGAIN:
            words += _words(name, self.batch.options.get(name))
        if self.form == "openai" and not self.batch.options.get("map"):
            words += ["--format", "openai"]
        return " ".join(map(shell_word, words))


def corrections(store: Store, batch_id: str) -> Corrections:
    """Return the refused rows of a batch. Raises RequestError if none was refused, NoBatch, StoreDamaged."""
    batch = require_batch(store, batch_id)
    if not batch.refused:
        raise RequestError(f"{batch_id}: intake refused none of its rows, so there is nothing to correct")
    if batch.documents is not None:
        raise RequestError(
            f"{batch_id}: its rows are segments of documents: nightpress failed list {batch_id} names them; mend the documents, "
            "and enqueue them again"
        )
    if batch.layout is None:
        raise missing(store, BatchPaths(batch_id).refused)
    return Corrections(store, batch, batch.layout)


def check_not_refused(store: Store, batch: Batch, rows: Collection[int]) -> None:
    """Raise RequestError if intake refused one of these rows, since such a row has no request that could be run."""
    if not batch.refused or not rows:
        return
    wrong = sorted(until_read(store, lambda: _refused_among(store, batch, set(rows))))
    if wrong:
        those = f"row{'s' * (len(wrong) != 1)} {', '.join(map(str, wrong[:10]))}"
        raise RequestError(f"intake refused {those}, which cannot be run again: {advice(batch.batch_id)}")


def advice(batch_id: str) -> str:
    """Return what to do about rows that intake refused."""
    return f"nightpress failed export {batch_id} -o FILE gives them as a file to correct"


def _refused_among(store: Store, batch: Batch, rows: set[int]) -> set[int]:
    files = list_files(store, BatchPaths(batch.batch_id))
    heads = (head for _, heads in each_heads(store, [*files.alone, *files.compacted]) for head in heads)
    return {line.row for head in heads for line in head.rows if line.round == EVERY_ROUND and line.row in rows}


def _words(name: str, value: str | None) -> Sequence[str]:
    """Return an option as it is typed on the command line. `value` is its value in `batch.json`; None if it was not given."""
    option = f"--{name.replace('_', '-')}"
    if value is None or (name, value) == ("priority", "4"):
        return []
    if name in _FLAGS:
        return [option]
    if name in _LISTS:
        return [word for one in orjson.loads(value) for word in (option, one)]
    if name == "map":
        return [word for field, column in orjson.loads(value).items() for word in (option, f"{field}={column}")]
    if name == "rows_may_set":
        return [option, ",".join(word.strip("[]' ") for word in value.split(","))]
    return [option, value]

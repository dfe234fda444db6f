"""Results as a table, written as CSV or Parquet: a column for each field. All batches of the same kinds have the same columns,
except the columns that were taken along from the input.

The columns are `HEAD`, the columns that were taken along from the input, the fields of the kinds' outputs, the error, usage and
receipt. Lists and objects are written as JSON. A CSV is UTF-8 with a byte order mark and CRLF, as spreadsheet programs expect
it (RFC 4180), and no spreadsheet program runs a cell (see jobs/formats/formulas.py).
"""

import codecs
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from jobs.batches.output_rows import PRICED
from jobs.formats.formulas import RESULT_COLUMNS, CsvWriter
from jobs.formats.parquet import modules
from jobs.kinds.kind import Kind
from jobs.usage import NAMES

HEAD: Final = RESULT_COLUMNS
ERROR: Final = ("code", "message", "line", "field")
RECEIPT: Final = (
    "model",
    "model_revision",
    "adapter",
    "engine",
    "finish_reason",
    "seed",
    "attempt",
    "worker",
    "started_at",
    "finished_at",
)
_WHOLE: Final = frozenset({"row", "error.line", "seed", "attempt", *(f"usage.{name}" for name in NAMES)})
"""The columns of integers. All other columns are text in Parquet, so that files of different batches can be read together."""

PARQUET_ROWS: Final = 1_024
"""This many rows are collected in memory, and then written to a Parquet file at once."""

CSV_BYTES: Final = 1 << 16
"""A CSV is yielded in pieces of about this many characters."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, and the path of its value in a row."""

    name: str
    path: tuple[str, ...]

    def value(self, row: Row) -> str | int | float | bool | None:
        """Return the value of a row in this column; JSON for lists and objects, None if the row has no such value."""
        value: Any = row
        for part in self.path:
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is None or isinstance(value, str | int | float):
            return value
        return orjson.dumps(value).decode()


def columns(kinds: Iterable[str], known: Mapping[str, Kind], extra: Sequence[str] = ()) -> Sequence[Column]:
    """Return the columns of a batch of these kinds. The output of a kind that is not installed is JSON in the column `output`.

    `extra` are the names of columns that were taken along in the metadata. They have their own names again, or `metadata.NAME` if
    another column has the name.
    """
    outputs: dict[tuple[str, ...], None] = {}
    for kind in sorted(kinds):
        if kind in known:
            outputs.update(dict.fromkeys(("output", name) for name in known[kind].output_type.model_fields))
        else:
            outputs[("output",)] = None
    paths = [
        *((name,) for name in HEAD),
        *outputs,
        *(("error", name) for name in ERROR),
        *(("usage", name) for name in (*NAMES, *PRICED)),
        *((name,) for name in (*RECEIPT, "metadata")),
    ]
    made = [Column(".".join(path), path) for path in paths]
    taken = {column.name.casefold() for column in made}
    own = [Column(f"metadata.{name}" if name.casefold() in taken else name, ("metadata", name)) for name in extra]
    return [*made[: len(HEAD)], *own, *made[len(HEAD) :]]


def csv_bytes(rows: Iterable[Row], shown: Sequence[Column]) -> Iterator[bytes]:
    """Yield the bytes of a CSV, in pieces."""
    text = io.StringIO(newline="")
    writer = CsvWriter(text)
    writer.write(column.name for column in shown)
    yield codecs.BOM_UTF8
    for row in rows:
        writer.write(column.value(row) for column in shown)
        if text.tell() >= CSV_BYTES:
            yield _taken(text)
    yield _taken(text)


def write_parquet(rows: Iterable[Row], shown: Sequence[Column], path: Path) -> None:
    """Write a Parquet file. Raises RequestError if the extra for Parquet is not installed."""
    pyarrow, parquet = modules()
    types = {True: pyarrow.int64(), False: pyarrow.string()}
    schema = pyarrow.schema([(column.name, types[column.name in _WHOLE]) for column in shown])
    with parquet.ParquetWriter(path, schema) as writer:
        waiting: list[dict[str, Any]] = []
        for row in rows:
            waiting.append({column.name: _typed(column, column.value(row)) for column in shown})
            if len(waiting) >= PARQUET_ROWS:
                writer.write_table(pyarrow.Table.from_pylist(waiting, schema))
                waiting.clear()
        writer.write_table(pyarrow.Table.from_pylist(waiting, schema))


def _typed(column: Column, value: str | float | bool | None) -> str | int | None:
    if value is None:
        return None
    if column.name in _WHOLE:
        return int(value)
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _taken(text: io.StringIO) -> bytes:
    data = text.getvalue().encode(errors="replace")
    text.seek(0)
    text.truncate()
    return data

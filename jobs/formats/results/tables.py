"""Results as a table, written as CSV or Parquet: a column for each field. All batches of the same kinds have the same columns,
except the columns that were taken along from the input.

The columns are `HEAD`, the columns that were taken along from the input, the fields of the kinds' outputs, the verdict, the
findings, the error, usage and receipt. Lists and objects are written as JSON, findings as the codes of their checks. A CSV is
UTF-8 with a byte order mark and CRLF, as spreadsheet programs expect it (RFC 4180). All cells are quoted, and no spreadsheet
program runs one (see jobs/formats/formulas.py).
"""

import codecs
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from jobs.batches.output_rows import PRICED, codes_of
from jobs.formats.formulas import RESULT_COLUMNS, guarded
from jobs.formats.parquet import modules
from jobs.kinds.kind import Kind
from jobs.usage import NAMES

HEAD: Final = RESULT_COLUMNS
FINDINGS: Final = "findings"
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

_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
"""The types of JSON values that are neither lists nor objects."""


Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, and the path of one or two keys to its value in a row."""

    name: str
    path: tuple[str, ...]

    def value(self, row: Row) -> str | int | float | bool | None:
        """Return the value of a row in this column; JSON for lists and objects, None if the row has no such value."""
        value: Any = row.get(self.path[0])
        if len(self.path) > 1:
            value = value.get(self.path[1]) if type(value) is dict else None
        return value if type(value) in _PLAIN else orjson.dumps(value).decode()


class _Codes(Column):
    """The column of findings: the codes of the checks that found something, each once, those of the worst findings first."""

    def value(self, row: Row) -> str | None:
        found = row.get(self.name)
        return ", ".join(codes_of(found)) if found else None


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
        ("verdict",),
        (FINDINGS,),
        *(("error", name) for name in ERROR),
        *(("usage", name) for name in (*NAMES, *PRICED)),
        *((name,) for name in (*RECEIPT, "metadata")),
    ]
    made = [(_Codes if path == (FINDINGS,) else Column)(".".join(path), path) for path in paths]
    taken = {column.name.casefold() for column in made}
    own = [Column(f"metadata.{name}" if name.casefold() in taken else name, ("metadata", name)) for name in extra]
    return [*made[: len(HEAD)], *own, *made[len(HEAD) :]]


def csv_bytes(rows: Iterable[Row], shown: Sequence[Column]) -> Iterator[bytes]:
    """Yield the bytes of a CSV, in pieces."""
    yield codecs.BOM_UTF8
    lines, size = [",".join(_cell(column.name) for column in shown)], 0
    for row in rows:
        lines.append(",".join([_cell(column.value(row)) for column in shown]))
        size += len(lines[-1])
        if size >= CSV_BYTES:
            yield _encoded(lines)
            lines, size = [], 0
    yield _encoded(lines)


def write_parquet(rows: Iterable[Row], shown: Sequence[Column], target: Path | BinaryIO) -> None:
    """Write a Parquet file, to a path or an open file. Raises RequestError if the extra for Parquet is not installed."""
    pyarrow, parquet = modules()
    types = {True: pyarrow.int64(), False: pyarrow.string()}
    schema = pyarrow.schema([(column.name, types[column.name in _WHOLE]) for column in shown])
    with parquet.ParquetWriter(target if isinstance(target, Path) else _Appended(target), schema) as writer:
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


def _cell(value: str | float | bool | None) -> str:
    """Return a cell in quotes. This is faster than the csv module, which looks at each character of a long text."""
    if type(value) is str:
        return '"{}"'.format(guarded(value).replace('"', '""'))
    if type(value) is bool:
        return '"true"' if value else '"false"'
    return '""' if value is None else f'"{value!r}"'


def _encoded(lines: Sequence[str]) -> bytes:
    return "".join([f"{line}\r\n" for line in lines]).encode(errors="replace")


class _Appended:
    """Wraps a file that can only be appended to, such as one of an object store, as a file for pyarrow."""

    closed = False

    def __init__(self, inner: BinaryIO) -> None:
        self._inner = inner
        self._size = 0

    def write(self, data: Any) -> int:
        self._inner.write(data)
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        self._inner.flush()

    def close(self) -> None:
        """Do nothing, so that the owner of the file closes it."""

"""Results as a table, written as CSV or Parquet: a column for each field. All batches of the same kinds have the same columns,
except the columns that were taken along from the input.

The columns are `HEAD`, the columns that were taken along from the input, the fields of the kinds' outputs, the verdict, the
findings, the error, usage and receipt. Lists and objects are written as JSON, findings as the codes of their checks. Vectors are
lists of 32-bit floats in Parquet, also those that a row asked for in base64. A CSV is
UTF-8 with a byte order mark and CRLF, as spreadsheet programs expect it (RFC 4180). All cells are quoted, and no spreadsheet
program runs one (see jobs/exchange/formulas.py).
"""

import base64
import codecs
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import orjson

from jobs.batches.output_rows import PRICED, codes_of
from jobs.exchange.formulas import RESULT_COLUMNS, escaped
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

CSV_ROWS: Final = 64
PARQUET_ROWS: Final = 512
"""This many rows are collected in memory, and then written at once."""

BATCH_BYTES: Final = 4 << 20
"""Fewer rows are collected if their lines have this many bytes in sum."""

_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
"""The types of JSON values that are neither lists nor objects."""
_TEXT: Final = frozenset({str, type(None)})


Row = Mapping[str, Any]
Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, and the path of one or two keys to its value in a row."""

    name: str
    path: tuple[str, ...]

    def shown(self, found: Sequence[Any]) -> Sequence[Value]:
        """Return what this column shows of the values at its path: JSON for lists and objects."""
        if _PLAIN.issuperset(map(type, found)):
            return found
        return [value if type(value) in _PLAIN else orjson.dumps(value).decode() for value in found]


class _Codes(Column):
    """The column of findings: the codes of the checks that found something, each once, those of the worst findings first."""

    def shown(self, found: Sequence[Any]) -> Sequence[Value]:
        return [", ".join(codes_of(findings)) if findings else None for findings in found]


@dataclass(frozen=True, slots=True)
class _Vectors(Column):
    """A column of vectors, or of lists of vectors. CSV shows them as they were published."""

    several: bool = False

    def numbers(self, found: Sequence[Any]) -> Sequence[Any]:
        """Return the values as lists of numbers, and lists of these if there are several."""
        if self.several:
            return [None if vectors is None else list(map(_numbers, vectors)) for vectors in found]
        return [None if vector is None else _numbers(vector) for vector in found]


def _numbers(vector: Sequence[float] | str) -> Sequence[float]:
    if isinstance(vector, str):
        return [number for (number,) in struct.iter_unpack("<f", base64.b64decode(vector))]
    return vector


def columns(kinds: Iterable[str], known: Mapping[str, Kind], extra: Sequence[str] = ()) -> Sequence[Column]:
    """Return the columns of a batch of these kinds. The output of a kind that is not installed is JSON in the column `output`.

    `extra` are the names of columns that were taken along in the metadata. They have their own names again, or `metadata.NAME` if
    another column has the name.
    """
    outputs: dict[tuple[str, ...], None] = {}
    names = sorted(kinds)
    for kind in names:
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
    made = [_column(path, has_vectors=names == ["embedding"]) for path in paths]
    taken = {column.name.casefold() for column in made}
    own = [Column(f"metadata.{name}" if name.casefold() in taken else name, ("metadata", name)) for name in extra]
    return [*made[: len(HEAD)], *own, *made[len(HEAD) :]]


def _column(path: tuple[str, ...], *, has_vectors: bool) -> Column:
    """Return the column of a path. With other kinds in the batch, a field of the same name may hold anything, so it has text."""
    name = ".".join(path)
    if has_vectors and path[0] == "output" and path[-1] in ("embedding", "embeddings"):
        return _Vectors(name, path, several=path[-1] == "embeddings")
    return (_Codes if path == (FINDINGS,) else Column)(name, path)


def values(rows: Sequence[Row], shown: Sequence[Column], *, as_vectors: bool = False) -> Iterator[Sequence[Any]]:
    """Yield the values of the rows, column by column: JSON for lists and objects, None where a row has no such value.

    `as_vectors` is whether vectors are lists of numbers instead.
    """
    inner: dict[str, Sequence[Row]] = {}
    for column in shown:
        of, name = rows, column.path[-1]
        if len(column.path) > 1:
            outer = column.path[0]
            if outer not in inner:
                inner[outer] = [one if type(one := row.get(outer)) is dict else {} for row in rows]
            of = inner[outer]
        try:
            found = list(map(itemgetter(name), of))
        except KeyError:
            found = [row.get(name) for row in of]
        yield column.numbers(found) if as_vectors and isinstance(column, _Vectors) else column.shown(found)


def csv_bytes(lines: Iterable[bytes], shown: Sequence[Column]) -> Iterator[bytes]:
    """Yield the bytes of a CSV of these published lines, in pieces."""
    yield codecs.BOM_UTF8
    line = ",".join(['"%s"'] * len(shown)) + "\r\n"
    yield _encoded([line % tuple(escaped([column.name for column in shown]))])
    for rows in _batches(lines, CSV_ROWS):
        cells = map(_cells, values(rows, shown))
        yield _encoded(map(line.__mod__, zip(*cells, strict=True)))


def write_parquet(lines: Iterable[bytes], shown: Sequence[Column], target: Path | BinaryIO) -> None:
    """Write published lines as a Parquet file, to a path or an open file.

    Raises RequestError if the extra for Parquet is not installed.
    """
    pyarrow, parquet = modules()
    types = {True: pyarrow.int64(), False: pyarrow.string()}
    vector = pyarrow.list_(pyarrow.float32())
    of_vectors = {
        column.name: pyarrow.list_(vector) if column.several else vector
        for column in shown
        if isinstance(column, _Vectors)
    }
    schema = pyarrow.schema(
        [(column.name, of_vectors.get(column.name, types[column.name in _WHOLE])) for column in shown]
    )
    counted = [column.name for column in shown if column.name in _WHOLE]  # the least and the greatest text help nobody
    to = target if isinstance(target, Path) else _Appended(target)
    with parquet.ParquetWriter(to, schema, write_statistics=counted) as writer:
        for rows in _batches(lines, PARQUET_ROWS):
            typed = map(_typed, shown, values(rows, shown, as_vectors=True))
            arrays = [pyarrow.array(cells, field.type) for cells, field in zip(typed, schema, strict=True)]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))


def _batches(lines: Iterable[bytes], most: int) -> Iterator[Sequence[Row]]:
    """Yield the rows of the lines, at most `most` at once, and no further row after BATCH_BYTES."""
    rows: list[Row] = []
    size = 0
    for line in lines:
        rows.append(orjson.loads(line))
        size += len(line)
        if len(rows) == most or size >= BATCH_BYTES:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


def _typed(column: Column, values: Sequence[Any]) -> Sequence[Any]:
    """Return the values of a column in its one type."""
    if isinstance(column, _Vectors):
        return values
    if column.name in _WHOLE:
        return [None if value is None else int(value) for value in values]
    if _TEXT.issuperset(map(type, values)):
        return cast("Sequence[str | None]", values)
    return [value if value is None or isinstance(value, str) else orjson.dumps(value).decode() for value in values]


def _cells(values: Sequence[Value]) -> Sequence[Value]:
    """Return the cells of a column, without the quotes around them. Integers need no change to be written as text."""
    types = set(map(type, values))
    if types == {str}:
        return escaped(cast("Sequence[str]", values))
    if types == {type(None)}:
        return [""] * len(values)
    return values if types == {int} else [_cell(value) for value in values]


def _cell(value: Value) -> str:
    if type(value) is str:
        return escaped([value])[0]
    if type(value) is bool:
        return "true" if value else "false"
    return "" if value is None else repr(value)


def _encoded(lines: Iterable[str]) -> bytes:
    return "".join(lines).encode(errors="replace")


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

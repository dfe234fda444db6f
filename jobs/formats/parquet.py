"""Parquet as input: a column for each field. Needs the extra `parquet`."""

import datetime
import decimal
import io
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import chain, starmap
from types import ModuleType
from typing import Any, BinaryIO, Final

import orjson

from jobs.batches.refused import REASON, UNREAD
from jobs.errors import RequestError
from jobs.formats.columns.choice import NO_CHOICE, Columns
from jobs.formats.columns.names import check_columns
from jobs.formats.input_format import InputFormat
from jobs.formats.json_lines import MAX_ROW_BYTES, Finding, unkept
from jobs.formats.record import Layout, Record, has_own_reason, uncorrected
from jobs.formats.source import RATIO_COUNTS_FROM, InputLimits, limits_of

ROWS: Final = 64
"""At most this many rows are held in memory at a time. Each row may hold the same long value of a Parquet dictionary."""

CELLS: Final = 100_000
"""At most this many cells are held in memory at a time."""

BUFFER_BYTES: Final = 1 << 16
"""Bytes of a column that are read at a time. pyarrow's default is a whole row group, which may be a whole file."""

TOO_LARGE: Final = "the row has more than 1 MiB as JSON: shorten it, or split the row"

_UNHELD: Final = (ValueError, OverflowError, decimal.InvalidOperation)
"""Errors of pyarrow for a value that Python cannot hold, such as a date of the year 20,000, or text that is not UTF-8."""

REMEDY: Final = "Parquet needs an extra: install it with pip install 'nightpress[parquet]'"


def records(file: BinaryIO, columns: Columns = NO_CHOICE) -> Iterator[Record]:
    """Yield the records of a Parquet file; their keys are the file's own columns. A null is an absent field.

    Raises RequestError if the file is damaged, or lacks a column that `columns` names.

    A Parquet file is read from its end, and `file` may be a stream, so it is copied to a scratch file first.
    """
    pyarrow, parquet = modules()
    with tempfile.TemporaryFile(prefix="nightpress-") as scratch:
        shutil.copyfileobj(file, scratch, 1 << 20)
        size = scratch.tell()
        scratch.seek(0, io.SEEK_SET)
        try:
            opened = parquet.ParquetFile(scratch, buffer_size=BUFFER_BYTES, pre_buffer=False)
            names = opened.schema_arrow.names
            if twice := next((name for name, times in Counter(names).items() if times > 1), None):
                raise RequestError(
                    f"the Parquet file has the column {twice!r} twice: remove one of them; nothing was accepted"
                )
            names = [name for name in names if name not in (REASON, UNREAD)]
            check_columns(names, columns)
            layout = Layout(InputFormat.PARQUET, names)
            _check_limits(opened.metadata, size, limits_of(file))
            rows = max(1, min(ROWS, CELLS // max(1, len(names))))
            values = chain.from_iterable(map(_rows, opened.iter_batches(batch_size=rows, use_threads=False)))
            for record in starmap(_record, enumerate(values, start=1)):
                yield record._replace(columns=names, layout=layout)
        except (pyarrow.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise RequestError(
                f"the Parquet file cannot be read: {reason}. Write it again; nothing was accepted"
            ) from None


def _check_limits(metadata: Any, size: int, limits: InputLimits | None) -> None:
    """Raise RequestError if a file passes a limit of inputs, by its size and its own metadata."""
    if limits is None:
        return
    if metadata.num_rows > limits.rows:
        raise limits.passed("input_rows", f"has more than {limits.rows:,} rows", "split it")
    unpacked = sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
    if unpacked > limits.bytes:
        raise limits.passed("input_bytes", f"holds more than {limits.bytes:,} bytes", "split it")
    if unpacked > max(RATIO_COUNTS_FROM, limits.ratio * size):
        what = f"unpacks to more than {limits.ratio:,} times its size"
        raise limits.passed("input_ratio", what, "write it again without compression")


def _rows(batch: Any) -> Iterator[dict[str, Any] | Finding]:
    """Yield the rows of a batch: their values, or a finding on a row with a value that Python cannot hold."""
    try:
        yield from batch.to_pylist()
    except _UNHELD:
        for n in range(batch.num_rows):
            try:
                (row,) = batch.slice(n, 1).to_pylist()
            except UnicodeDecodeError:
                yield Finding("not_utf8", None, "a text of the row is not UTF-8: write it as UTF-8")
            except _UNHELD as error:
                yield Finding("out_of_range", None, f"a value of the row cannot be read: {error}")
            else:
                yield row


def _record(number: int, row: dict[str, Any] | Finding) -> Record:
    if isinstance(row, Finding):
        return Record(number, repr(row).encode(), row)
    values = {name: _json(value) for name, value in row.items() if value is not None}
    is_own = has_own_reason(values)
    if (found := uncorrected(values)) is not None:
        return Record(number, orjson.dumps(row[UNREAD]), found)
    if (found := unkept(values)) is not None:
        return Record(number, repr(values).encode(), found)
    raw = orjson.dumps(values, option=orjson.OPT_SORT_KEYS)
    if len(raw) > MAX_ROW_BYTES:
        return Record(number, raw, Finding("row_too_large", None, TOO_LARGE))
    return Record(number, raw, values, has_own_reason=is_own)


def modules() -> tuple[ModuleType, ModuleType]:
    """Return the package pyarrow and its module for Parquet. Raises RequestError if the extra is not installed."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise RequestError(REMEDY) from None
    return pyarrow, parquet


def _json(value: Any) -> Any:
    """Return a value of a column as a value that JSON can hold, such as a text for a date."""
    if isinstance(value, dict):
        return {str(name): _json(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_json(one) for one in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value

"""Parquet as input: a column for each field. Needs the extra `parquet`."""

import datetime
import decimal
import io
import shutil
import tempfile
from collections.abc import Iterator
from types import ModuleType
from typing import Any, BinaryIO, Final

import orjson

from jobs.errors import RequestError
from jobs.formats.columns import NO_CHOICE, Columns, check_columns
from jobs.formats.json_lines import unkept
from jobs.formats.record import Record

ROWS: Final = 1_024
"""Rows that are held in memory at a time."""

BUFFER_BYTES: Final = 1 << 16
"""Bytes of a column that are read at a time. pyarrow's default is a whole row group, which may be a whole file."""

REMEDY: Final = "Parquet needs an extra: install it with pip install 'nightpress[parquet]'"


def records(file: BinaryIO, columns: Columns = NO_CHOICE) -> Iterator[Record]:
    """Yield the records of a Parquet file by its own columns; a null is an absent field.

    Raises RequestError if the file is damaged, or lacks a column that `columns` names.

    A Parquet file is read from its end, and `file` may be a stream, so it is copied to a scratch file first.
    """
    pyarrow, parquet = modules()
    with tempfile.TemporaryFile(prefix="nightpress-") as scratch:
        shutil.copyfileobj(file, scratch, 1 << 20)
        scratch.seek(0, io.SEEK_SET)
        try:
            number = 0
            opened = parquet.ParquetFile(scratch, buffer_size=BUFFER_BYTES, pre_buffer=False)
            names = opened.schema_arrow.names
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise RequestError(
                    f"the Parquet file has the column {twice!r} twice: remove one of them; nothing was accepted"
                )
            check_columns(names, columns)
            for batch in opened.iter_batches(batch_size=ROWS, use_threads=False):
                for row in batch.to_pylist():
                    number += 1
                    values = {name: _json(value) for name, value in row.items() if value is not None}
                    yield _record(number, values)._replace(columns=names)
        except pyarrow.ArrowException as error:
            reason = str(error).splitlines()[0]
            raise RequestError(
                f"the Parquet file cannot be read: {reason}. Write it again; nothing was accepted"
            ) from None


def _record(number: int, values: dict[str, Any]) -> Record:
    if (found := unkept(values)) is not None:
        return Record(number, repr(values).encode(), found)
    return Record(number, orjson.dumps(values, option=orjson.OPT_SORT_KEYS), values)


def modules() -> tuple[ModuleType, ModuleType]:
    """Return the package pyarrow and its module for Parquet. Raises RequestError if the extra is not installed."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise RequestError(REMEDY) from None
    return pyarrow, parquet


def _json(value: Any) -> Any:
    """Return a value of a column as a value that JSON has, such as a text for a date."""
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

"""Writes the rows that intake refused as a file to correct, in the format of the input, each with the reason beside it.

The reason has a key or column of its own, which intake ignores, so it may stay when the corrected file is enqueued.
A row that could not be read at all has its text in a further key or column, and is refused until that is empty.
"""

import codecs
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from jobs.batches.batch import InputLayout
from jobs.batches.refused import REASON, UNREAD, RefusedRow
from jobs.exchange.formulas import CsvWriter, is_ours, unguarded
from jobs.formats.headers import NO_DELIMITER
from jobs.formats.parquet import modules

SUFFIXES: Final = {"jsonl": "jsonl", "openai": "jsonl", "csv": "csv", "parquet": "parquet"}
"""Format of an input -> suffix of the name of its file to correct."""

_OLD_REASON: Final = re.compile(rf'\{{\s*"{REASON}"\s*:\s*"(?:[^"\\]|\\.)*+"\s*,?')


def correction_lines(rows: Iterable[RefusedRow], layout: InputLayout) -> Iterator[bytes]:
    """Yield the bytes of a file to correct, in any format except Parquet."""
    return _csv(rows, layout) if layout.form == "csv" else map(_json_line, rows)


def write_corrections_as_parquet(rows: Iterable[RefusedRow], layout: InputLayout, path: Path) -> None:
    """Write a Parquet file to correct. All its rows are in memory.

    A column whose values have several types becomes text. Raises RequestError if the extra for Parquet is not installed.
    """
    pyarrow, parquet = modules()
    made: list[dict[str, Any]] = []
    for row in rows:
        values = {UNREAD: row.text} if row.is_unread else orjson.loads(row.text)
        made.append({**values, REASON: row.reason})
    names = [REASON, *([UNREAD] if layout.has_unread else []), *layout.columns]
    parquet.write_table(pyarrow.table({name: _array(pyarrow, [row.get(name) for row in made]) for name in names}), path)


def _array(pyarrow: Any, values: list[Any]) -> Any:
    try:
        return pyarrow.array(values)
    except pyarrow.ArrowException:
        texts = (one if one is None or isinstance(one, str) else orjson.dumps(one).decode() for one in values)
        return pyarrow.array(list(texts), pyarrow.string())


def _csv(rows: Iterable[RefusedRow], layout: InputLayout) -> Iterator[bytes]:
    """Yield a CSV with the delimiter of the input. The reason comes first, since a row may have more cells than columns."""
    text = io.StringIO(newline="")
    delimiter = "," if layout.delimiter == NO_DELIMITER else layout.delimiter
    writer, ours = CsvWriter(text, delimiter=delimiter), is_ours(layout.columns)
    unread = [UNREAD] if layout.has_unread else []
    writer.write([REASON, *unread, *layout.columns])
    yield codecs.BOM_UTF8
    for row in rows:
        text_of = [row.text.rstrip("\r\n")] if unread else []
        cells = [*text_of, *(row.cells or ())]
        # a cell may be guarded already, if the file came from a spreadsheet program
        writer.write([row.reason, *(unguarded(cell, ours=ours) for cell in cells)])
        yield _taken(text)
    yield _taken(text)


def _json_line(row: RefusedRow) -> bytes:
    """Return a row of JSON on one line. Apart from the reason, which comes first, its text stays as it was."""
    if row.is_unread:
        return orjson.dumps({REASON: row.reason, UNREAD: row.text}, option=orjson.OPT_APPEND_NEWLINE)
    text = _OLD_REASON.sub("{", row.text.strip(), count=1).replace("\r", " ").replace("\n", " ")
    if f'"{REASON}"' in text:  # an earlier reason that does not stand first
        values = {name: value for name, value in orjson.loads(text).items() if name != REASON}
        text = orjson.dumps(values).decode()
    rest = text[1:].lstrip()
    return f'{{"{REASON}":{orjson.dumps(row.reason).decode()}{"" if rest == "}" else ","}{rest}\n'.encode()


def _taken(text: io.StringIO) -> bytes:
    data = text.getvalue().encode(errors="replace")
    text.seek(0)
    text.truncate()
    return data

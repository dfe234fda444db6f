"""Writes rows in any form that makes one file. The caller opens the file, and shows the file to users only when it is whole."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, BinaryIO, Final

import orjson

from jobs.formats.results.form import ResultForm

if TYPE_CHECKING:
    from jobs.formats.results.tables import Column

SUFFIXES: Final = {
    ResultForm.JSONL: "jsonl",
    ResultForm.CSV: "csv",
    ResultForm.OPENAI: "jsonl",
    ResultForm.PARQUET: "parquet",
}
"""The forms that make one file -> the suffix of the file's name."""


def write_results(
    lines: Iterable[bytes], form: ResultForm, columns: "Callable[[], Sequence[Column]]", target: BinaryIO
) -> None:
    """Write published lines in a form of `SUFFIXES`.

    `columns` returns the columns of a table; it is called only for CSV and Parquet. Raises RequestError if the form is Parquet
    and the extra `parquet` is not installed.
    """
    if form is ResultForm.CSV:
        from jobs.formats.results import tables

        target.writelines(tables.csv_bytes(lines, columns()))
    elif form is ResultForm.OPENAI:
        from jobs.formats.results import openai_lines

        target.writelines(openai_lines.lines(map(orjson.loads, lines)))
    elif form is ResultForm.PARQUET:
        from jobs.formats.results import tables

        tables.write_parquet(lines, columns(), target)
    else:
        target.writelines(lines)

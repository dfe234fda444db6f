"""Detection: finds out the format of an input by its first bytes. File names are ignored, since they are often wrong."""

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from jobs.errors import RequestError
from jobs.formats import delimited, openai_batch
from jobs.formats.cells import Fields
from jobs.formats.input_format import InputFormat
from jobs.formats.json_lines import Finding, numbered, read_object
from jobs.formats.record import Record, unread
from jobs.formats.source import peek, replacing

_PARQUET = b"PAR1"
_REFUSED = {
    b"PK\x03\x04": "a workbook or a zip archive: save its sheet as CSV",
    b"\xd0\xcf\x11\xe0": "a workbook: save its sheet as CSV",
    b"BZh": "compressed with bzip2: use gzip or zstd",
    b"\xfd7zXZ": "compressed with xz: use gzip or zstd",
}
"""First bytes of formats that are not read -> what the file is, and the remedy."""

_ARRAY = re.compile(rb"\[\s*\{")


def records(file: BinaryIO, fields: Fields, form: InputFormat | None = None) -> Iterator[Record]:
    """Return the records of an open file in UTF-8 or Parquet. If `form` is None, the format is detected."""
    match form or detected(peek(file)):
        case InputFormat.JSONL:
            return json_records(_with_newlines(file))
        case InputFormat.OPENAI:
            return openai_batch.records(_with_newlines(file))
        case InputFormat.CSV:
            return delimited.records(_with_newlines(file), fields)
        case InputFormat.PARQUET:
            from jobs.formats import parquet

            return parquet.records(file)


def json_records(file: BinaryIO | Iterable[bytes]) -> Iterator[Record]:
    """Yield the records of JSON Lines whose objects have our own field names."""
    for line, raw in numbered(file):
        values = read_object(raw)
        yield unread(line, raw, values) if isinstance(values, Finding) else Record(line, raw, values)


def _with_newlines(file: BinaryIO) -> BinaryIO:
    """Return the file. If its lines end in a carriage return alone, as in Excel for Mac, return one with newlines."""
    head = peek(file)
    return replacing(file, b"\r", b"\n") if b"\r" in head.rstrip(b"\r") and b"\n" not in head else file


def detected(head: bytes) -> InputFormat:
    """Return the format of a file that begins with these bytes. Raises RequestError for formats that are not read.

    Text that begins with a brace or bracket is JSON Lines, or an OpenAI batch if its first object looks like a line of one. All
    other text is read as a CSV, whose header is checked.
    """
    if head.startswith(_PARQUET):
        return InputFormat.PARQUET
    for magic, what in _REFUSED.items():
        if head.startswith(magic):
            raise RequestError(f"the input is {what}; nothing was accepted")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if _ARRAY.match(text):
        raise RequestError(
            "the input is one JSON array, and not JSON Lines: write each object on a line of its own, as jq -c '.[]' does;"
            " nothing was accepted"
        )
    if not text.startswith((b"{", b"[")):
        return InputFormat.CSV if text else InputFormat.JSONL
    for _, line in numbered(iter(text.splitlines())):
        values = read_object(line)
        if not isinstance(values, Finding):
            return InputFormat.OPENAI if openai_batch.is_line(values) else InputFormat.JSONL
    # No whole line in `head` is a JSON object: perhaps the first line is longer than `head`. So the text is searched for two
    # keys.
    is_batch = text.startswith(b"{") and b'"url"' in text and b'"body"' in text
    return InputFormat.OPENAI if is_batch else InputFormat.JSONL

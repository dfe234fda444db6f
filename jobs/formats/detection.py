"""Detection: finds out the format of an input by its first bytes. File names are ignored, since they are often wrong."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import BytesIO
from typing import BinaryIO

from jobs.batches.refused import UNREAD
from jobs.errors import RequestError
from jobs.formats import delimited, openai_batch
from jobs.formats.columns.choice import NO_CHOICE, Columns
from jobs.formats.columns.names import rows_within
from jobs.formats.columns.placing import Fields, placed_records
from jobs.formats.input_format import InputFormat
from jobs.formats.json_documents import are_documents, documents
from jobs.formats.json_lines import BOM, Finding, numbered, read_object
from jobs.formats.record import Record, has_own_reason, uncorrected, unread
from jobs.formats.source import peek, replacing

_PARQUET = b"PAR1"
_SHEET = "save its sheet as CSV"
_REFUSED = {
    b"PK\x03\x04": f"a workbook (xlsx, ods) or a zip archive: {_SHEET}, or unzip it",
    b"PK\x05\x06": "an empty zip archive: give the file that was meant",
    b"\xd0\xcf\x11\xe0": f"a workbook (xls): {_SHEET}",
    b"%PDF-": "a PDF document: export its table as CSV",
    b"{\\rtf": "a document in RTF: save its table as CSV",
    b"BZh": "compressed with bzip2: use gzip or zstd",
    b"\xfd7zXZ": "compressed with xz: use gzip or zstd",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"Rar!": "a rar archive: unpack it",
    b"SQLite format 3": "an SQLite database: export its table as CSV",
    b"ARROW1": "an Arrow or Feather file: write it as Parquet",
    b"FEA1": "a Feather file: write it as Parquet",
    b"Obj\x01": "an Avro file: write it as Parquet",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"GIF89a": "an image",
}
"""First bytes of formats that are not read -> what the file is, and the remedy."""
_MARKUP = re.compile(rb"<(?:!doctype\s+html|html|table|head|body|meta)\b", re.IGNORECASE)
_XML = re.compile(rb"<(?:\?xml|rss|feed|urlset|xliff|resources|workbook)\b", re.IGNORECASE)
_WRAPPED = re.compile(rb'\s*\{\s*"([^"\\]+)"\s*:\s*\[\s*\{')
_TAR = slice(257, 262)
_GETTEXT = re.compile(rb'^msgid ".*\s+(?:"|msgstr)', re.MULTILINE)


def records(
    file: BinaryIO, fields: Fields, form: InputFormat | None = None, columns: Columns = NO_CHOICE
) -> Iterator[Record]:
    """Return the records of an open file in UTF-8 or Parquet. If `form` is None, the format is detected."""
    form = form or detected(peek(file), columns)
    if columns.are_of_csv and form is not InputFormat.CSV:
        raise RequestError(f"--header and --header-row are for CSV, and the input is {form}: leave them out")
    match form:
        case InputFormat.JSONL:
            _refuse_wrapped(peek(file), fields)
            return json_records(_json_rows(file), fields, columns)
        case InputFormat.OPENAI:
            if columns:
                raise RequestError("--map and --extra are not for OpenAI batch files, whose fields have fixed names")
            return openai_batch.records(_json_rows(file))
        case InputFormat.CSV:
            return delimited.records(_with_newlines(file), fields, columns)
        case InputFormat.PARQUET:
            from jobs.formats import parquet

            return placed_records(parquet.records(file, columns), columns, fields, is_table=True)


def _refuse_wrapped(head: bytes, fields: Fields) -> None:
    """Raise RequestError if the file is one large object that holds the rows in a list. A small object counts as a row, which
    is refused later.
    """
    found = _WRAPPED.match(head)
    name = found[1].decode(errors="replace") if found else None
    if name is None or name in fields.known:
        return
    try:
        next(documents(BytesIO(head)), None)
    except RequestError:  # the object is not closed within `head`
        message = f"the input is one object with the key {name!r}: {rows_within(name)}; nothing was accepted"
        raise RequestError(message) from None


def json_records(
    rows: Iterable[tuple[int, bytes]], fields: Fields | None = None, columns: Columns = NO_CHOICE
) -> Iterator[Record]:
    """Return the records of JSON objects, each of which comes with its line. Without `columns`, the keys must be our own field
    names.
    """
    made = _json_records(rows)
    return placed_records(made, columns, fields, is_table=False) if columns and fields is not None else made


def _json_records(rows: Iterable[tuple[int, bytes]]) -> Iterator[Record]:
    for line, raw in rows:
        values = read_object(raw)
        if isinstance(values, Finding):
            yield unread(line, raw, values)
        else:
            is_own = has_own_reason(values)
            yield Record(line, raw, uncorrected(values) or values, has_own_reason=is_own)


def _json_rows(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the line and the bytes of each row of JSON: a line of JSON Lines, an object of an array, or an object over several
    lines.
    """
    return documents(file) if are_documents(peek(file)) else numbered(_with_newlines(file))


def _with_newlines(file: BinaryIO) -> BinaryIO:
    """Return the file. If its lines end in a carriage return alone, as in Excel for Mac, return one with newlines."""
    head = peek(file)
    return replacing(file, b"\r", b"\n") if b"\r" in head.rstrip(b"\r") and b"\n" not in head else file


def detected(head: bytes, columns: Columns = NO_CHOICE) -> InputFormat:
    """Return the format of a file that begins with these bytes. Raises RequestError for formats that are not read.

    Text that begins with a brace or bracket is JSON. It is an OpenAI batch if its first object looks like a line of an OpenAI
    batch and no columns are chosen. All other text is read as a CSV, whose header is checked.
    """
    if head.startswith(_PARQUET):
        return InputFormat.PARQUET
    text = head.removeprefix(BOM).lstrip()
    if (what := _refused(head, text)) is not None:
        raise RequestError(f"the input is {what}; nothing was accepted")
    if not text.startswith((b"{", b"[")):
        return InputFormat.CSV if text else InputFormat.JSONL
    if columns.fields:
        return InputFormat.JSONL
    rows = documents(BytesIO(head)) if are_documents(head) else numbered(iter(text.splitlines()))
    with suppress(RequestError):  # the end of `head` cuts a row off
        for _, row in rows:
            values = read_object(row)
            if not isinstance(values, Finding) and UNREAD not in values:
                return InputFormat.OPENAI if openai_batch.is_line(values) else InputFormat.JSONL
    if columns.are_of_csv:
        return InputFormat.CSV
    # No whole row in `head` is a JSON object: perhaps the first row is longer than `head`. So the text is searched for two keys.
    is_batch = text.startswith(b"{") and b'"url"' in text and b'"body"' in text
    return InputFormat.OPENAI if is_batch else InputFormat.JSONL


def _refused(head: bytes, text: bytes) -> str | None:
    """Return the name of a format that is not read, with the remedy; None for all other files. `text` is the beginning without
    blanks.
    """
    for magic, what in _REFUSED.items():
        if head.startswith(magic):
            return what
    is_catalog = text.startswith((b"#", b"msgid", b"msgctxt")) and _GETTEXT.search(text)
    for is_found, what in (
        (head[_TAR] == b"ustar", "a tar archive: unpack it"),
        (_MARKUP.match(text), f"a web page: {_SHEET}, or download the file itself"),
        (_XML.match(text), "XML: convert it to CSV or JSON Lines"),
        (
            is_catalog,
            "a gettext catalog (PO): give --format po, --kind translation and its languages, which translates it",
        ),
        (_is_binary(head[:1024]), "a binary file, and no text: export it as CSV or JSON Lines"),
    ):
        if is_found:
            return what
    return None


def _is_binary(head: bytes) -> bool:
    """Whether more than one of twenty bytes is NUL. UTF-16 was turned into UTF-8 before, so it does not count as binary."""
    return head.count(0) * 20 > len(head)

"""CSV as input, as spreadsheet programs write it: a header of field names, then one record for each row.

The header shows whether commas, semicolons or tabs separate cells. If the first line that is not ASCII is valid UTF-8, the text
is UTF-8. If that line is not valid UTF-8, each line of the file is read by itself: as UTF-8 if it is valid, else as Windows-1252.
So one bad line spoils no other. Quoted cells may hold delimiters and newlines. An empty cell is an absent field, and a record of
empty cells is not a row. A quote that is never closed fails its own line and no other (RFC 4180 does not treat this case).

The module `cells` reads the text of a cell.
"""

import csv
import io
import re
from collections import Counter, deque
from collections.abc import Container, Iterator, Sequence
from enum import Enum
from typing import BinaryIO, Final

from jobs.errors import RequestError
from jobs.formats.cells import Cells, Fields, is_known
from jobs.formats.json_lines import MAX_ROW_BYTES, Finding, numbered_lines
from jobs.formats.record import Record

DELIMITERS: Final = ",;\t"
"""The characters that may separate cells."""

READ_AGAIN: Final = 16 << 20
"""Bytes that may be read again, to find the ends of quotes that are never closed; besides eight times the bytes of the file."""

csv.field_size_limit(2 * MAX_ROW_BYTES)


def records(file: BinaryIO, fields: Fields) -> Iterator[Record]:
    """Yield the records of a CSV file. Raises RequestError if the header is not valid."""
    decoder = _Decoder()
    lines = ((number, raw, decoder.decoded(raw)) for number, raw in numbered_lines(file))
    header = _header(lines, fields.known)
    if header is None:
        return
    cells = Cells(header.names, fields)
    for line, raw, row in _records(lines, header.delimiter):
        if isinstance(row, Finding):
            yield Record(line, raw, row)
        elif any(cell.strip() for cell in row):
            yield cells.record(line, raw, row)


class _Decoder:
    """Decodes lines as UTF-8. If the first line that is not ASCII is not valid UTF-8, lines may also be Windows-1252."""

    def __init__(self) -> None:
        self._other: str | None = None

    def decoded(self, raw: bytes) -> str | Finding:
        if len(raw) > MAX_ROW_BYTES:
            return _TOO_LARGE
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            self._other = self._other or "cp1252"
        else:
            self._other = self._other or (None if text.isascii() else "utf-8")
            return text
        try:
            return raw.decode(self._other)
        except UnicodeDecodeError as error:
            remedy = "save the file as UTF-8"
            return Finding("not_utf8", None, f"byte {error.start + 1} of the line is not {self._other}: {remedy}")


_UNCLOSED: Final = Finding(
    "not_csv", None, "a quote is opened in this line and never closed: close it, or double a quote inside a cell"
)
_TOO_LARGE: Final = Finding("row_too_large", None, "the row is longer than 1 MiB: shorten it, or split the row")
_Line = tuple[int, bytes, str | Finding]


class _Header:
    """The names of a file's columns, and the delimiter of its cells."""

    def __init__(self, names: Sequence[str], delimiter: str) -> None:
        self.names = names
        self.delimiter = delimiter


def _header(lines: Iterator[_Line], known: Container[str]) -> _Header | None:
    """Read the header, after any empty lines. Returns None if all lines are empty. Raises RequestError if it is not valid."""
    for _, raw, text in lines:
        if isinstance(text, Finding):
            raise RequestError(f"the header cannot be read: {text.message}")
        if not text.strip(" \t\r\n,;"):
            continue
        if re.fullmatch(r"sep=.\r?\n?", text):  # Excel names the delimiter in such a line
            continue
        best = max(DELIMITERS, key=lambda one: (_known(_names(text, one), known), text.count(one)))
        names = _names(text, best)
        if not _known(names, known):
            shown = raw[:60].decode(errors="replace").strip()
            raise RequestError(
                f"the input is neither JSON Lines nor a CSV: its first line, {shown!r}, has no name of a field between"
                " commas, semicolons or tabs. Put a header before the rows"
            )
        if _quote(text, best) is _Quote.OPEN:
            raise RequestError(
                "the header opens a quote that it does not close in its line: give each column a name on one line"
            )
        if twice := sorted(name for name, times in Counter(names).items() if name and times > 1):
            raise RequestError(f"the header has the column {twice[0]!r} twice: remove one of them")
        return _Header(names, best)
    return None


def _names(text: str, delimiter: str) -> list[str]:
    cells = _split(text, delimiter)
    if isinstance(cells, Finding):
        raise RequestError(f"the header cannot be read: {cells.message}")
    return [cell.strip().strip("\N{ZERO WIDTH NO-BREAK SPACE}").casefold().replace(" ", "_") for cell in cells]


def _known(names: Sequence[str], known: Container[str]) -> int:
    return sum(is_known(name, known) for name in names)


def _records(lines: Iterator[_Line], delimiter: str) -> Iterator[tuple[int, bytes, list[str] | Finding]]:
    """Yield line number, bytes and cells of each record after the header. At most the lines of one record are held."""
    waiting: deque[_Line] = deque()
    read, read_again = 0, 0
    while line := waiting.popleft() if waiting else next(lines, None):
        number, raw, text = line
        read += len(raw)
        if isinstance(text, Finding):
            yield number, raw, text
        elif _quote(text, delimiter) is not _Quote.OPEN:
            yield number, raw, _split(text, delimiter)
        else:
            more = _closing(line, waiting, lines, delimiter)
            if more is None:
                read_again += sum(len(held) for _, held, _ in waiting)
                if read_again > READ_AGAIN + 8 * read:
                    raise RequestError(
                        f"line {number} and many before it open a quote that they do not close: double each quote inside a cell;"
                        " nothing was accepted"
                    )
                yield number, raw, _UNCLOSED
            else:
                yield (
                    number,
                    raw + b"".join(raw for _, raw, _ in more),
                    _split(text + "".join(str(text) for *_, text in more), delimiter),
                )


def _closing(first: _Line, waiting: deque[_Line], lines: Iterator[_Line], delimiter: str) -> list[_Line] | None:
    """Return the lines after `first`, up to the line that closes the quote that `first` opens.

    If no line closes the quote within the size of a row, put the lines that were read into `waiting`, and return None.
    """
    taken: list[_Line] = []
    size, quote = len(first[1]), _Quote.OPEN
    while quote is _Quote.OPEN and size <= MAX_ROW_BYTES:
        line = waiting.popleft() if waiting else next(lines, None)
        if line is None:
            break
        taken.append(line)
        size += len(line[1])
        quote = _Quote.BROKEN if isinstance(line[2], Finding) else _quote(line[2], delimiter, within=True)
    if quote is _Quote.CLOSED and size <= MAX_ROW_BYTES:
        return taken
    waiting.extendleft(reversed(taken))
    return None


class _Quote(Enum):
    """The state of quotes at the end of a line. BROKEN: text follows a quote that should end the cell."""

    CLOSED = 0
    OPEN = 1
    BROKEN = 2


def _quote(text: str, delimiter: str, *, within: bool = False) -> _Quote:
    """Return the state of quotes at the end of a line. With `within`, the line begins inside a quoted cell."""
    if '"' not in text:
        return _Quote.OPEN if within else _Quote.CLOSED
    at, open_ = 0, within
    while True:
        if open_:
            at = text.find('"', at)
            while at >= 0 and text[at + 1 : at + 2] == '"':
                at = text.find('"', at + 2)
            if at < 0:
                return _Quote.OPEN
            if within and text[at + 1 : at + 2] not in (delimiter, "\r", "\n", ""):
                return _Quote.BROKEN
            within = False
        elif text[at : at + 1] == '"':
            at, open_ = at + 1, True
            continue
        at = text.find(delimiter, at)
        if at < 0:
            return _Quote.CLOSED
        at, open_ = at + 1, False


def _split(text: str, delimiter: str) -> list[str] | Finding:
    try:
        return next(csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter), [])
    except csv.Error as error:
        return Finding("not_csv", None, f"the line is not a row of a CSV: {error}")

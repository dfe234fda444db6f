"""CSV as input, as spreadsheet programs write it: a header of field names, then one record for each row.

`headers.py` finds the header and the delimiter. If the first line that is not ASCII is valid UTF-8, the text is UTF-8. If that
line is not valid UTF-8, each line of the file is read by itself: as UTF-8 if it is valid, else as Windows-1252. So one bad line
spoils no other. Quoted cells may hold delimiters and newlines. An empty cell is an absent field. A record of empty cells is not
a row, and neither is a repeated header, as in files that were put together. A quote that is never closed fails its own line and
no other (RFC 4180 does not treat this case).

The module `cells` reads the text of a cell.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

from jobs.batches.refused import REASON, UNREAD
from jobs.errors import RequestError
from jobs.exchange.formulas import unguarded, unguarded_within
from jobs.formats.cells import Cells, Quote, quote_at_end, split_line
from jobs.formats.columns.choice import NO_CHOICE, Columns
from jobs.formats.columns.placing import Fields
from jobs.formats.headers import Line, find_header
from jobs.formats.input_format import InputFormat
from jobs.formats.json_lines import MAX_ROW_BYTES, Finding, numbered_lines
from jobs.formats.record import Layout, Record, has_own_reason, uncorrected

READ_AGAIN: Final = 16 << 20
"""A search for the end of a quote that is never closed reads bytes again: at most this many, plus eight times the bytes of the
file.
"""


def records(file: BinaryIO, fields: Fields, columns: Columns = NO_CHOICE) -> Iterator[Record]:
    """Yield the records of a CSV file. Raises RequestError if the header is not valid, or lacks a column of the options."""
    decoder = _Decoder()
    lines = ((number, raw, decoder.decoded(raw)) for number, raw in numbered_lines(file))
    header = find_header(lines, fields, columns)
    if header is None:
        return
    kept = [number for number, name in enumerate(header.names) if name not in (REASON, UNREAD)]
    names = [header.names[number] for number in kept]
    layout, cells = Layout(InputFormat.CSV, names, header.delimiter), Cells(names, fields, columns)
    for line, raw, row in _records(map(header.parted, header.lines), header.delimiter):
        if isinstance(row, Finding):
            yield Record(line, raw, row, layout=layout)
        elif any(cell.strip() for cell in row) and not header.is_repeated(row):
            own = row if len(kept) == len(header.names) else _own(row, kept, len(header.names))
            added = dict(zip(header.names, row, strict=False)) if own is not row else {}
            is_own = has_own_reason(added)
            if (finding := uncorrected(added)) is not None:
                yield Record(line, unguarded(added[UNREAD]).encode(), finding, layout=layout, cells=own)
            elif own is row or any(cell.strip() for cell in own):
                yield cells.record(line, raw, own)._replace(layout=layout, cells=own, has_own_reason=is_own)


def _own(row: Sequence[str], kept: Sequence[int], columns: int) -> list[str]:
    """Return the cells of a row of a corrected file, without the cells and the guards that Nightpress added to the file."""
    own = (*(row[number] for number in kept if number < len(row)), *row[columns:])
    return [unguarded_within(cell) for cell in own]


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


def _records(lines: Iterator[Line], delimiter: str) -> Iterator[tuple[int, bytes, list[str] | Finding]]:
    """Yield line number, bytes and cells of each record after the header. At most the lines of one record are held."""
    waiting: deque[Line] = deque()
    read, read_again = 0, 0
    while line := waiting.popleft() if waiting else next(lines, None):
        number, raw, text = line
        read += len(raw)
        if isinstance(text, Finding):
            yield number, raw, text
        elif quote_at_end(text, delimiter) is not Quote.OPEN:
            yield number, raw, split_line(text, delimiter)
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
                    split_line(text + "".join(str(text) for *_, text in more), delimiter),
                )


def _closing(first: Line, waiting: deque[Line], lines: Iterator[Line], delimiter: str) -> list[Line] | None:
    """Return the lines after `first`, up to the line that closes the quote that `first` opens.

    If no line closes the quote within the size of a row, put the lines that were read into `waiting`, and return None.
    """
    taken: list[Line] = []
    size, quote = len(first[1]), Quote.OPEN
    while quote is Quote.OPEN and size <= MAX_ROW_BYTES:
        line = waiting.popleft() if waiting else next(lines, None)
        if line is None:
            break
        taken.append(line)
        size += len(line[1])
        quote = Quote.BROKEN if isinstance(line[2], Finding) else quote_at_end(line[2], delimiter, within=True)
    if quote is Quote.CLOSED and size <= MAX_ROW_BYTES:
        return taken
    waiting.extendleft(reversed(taken))
    return None

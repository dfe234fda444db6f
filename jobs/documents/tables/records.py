"""Cuts a CSV into records and cells that keep their source, so that joined they are the file again.

The rules are those of RFC 4180 and of the standard library's `csv`: a cell in quotes may hold line breaks, and doubles its
quotes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import regex

from jobs.documents.source import MAX_LINE, Source

DELIMITERS: Final = ",;\t|"
_ENDS: Final = "\r\n"
_WITHIN: Final = regex.compile(r'(?:[^"]++|"")*+')


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its source, and the text that it means."""

    raw: str
    text: str

    @property
    def is_quoted(self) -> bool:
        """Whether the source is in quotes."""
        return self.raw.startswith('"')


@dataclass(frozen=True, slots=True)
class Record:
    """A record: its cells, its line end, and the line in which it begins."""

    cells: tuple[Cell, ...]
    end: str
    line: int


def raw_records(source: Source, delimiters: Callable[[], str]) -> Iterator[tuple[int, str]]:
    """Yield the source of each record, with the line in which it begins. A record ends at a line end outside of quotes.

    Args:
        source: The file.
        delimiters: Returns the signs behind which a quote opens a cell, as far as they are known before a line. Elsewhere a
            quote is a sign like others.

    Raises:
        DocumentError: A line cannot be read, or a quote is not closed within 4 MiB.
    """
    held, first, is_open, size = list[str](), 0, False, 0
    for number, line in source.lines():
        first = first or number
        held.append(line)
        size += len(line)
        is_open = _is_open_after(line, delimiters(), is_open=is_open)
        if size >= MAX_LINE:
            raise source.error("a quote is not closed within 4 MiB", "close it", first)
        if not is_open:
            yield first, "".join(held)
            held, first, size = [], 0, 0
    if held:
        raise source.error("a quote is not closed", "close it, or double it within a cell", first)


@lru_cache(maxsize=16)
def _starts(delimiters: str) -> regex.Pattern[str]:
    return regex.compile(rf'(?:^|(?<=[{regex.escape(delimiters)}]))"')


def _is_open_after(line: str, delimiters: str, *, is_open: bool) -> bool:
    """Whether a cell in quotes goes on behind a line, at whose beginning one may be open."""
    if '"' not in line:
        return is_open
    starts, position = _starts(delimiters), 0
    while True:
        if is_open:
            position = _end_of_quotes(line, position) + 1
            if position > len(line):
                return True
        found = starts.search(line, position)
        if found is None:
            return False
        position, is_open = found.end(), True


def cut(raw: str, delimiter: str, line: int) -> Record:
    """Return a record from its source."""
    body = raw.rstrip(_ENDS)
    end = raw[len(body) :]
    cells = tuple(Cell(one[0], _text(one[0])) for one in _pattern(delimiter).finditer(body))
    return Record(cells, end, line)


@lru_cache(maxsize=16)
def _pattern(delimiter: str) -> regex.Pattern[str]:
    sign = regex.escape(delimiter)
    return regex.compile(rf'(?:(?<={sign})|^)(?:"(?:[^"]++|"")*+"[^{sign}]*+|[^{sign}]*+)', regex.DOTALL)


def _text(raw: str) -> str:
    """Return what a cell means."""
    if not raw.startswith('"'):
        return raw
    end = _end_of_quotes(raw, 1)
    return raw[1:end].replace('""', '"') + raw[end + 1 :]


def _end_of_quotes(text: str, position: int) -> int:
    """Return where the quote is that closes a cell, or the end of the text if none does."""
    match = _WITHIN.match(text, position)
    return match.end() if match else len(text)


def written(text: str, delimiter: str, *, is_quoted: bool) -> str:
    """Return the source of a cell: in quotes if they are asked for or needed."""
    needs = any(sign in text for sign in (delimiter, '"', "\r", "\n")) or text != text.strip()
    return '"' + text.replace('"', '""') + '"' if is_quoted or needs else text

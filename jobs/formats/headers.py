"""Headers: finds the line of a CSV that names its columns, and the delimiter of its cells.

The header is the line with the most columns that the options name, or else the first line that has the name of a field. A title
line above the header may have such a name too. So a later line replaces it as the header if it has more such names and more
cells. `--header-row` names the line, and `--header` gives the names of a file that has no header.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple

from jobs.did_you_mean import folded
from jobs.errors import RequestError
from jobs.formats.cells import Quote, quote_at_end, split_line
from jobs.formats.columns.choice import METADATA, Columns
from jobs.formats.columns.names import check_columns, field_of_header, listed
from jobs.formats.columns.placing import Fields
from jobs.formats.json_lines import MAX_ROW_BYTES, Finding
from jobs.printable import shell_word

DELIMITERS: Final = ",;\t|"
"""The characters that may separate cells."""
NO_DELIMITER: Final = "\x1f"
"""The delimiter of a table of one column. No text has this character, so a line is one cell."""
SEARCHED_LINES: Final = 30
"""The header is searched in at most this many lines."""
_SEPARATOR: Final = re.compile(r"sep=.\r?\n?")
"""Matches a first line by which Excel names the delimiter."""

_BOM: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"
_UNNAMED: Final = "Unnamed: "
"""A column without a name gets this name with its number, from 0, as pandas does."""

Line = tuple[int, bytes, str | Finding]
"""A line: its number, its bytes, and its text or a Finding that says why it cannot be read."""


class Header(NamedTuple):
    """The names of a file's columns, the delimiter of its cells, and the lines after the header.

    `cells` are the cells of the header's line; empty if the file has no header.
    """

    names: Sequence[str]
    delimiter: str
    lines: Iterator[Line]
    cells: Sequence[str] = ()

    def is_repeated(self, row: Sequence[str]) -> bool:
        """Whether a row is the header again, as in files that were put together. A single cell proves nothing."""
        if not (row and self.cells) or row[0].strip().strip(_BOM) != self.cells[0]:
            return False
        cells = [cell.strip() for cell in row]
        return cells == self.cells and sum(map(bool, cells)) > 1

    def parted(self, line: Line) -> Line:
        """Return the line up to a header within it, after a byte order mark: there a file without a last line end was joined to
        another.
        """
        number, raw, text = line
        if isinstance(text, Finding) or _BOM not in text:
            return line
        before, _, after = text.partition(_BOM)
        return (number, raw, before) if self.is_repeated(_cells(after, self.delimiter)) else line


class _Candidate(NamedTuple):
    """A line that may be the header: its cells, and how many of them are named by the options, are fields, or are filled."""

    line: Line
    delimiter: str
    cells: list[str]
    named: int
    known: int
    filled: int

    def is_better(self, other: "_Candidate") -> bool:
        if self.named != other.named:
            return self.named > other.named
        return self.known > other.known and self.filled > other.filled


def find_header(lines: Iterator[Line], fields: Fields, columns: Columns) -> Header | None:
    """Read a file up to its header. Returns None if all lines are empty. Raises RequestError if there is no valid header."""
    if columns.header_row is not None:
        lines = _from(lines, columns.header_row + bool(columns.header))
    seen = _beginning(lines)
    if not seen:
        return None
    if columns.header:
        names = _distinct(columns.header, fields, columns)
        header = Header(names, _delimiter_of(seen, len(names)), chain(seen, lines))
    else:
        found = _chosen(seen, fields, columns)
        rest = chain(seen[seen.index(found.line) + 1 :], lines)
        header = Header(_distinct(found.cells, fields, columns), found.delimiter, rest, found.cells)
    check_columns(header.names, columns)
    return header


def _from(lines: Iterator[Line], first: int) -> Iterator[Line]:
    """Return the lines from this number on. Raises RequestError if there is none."""
    for line in lines:
        if line[0] >= first:
            return chain([line], lines)
    raise RequestError(f"--header-row {first}: the file has fewer lines; nothing was accepted")


def _beginning(lines: Iterator[Line]) -> list[Line]:
    """Read the first lines, from the first line that is not empty to the last line that may be the header."""
    seen: list[Line] = []
    size = 0
    for line in lines:
        if not seen and isinstance(line[2], str) and (_is_empty(line[2]) or _SEPARATOR.fullmatch(line[2])):
            continue
        seen.append(line)
        size += len(line[1])
        if len(seen) >= SEARCHED_LINES or size > MAX_ROW_BYTES:
            break
    return seen


def _is_empty(text: str) -> bool:
    return not text.strip(" \t\r\n,;|")


def _delimiter_of(seen: Sequence[Line], columns: int) -> str:
    """Return the delimiter that splits the most lines into this many cells; `NO_DELIMITER` for one column."""
    if columns == 1:
        return NO_DELIMITER
    texts = [text for _, _, text in seen if isinstance(text, str)]
    return max(
        DELIMITERS, key=lambda one: (sum(len(_cells(text, one)) == columns for text in texts), _count(texts, one))
    )


def _count(texts: Sequence[str], delimiter: str) -> int:
    return sum(text.count(delimiter) for text in texts)


def _chosen(seen: Sequence[Line], fields: Fields, columns: Columns) -> _Candidate:
    """Return the header. Raises RequestError if no line is one."""
    seen = [line for line in seen if isinstance(line[2], Finding) or not _is_empty(line[2])]
    if columns.header_row is not None:
        seen = seen[:1]
    found: _Candidate | None = None
    for line in seen:
        if isinstance(line[2], Finding):
            if found is None:
                raise RequestError(f"the header cannot be read: {line[2].message}")
            continue
        one = _candidate(line, line[2], fields, columns)
        if one.named + one.known and (found is None or one.is_better(found)):
            found = one
    if found is None:
        found = _unknown(seen, fields, columns)
    if quote_at_end(str(found.line[2]), found.delimiter) is Quote.OPEN:
        raise RequestError(
            "the header opens a quote that it does not close in its line: give each column a name on one line, or name the"
            " columns with --header, and the header's last line with --header-row"
        )
    return found


def _candidate(line: Line, text: str, fields: Fields, columns: Columns) -> _Candidate:
    def read(delimiter: str) -> _Candidate:
        cells = _cells(text, delimiter)
        names = {folded(cell) or cell for cell in cells if cell}
        named = len(names & {folded(name) or name for name in columns.named})
        known = sum(
            field_of_header(cell, fields.known) is not None or cell.casefold().startswith(METADATA) for cell in cells
        )
        return _Candidate(line, delimiter, cells, named, known, sum(map(bool, cells)))

    best = max(map(read, DELIMITERS), key=lambda one: (one.named, one.known, len(one.cells)))
    return best if len(best.cells) > 1 else best._replace(delimiter=NO_DELIMITER)


def _unknown(seen: Sequence[Line], fields: Fields, columns: Columns) -> _Candidate:
    """Return the line that looks most like a header, for a file without a known column.

    Raises RequestError unless options choose this line or its columns.
    """
    made = [_candidate(line, line[2], fields, columns) for line in seen if isinstance(line[2], str)]
    most = max(one.filled for one in made)
    wide = [one for one in made if one.filled * 4 >= most * 3]  # title lines are shorter, unless they have commas
    widest = next((one for one in wide if _is_followed(one, seen)), wide[0])
    if columns.header_row is not None or (widest.filled > 1 and columns):
        return widest  # a column that the options name and the file lacks is an error that lists the columns
    if all(cell[:1] == "'" == cell[-1:] for cell in wide[0].cells if cell):
        raise RequestError(
            "the cells are quoted with apostrophes: write the file with double quotes; nothing was accepted"
        )
    if widest.filled > 1:
        names = [cell for cell in widest.cells if cell]
        raise RequestError(
            f"no column of the file is a field, so nothing was accepted. Its columns are {listed(names)}. {fields.advice(names)}."
            " If this is no header, name the columns with --header"
        )
    shown = str(seen[0][2]).strip()[:60]
    raise RequestError(
        f"the input is neither JSON Lines nor a CSV with a header: its first line, {shown!r}, has no name of a field between"
        " commas, semicolons, tabs or bars. Put a header before the rows, or give its names with --header, such as"
        f" --header topic. If this line is the header, say which field it is, such as --map {shell_word('topic=' + shown)}"
    )


def _is_followed(one: _Candidate, seen: Sequence[Line]) -> bool:
    """Whether a line after this one has as many cells."""
    after = [text for number, _, text in seen if number > one.line[0] and isinstance(text, str)]
    return any(len(_cells(text, one.delimiter)) == len(one.cells) for text in after)


def _cells(text: str, delimiter: str) -> list[str]:
    cells = split_line(text, delimiter)
    return [] if isinstance(cells, Finding) else [cell.strip().strip(_BOM).strip() for cell in cells]


def _distinct(names: Sequence[str], fields: Fields, columns: Columns) -> list[str]:
    """Return the names, each made unique as pandas does it: `Unnamed: 0` for an empty name, `Notes.1` for a second `Notes`.

    Raises RequestError if two columns have the name of the same field, and the options do not choose one.
    """
    mapped = {field for field, _ in columns.fields}
    of_field = Counter(field_of_header(name, fields.known) for name in names)
    for name in names:
        field = field_of_header(name, fields.known)
        if field is not None and of_field[field] > 1 and field not in mapped:
            raise RequestError(
                f"the header has the column {field!r} twice: remove one of them, or say which with --map {field}={name}.1;"
                " nothing was accepted"
            )
    taken: dict[str, int] = {}
    distinct: list[str] = []
    for number, name in enumerate(names):
        name = name or f"{_UNNAMED}{number}"  # noqa: PLW2901 - a name for a column without one
        taken[name] = taken.get(name, -1) + 1
        distinct.append(f"{name}.{taken[name]}" if taken[name] else name)
    return distinct

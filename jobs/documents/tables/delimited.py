"""Reads string tables in CSV and TSV record by record, and writes nothing but the cells of translations.

The first record has the headers (`columns.py`); a line `sep=;` before it, which Excel knows, tells the delimiter, else the
headers do. An empty cell of a target language is new. Delimiters, quotes, line ends and the encoding of all other cells stay as
they are. A cell that a short record lacks at its end is added. A translation that a spreadsheet program would run as a formula
gets an apostrophe before it, unless its source has the same signs: a program that shows such a table then reads it as text.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

import regex

from jobs.did_you_mean import folded
from jobs.documents.document import Piece, Slot
from jobs.documents.message import Unit, unit_piece
from jobs.documents.source import Source
from jobs.documents.tables.columns import Layout, NoColumn, layout_of
from jobs.documents.tables.records import DELIMITERS, Cell, Record, cut, raw_records, written
from jobs.documents.tables.rows import Names, units_of
from jobs.exchange.formulas import guarded

_SEPARATOR: Final = regex.compile(r"(?i:sep)=(.)[\r\n]*+")
_USUAL: Final = frozenset(("source", "key", "id", "stringid", "en", "enus", "engb", "english"))
"""Headers of which a string table has one, folded."""


class CsvFormat:
    """The format `csv`."""

    name = "csv"
    suffixes = (".csv", ".tsv", ".tab")
    holds_languages = True

    def detect(self, head: str) -> bool:
        first = head.lstrip("\ufeff").split("\n", 1)[0].rstrip("\r")
        rows = ([one.text.strip() for one in cut(first, sign, 1).cells] for sign in DELIMITERS)
        return _SEPARATOR.match(head) is not None or any(
            len(row) > 1 and all(len(one) < 40 for one in row) and any(folded(one) in _USUAL for one in row)
            for row in rows
        )

    def pieces(self, source: Source) -> Iterator[Piece]:
        table = _Table(source)
        for line, raw in raw_records(source, lambda: table.delimiter or DELIMITERS):
            yield from table.record(line, raw)
        if table.layout is None:
            raise source.error("it has no headers", "name the columns in the first line")


class _Table:
    """A table as it is read: its delimiter and layout, once the headers are known, and the keys that it had."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.delimiter = ""
        self.layout: Layout | None = None
        self._names = Names()

    def record(self, line: int, raw: str) -> Iterator[Piece]:
        """Yield the pieces of a record."""
        if self.layout is None:
            separator = _SEPARATOR.fullmatch(raw) if line == 1 else None
            if separator:
                self.delimiter = separator[1]
            if separator or not raw.strip():
                yield raw
                return
            record, self.layout = self._headers(line, raw)
            yield from self._appended(record, self.layout)
            return
        record = cut(raw, self.delimiter, line)
        if not raw.strip():
            yield raw
            return
        yield from self._cells(record, self.layout)

    def _headers(self, line: int, raw: str) -> tuple[Record, Layout]:
        """Return the record of the headers, cut by the delimiter that makes the most columns, and the layout.

        Raises:
            DocumentError: The headers name no column for the source or a language.
        """
        records = [(sign, cut(raw, sign, line)) for sign in self.delimiter or DELIMITERS]
        fault: NoColumn | None = None
        for sign, record in sorted(records, key=lambda one: -len(one[1].cells)):
            try:
                layout = layout_of([one.text for one in record.cells], self._source.options)
            except NoColumn as error:
                fault = fault or error
            else:
                self.delimiter = sign
                return record, layout
        raise self._source.error(str(fault), fault.remedy if fault else "", line)

    def _appended(self, record: Record, layout: Layout) -> Iterator[Piece]:
        """Yield the headers, with those of appended columns."""
        is_quoted = all(one.is_quoted for one in record.cells)
        yield self.delimiter.join(one.raw for one in record.cells)
        for language in layout.appended:
            yield _fixed(self.delimiter + written(language, self.delimiter, is_quoted=is_quoted))
        yield record.end

    def _cells(self, record: Record, layout: Layout) -> Iterator[Piece]:
        """Yield the cells of a record, with a slot for each translation."""
        cells = record.cells
        units = dict(units_of(lambda n: cells[n].text if n < len(cells) else "", layout, self._names))
        for n, cell in enumerate(cells):
            yield self.delimiter if n else ""
            yield self._slot(record, layout, cell, units[n]) if n in units else cell.raw
        if layout.appended:
            if len(cells) > layout.width:
                what = f"it has {len(cells)} cells under {layout.width} headers, so that no column can be appended"
                raise self._source.error(what, "quote its cells, or name all columns", record.line)
            for n in range(len(cells), layout.width + len(layout.appended)):
                yield _fixed(self.delimiter)
                if n in units:
                    yield self._slot(record, layout, Cell("", ""), units[n])
        elif any(index >= len(cells) for index in units):
            yield self._tail(record, layout, {n: one for n, one in units.items() if n >= len(cells)})
        yield record.end

    def _tail(self, record: Record, layout: Layout, units: dict[int, Unit]) -> Piece:
        """Return the slot of the cells that a short record lacks."""
        slots = {n: self._slot(record, layout, Cell("", ""), one) for n, one in sorted(units.items())}
        counts = {n: len(one.segments) for n, one in slots.items() if isinstance(one, Slot)}
        segments = tuple(segment for one in slots.values() if isinstance(one, Slot) for segment in one.segments)

        def write(texts: Sequence[str | None]) -> str:
            given, made = iter(texts), dict[int, str]()
            for n, count in counts.items():
                mine, slot = list(islice(given, count)), slots[n]
                if isinstance(slot, Slot) and any(one is not None for one in mine):
                    made[n] = slot.write(mine)
            return "".join(
                self.delimiter + made.get(n, "") for n in range(len(record.cells), max(made, default=-1) + 1)
            )

        return Slot("", segments, write, record.line) if segments else ""

    def _slot(self, record: Record, layout: Layout, cell: Cell, unit: Unit) -> Piece:
        """Return the slot of the cell of a translation."""
        source = record.cells[layout.source] if layout.source < len(record.cells) else Cell("", "")
        is_quoted = cell.is_quoted or source.is_quoted

        def encode(text: str) -> str:
            lines = text.replace("\r\n", "\n")
            lines = lines.replace("\n", "\r\n") if "\r\n" in source.text else lines
            return written(_harmless(lines, source.text), self.delimiter, is_quoted=is_quoted)

        return unit_piece(cell.raw, unit, self._source.options, encode, record.line)


def _fixed(made: str) -> Slot:
    """Return a slot that is written without a translation."""
    return Slot("", (), lambda texts: made)


def _harmless(text: str, source: str) -> str:
    """Return a translation that no spreadsheet program runs: guarded, if it has signs of formulas that its source has not."""
    made = guarded(text)
    return text if made == text or _guards(text) <= _guards(source) else made


def _guards(text: str) -> frozenset[str]:
    """Return the signs before which a guard would stand."""
    made, found, n = guarded(text), set[str](), 0
    for sign in made:
        if n < len(text) and sign == text[n]:
            n += 1
        else:
            found.add(text[n : n + 1])
    return frozenset(found)

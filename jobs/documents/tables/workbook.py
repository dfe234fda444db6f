"""Reads string tables in workbooks (`.xlsx`), and writes nothing but the cells of translations.

A visible sheet whose first row with texts names a source column is a table (`columns.py`); other sheets stay as they are. Only
the XML of changed sheets is written, cell by cell, so that styles, widths, formulas, drawings, macros and all else in the file
keep their bytes. (openpyxl, which reads a workbook and writes it anew, loses what it does not know, such as shapes and the
format of a part of a text.) A cell with a formula is no place for a translation. A translated cell has one format, that of the
cell. A text that begins with `=` stays a text in a workbook, so that no guard against formulas is needed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from posixpath import join, normpath
from typing import Final

from jobs.documents.document import Piece, Segment, Slot
from jobs.documents.message import unit_piece
from jobs.documents.source import Source
from jobs.documents.tables.archive import Archive, NotArchive
from jobs.documents.tables.columns import Layout, NoColumn, layout_of
from jobs.documents.tables.rows import Names, units_of
from jobs.documents.tables.sheet import MAX_TEXT, NotSheet, Sheet, SheetRow, elements, name_of, shared_texts
from jobs.marks.damage import Damaged

_DOCUMENT: Final = "/officeDocument"
_STRINGS: Final = "/sharedStrings"


class XlsxFormat:
    """The format `xlsx`."""

    name = "xlsx"
    suffixes = (".xlsx", ".xlsm")
    holds_languages = True

    def detect(self, head: str) -> bool:
        return head.startswith("PK\x03\x04") and (
            "[Content_Types].xml" in head or "xl/" in head or "_rels/.rels" in head
        )

    def pieces(self, source: Source) -> Iterator[Piece]:
        if not source.is_archive:
            raise source.error("it is not a workbook, or has a password", "save it as .xlsx without a password")
        raw = source.text()
        try:
            yield _Workbook(source, Archive(raw.encode("latin-1"))).slot(raw)
        except (NotArchive, NotSheet) as error:
            raise source.error(str(error), "save it anew as .xlsx") from None


@dataclass(frozen=True, slots=True)
class _Place:
    """The place of a translation: its sheet, row number, column, and the slot that makes its text."""

    path: str
    sheet: str
    row: int
    column: int
    slot: Slot

    def text(self, texts: Sequence[str | None]) -> str:
        """Return the text of the cell, or an empty one if it stays. Raises Damaged, with the cell."""
        try:
            made = self.slot.write(texts)
        except Damaged as error:
            raise Damaged(f"cell {name_of(self.column)}{self.row} of {self.sheet!r}: {error}") from None
        if len(made) > MAX_TEXT:
            raise Damaged(
                f"cell {name_of(self.column)}{self.row} of {self.sheet!r}: it has more than {MAX_TEXT:,} characters"
            )
        return made


def _nothing(column: int) -> str:
    """Return the text of a column of a row without a source."""
    return ""


class _Workbook:
    def __init__(self, source: Source, archive: Archive) -> None:
        self._source, self._archive = source, archive
        self._sheets: dict[str, Sheet] = {}
        self._places: list[_Place] = []
        self._headers: dict[str, dict[tuple[int, int], str]] = {}

    def slot(self, raw: str) -> Slot:
        """Return the slot of the whole file, which holds the segments of all sheets."""
        fault: NoColumn | None = None
        for name, path in self._tables():
            try:
                self._read(name, path)
            except NoColumn as error:
                if not error.is_source:
                    raise self._source.error(f"sheet {name!r}: {error}", error.remedy) from None
                fault = fault or error
        if not self._sheets:
            raise self._source.error(str(fault or "it has no sheet with texts"), fault.remedy if fault else "add one")
        segments: tuple[Segment, ...] = tuple(one for place in self._places for one in place.slot.segments)

        def write(texts: Sequence[str | None]) -> str:
            return self._written(raw, texts)

        return Slot(raw, segments, write)

    def _tables(self) -> Iterator[tuple[str, str]]:
        """Yield the names and paths of the visible worksheets, and read the shared texts."""
        main = next((path for kind, path, _ in self._related("", "_rels/.rels") if kind.endswith(_DOCUMENT)), "")
        if not main:
            raise NotArchive("it is not a workbook")
        folder, _, name = main.rpartition("/")
        related = list(self._related(folder, join(folder, "_rels", f"{name}.rels")))
        strings = next((path for kind, path, _ in related if kind.endswith(_STRINGS)), None)
        self._shared = shared_texts(self._archive.read(strings)) if strings and strings in self._archive else []
        paths = {number: path for kind, path, number in related if kind.endswith("/worksheet")}
        for element, about in elements(self._archive.read(main)):
            if element == "sheet" and about.get("state", "visible") == "visible" and about.get("id") in paths:
                yield about.get("name", ""), paths[about["id"]]

    def _related(self, folder: str, path: str) -> Iterator[tuple[str, str, str]]:
        """Yield the type, path and id of each part that a list of relations names."""
        for element, about in elements(self._archive.read(path)):
            if element == "Relationship":
                target = about.get("Target", "")
                whole = target.lstrip("/") if target.startswith("/") else normpath(join(folder, target))
                yield about.get("Type", ""), whole, about.get("Id", "")

    def _read(self, name: str, path: str) -> None:
        """Read a sheet. Raises NoColumn if its first row with texts lacks a column."""
        sheet, layout, names = Sheet(self._archive.read(path), self._shared), None, Names()
        for row in sheet.rows:
            if not any(one.text.strip() for one in row.cells):
                continue
            if layout is None:
                layout = layout_of(row.texts(), self._source.options)
                self._headers[path] = {
                    (row.number, layout.width + n): language for n, language in enumerate(layout.appended)
                }
                continue
            self._places += self._row(name, path, row, layout, names)
        if layout is not None:
            self._sheets[path] = sheet

    def _row(self, name: str, path: str, row: SheetRow, layout: Layout, names: Names) -> Iterator[_Place]:
        source = row.at(layout.source)
        is_text = source is not None and source.type in ("s", "str", "inlineStr")
        for column, unit in units_of(row.text if is_text else _nothing, layout, names, prefix=f"{name}!"):
            cell = row.at(column)
            if cell is not None and cell.has_formula:
                continue
            piece = unit_piece("", unit, self._source.options, str)
            if isinstance(piece, Slot):
                yield _Place(path, name, row.number, column, piece)

    def _written(self, raw: str, texts: Sequence[str | None]) -> str:
        given = iter(texts)
        new = {path: dict(headers) for path, headers in self._headers.items()}
        for place in self._places:
            if made := place.text(list(islice(given, len(place.slot.segments)))):
                new[place.path][place.row, place.column] = made
        changed = {path: self._sheets[path].written(cells) for path, cells in new.items() if cells}
        return self._archive.replaced(changed).decode("latin-1") if changed else raw

"""Reads the cells of a worksheet (SpreadsheetML, ISO/IEC 29500) with their places in its XML, and writes cells in their places.

Of a cell only its text and its style are read. A written cell keeps its style and holds its text itself (`inlineStr`), so that
the table of texts that all sheets share stays as it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

import regex

from jobs.exchange.xml_text import written

MAX_TEXT: Final = 32_767
"""A cell holds at most so many characters."""

_REFERENCE: Final = regex.compile(r"([A-Z]{1,3})(\d{1,7})")
_ESCAPED: Final = regex.compile(r"_x([0-9A-Fa-f]{4})_")
_TO_ESCAPE: Final = regex.compile(r"_(?=x[0-9A-Fa-f]{4}_)|[\x00-\x08\x0b-\x1f]")
_SPANS: Final = regex.compile(rb"(\sspans\s*=\s*[\"']\d+:)(\d+)")
_DIMENSION: Final = regex.compile(rb"(<(?:\w+:)?dimension\s+ref=\"[A-Z]+\d+:)([A-Z]+)(\d+\")")


class NotSheet(ValueError):
    """A part of a workbook cannot be read. `str()` says why, as a clause."""


@dataclass(slots=True)
class SheetCell:
    """A cell: its column (from 0), its text, its style and its place in the XML."""

    column: int
    start: int
    end: int = 0
    text: str = ""
    style: str = ""
    type: str = ""
    has_formula: bool = False
    parts: list[str] = field(default_factory=list)


@dataclass(slots=True)
class SheetRow:
    """A row: its number (from 1), its cells, and the places where it begins and where its last cell ends."""

    number: int
    start: int
    end: int = 0
    cells: list[SheetCell] = field(default_factory=list)

    def texts(self) -> list[str]:
        """Return the text of each column up to the last cell."""
        return [self.text(n) for n in range(max((one.column for one in self.cells), default=-1) + 1)]

    def text(self, column: int) -> str:
        """Return the text of a column; an empty one if the row lacks it."""
        cell = self.at(column)
        return cell.text if cell else ""

    def at(self, column: int) -> SheetCell | None:
        """Return the cell of a column, if the row has it."""
        return next((one for one in self.cells if one.column == column), None)


class Sheet:
    """A worksheet. `data` is its XML, `shared` are the texts that the sheets of a workbook share.

    Raises:
        NotSheet: It is not valid XML, or declares entities, or is not in UTF-8.
    """

    def __init__(self, data: bytes, shared: Sequence[str]) -> None:
        self.data, self.rows = data, list[SheetRow]()
        self.prefix = ""
        self._shared = shared
        self._in_text = self._in_phonetic = False
        self._parser = _parser(data)
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        _parse(self._parser, data)

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        prefix, _, local = name.rpartition(":")
        at = self._parser.CurrentByteIndex
        if local == "row":
            number = attributes.get("r", "")
            last = self.rows[-1].number if self.rows else 0
            self.rows.append(SheetRow(int(number) if number.isdecimal() else last + 1, at))
            self.prefix = f"{prefix}:" if prefix else ""
        elif local == "c" and self.rows:
            cells = self.rows[-1].cells
            match = _REFERENCE.fullmatch(attributes.get("r", ""))
            column = column_of(match[1]) if match else cells[-1].column + 1 if cells else 0
            cells.append(SheetCell(column, at, style=attributes.get("s", ""), type=attributes.get("t", "")))
        elif local == "rPh":
            self._in_phonetic = True
        elif local == "f" and self.rows and self.rows[-1].cells:
            self.rows[-1].cells[-1].has_formula = True
        self._in_text = local in ("v", "t") and not self._in_phonetic

    def _text(self, data: str) -> None:
        if self._in_text and self.rows and self.rows[-1].cells:
            self.rows[-1].cells[-1].parts.append(data)

    def _end(self, name: str) -> None:
        local = name.rpartition(":")[2]
        self._in_text = False
        if local == "rPh":
            self._in_phonetic = False
        elif local in ("c", "row") and self.rows:
            at = self._parser.CurrentByteIndex
            row = self.rows[-1]
            if local == "row":
                row.end = at
            elif row.cells:
                tag = f"</{name}".encode()
                cell = row.cells[-1]
                cell.end = self.data.index(b">", at) + 1 if self.data.startswith(tag, at) else at
                cell.text = self._value(cell)

    def _value(self, cell: SheetCell) -> str:
        raw = "".join(cell.parts)
        cell.parts = []
        if cell.type == "s":
            number = raw.strip()
            if not number.isdecimal() or int(number) >= len(self._shared):
                raise NotSheet(f"a cell refers to the shared text {number[:20]!r}, which is missing")
            return self._shared[int(number)]
        return unescaped(raw) if cell.type in ("inlineStr", "str") else raw

    def written(self, new: Mapping[tuple[int, int], str]) -> bytes:
        """Return the sheet with texts in cells, by row number and column from 0."""
        edits, widest = list[tuple[int, int, bytes]](), 0
        for row in self.rows:
            mine = (
                sorted((column, text) for (number, column), text in new.items() if number == row.number) if new else []
            )
            if not mine:
                continue
            last = mine[-1][0]
            widest = max(widest, last)
            first = row.cells[0].start if row.cells else row.end
            if (match := _SPANS.search(self.data, row.start, first)) and int(match[2]) < last + 1:
                edits.append((match.start(2), match.end(2), str(last + 1).encode()))
            for column, text in mine:
                cell = row.at(column)
                following = next((one.start for one in row.cells if one.column > column), row.end)
                start, end = (cell.start, cell.end) if cell else (following, following)
                edits.append((start, end, self._cell(row, column, text, cell.style if cell else "").encode()))
        match = _DIMENSION.search(self.data, 0, self.rows[0].start if self.rows else 0)
        if edits and match and column_of(match[2].decode()) < widest:
            edits.append((match.start(2), match.end(2), name_of(widest).encode()))
        return b"".join(_joined(self.data, sorted(edits, key=lambda one: one[:2])))

    def _cell(self, row: SheetRow, column: int, text: str, style: str) -> str:
        p = self.prefix
        styled = f' s="{style}"' if style.isdecimal() else ""
        words = written(_TO_ESCAPE.sub(lambda one: f"_x{ord(one[0]):04X}_", text))
        opening = f'<{p}c r="{name_of(column)}{row.number}"{styled} t="inlineStr">'
        return f'{opening}<{p}is><{p}t xml:space="preserve">{words}</{p}t></{p}is></{p}c>'


def _joined(data: bytes, edits: Sequence[tuple[int, int, bytes]]) -> Iterator[bytes]:
    position = 0
    for start, end, made in edits:
        yield data[position:start]
        yield made
        position = end
    yield data[position:]


def shared_texts(data: bytes) -> list[str]:
    """Return the texts that the sheets of a workbook share. Of a text in several formats, all parts are joined.

    Raises:
        NotSheet: The part is not valid XML, or declares entities.
    """
    found: list[list[str]] = []
    state = {"text": False, "phonetic": False}

    def start(name: str, attributes: Mapping[str, str]) -> None:
        local = name.rpartition(":")[2]
        if local == "si":
            found.append([])
        state["phonetic"] |= local == "rPh"
        state["text"] = local == "t" and not state["phonetic"]

    def end(name: str) -> None:
        state["text"] = False
        state["phonetic"] &= name.rpartition(":")[2] != "rPh"

    def text(words: str) -> None:
        if state["text"] and found:
            found[-1].append(words)

    parser = _parser(data)
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    _parse(parser, data)
    return [unescaped("".join(one)) for one in found]


def elements(data: bytes) -> list[tuple[str, dict[str, str]]]:
    """Return the elements of a small part of a workbook: names without prefixes, and attributes.

    Raises:
        NotSheet: The part is not valid XML, or declares entities.
    """
    found: list[tuple[str, dict[str, str]]] = []
    parser = _parser(data)
    parser.StartElementHandler = lambda name, attributes: found.append(
        (name.rpartition(":")[2], {key.rpartition(":")[2]: value for key, value in attributes.items()})
    )
    _parse(parser, data)
    return found


def _parser(data: bytes) -> expat.XMLParserType:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise NotSheet("a part of it is not in UTF-8")
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True

    def refuse(*about: object) -> None:
        raise NotSheet("a part of it declares entities, which are not read")

    parser.EntityDeclHandler = refuse
    return parser


def _parse(parser: expat.XMLParserType, data: bytes) -> None:
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise NotSheet(f"a part of it is not valid XML: {expat.errors.messages[error.code]}") from None


def unescaped(text: str) -> str:
    """Return a text with the characters for which `_x000D_` and the like stand."""
    return _ESCAPED.sub(lambda one: chr(int(one[1], 16)), text) if "_x" in text else text


def column_of(letters: str) -> int:
    """Return the number of a column, from 0, by its letters."""
    number = 0
    for one in letters:
        number = number * 26 + ord(one) - 64
    return number - 1


def name_of(column: int) -> str:
    """Return the letters of a column."""
    made, number = "", column + 1
    while number:
        number, rest = divmod(number - 1, 26)
        made = chr(65 + rest) + made
    return made

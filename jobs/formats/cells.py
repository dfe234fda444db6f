"""Cells: splits a line of a CSV into cells, and reads the text of a cell as a value of its field's type.

Numbers and truth values are read as such, lists are split on `|`, objects are JSON, and the column `metadata.NAME` holds one
value of the metadata. If a cell cannot be read as its type, its value stays a text, and a remark of the record holds the
message about the wrong type.

Nothing is guessed. A decimal comma is a decimal point, and the separators in `1 000`, `1'000` and `1.000.000` separate
thousands. But `1.000` and `1,000` mean one or a thousand, depending on the country. A cell like this is refused if its field is
an integer. If its field is a number, the cell is refused too, unless the limits of the field allow only one reading (1.0 for
`temperature`, which is at most 2).

An apostrophe that guards a formula (see `jobs/exchange/formulas.py`) is taken off; within a cell, only if the file is one of
our own results.
"""

import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, Final

from jobs.exchange.formulas import is_ours, unguarded
from jobs.formats.columns.choice import NO_CHOICE, Columns
from jobs.formats.columns.placing import Fields, Placer, merged
from jobs.formats.json_lines import MAX_ROW_BYTES, Finding, read_value
from jobs.formats.record import Record

csv.field_size_limit(2 * MAX_ROW_BYTES)

_INTEGER: Final = re.compile(r"([+-]?[0-9]{1,20})(?:[.,]0+)?")
_EXPONENT: Final = re.compile(r"[+-]?[0-9]{1,11}(?:[.,][0-9]{1,11})?[eE]\+?0?[0-9]")
"""A number with an exponent. Excel rounds integers of 12 digits and more to such numbers, so only smaller numbers are read."""
_NUMBER: Final = re.compile(r"[+-]?[0-9]*[.,]?[0-9]+(?:[eE][+-]?[0-9]+)?")
_AMBIGUOUS: Final = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")
_GROUPED: Final = re.compile(r"[+-]?[0-9]{1,3}(?:(?:[\s'\u2019][0-9]{3}){1,5}|(?:\.[0-9]{3}){2,5}|(?:,[0-9]{3}){2,5})")
_NO_DIGIT: Final = re.compile(r"[^0-9+-]")
_TRUTH: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_NUMBER_CHARACTERS: Final = 100
"""A longer cell is no number. Matching a long cell would take a time that grows with the square of its length."""
_KINDS: Final = 64
"""For at most this many kinds, the ways to read their cells are kept in memory. A file may name any number of kinds."""
_SHOWN_CHARACTERS: Final = 40
"""A message quotes at most this many characters of a cell."""


@dataclass(frozen=True, slots=True)
class _Cell:
    """How the cells of a field are read. `wanted` names the type in messages; it is empty for text."""

    read: Callable[[str], Any]
    wanted: str = ""


_TEXT: Final = _Cell(str)


class Cells:
    """Turns the cells of rows into fields.

    Args:
        names: The names of the columns, in their order.
        fields: The fields that rows may have.
        columns: Which column is which field.
    """

    def __init__(self, names: Sequence[str], fields: Fields, columns: Columns = NO_CHOICE) -> None:
        self._names = tuple(names)
        self._unguarded = partial(unguarded, ours=is_ours(self._names))
        self._placer = Placer(columns, fields, is_table=True)
        self._of_kind: dict[str | None, Mapping[str, _Cell]] = {}

    def record(self, line: int, raw: bytes, cells: Sequence[str]) -> Record:
        """Return the record of a row that begins at this line."""
        if any(cell.strip() for cell in cells[len(self._names) :]):
            message = f"the row has {len(cells)} cells, and the header {len(self._names)}: put a cell with a delimiter in quotes"
            return Record(line, raw, Finding("not_csv", None, message))
        row = {name: cell for name, cell in zip(self._names, cells, strict=False) if cell.strip()}
        placed = self._placer.placed(row)
        if isinstance(placed, Finding):
            return Record(line, raw, placed, columns=self._names)
        readers = self._readers(placed.kind)
        values: dict[str, Any] = {}
        remarks: dict[str, str] = {}
        for field, given in placed.values.items():
            text, cell = self._unguarded(given), readers.get(field, _TEXT)
            values[field] = cell.read(text)
            if isinstance(values[field], Finding):
                found = values[field]
                path = placed.names.get(field, field) + found.field.removeprefix("value")
                return Record(line, raw, found._replace(field=path), custom_id=placed.values.get("custom_id"))
            if cell.wanted and isinstance(values[field], str):
                remarks[field] = _remark(text.strip(), cell.wanted)
        metadata = {name: self._unguarded(text) for name, text in placed.metadata.items()}
        whole = merged(values, metadata)
        return Record(line, raw, whole, placed.names, remarks, values.get("custom_id"), placed.extra, self._names)

    def _readers(self, kind: str | None) -> Mapping[str, _Cell]:
        if kind not in self._of_kind:
            if len(self._of_kind) == _KINDS:
                self._of_kind.clear()
            self._of_kind[kind] = {name: _cell(schema) for name, schema in self._placer.schemas(kind).items()}
        return self._of_kind[kind]


def _cell(schema: Mapping[str, Any]) -> _Cell:
    """Choose how the cells of a field with this JSON schema are read."""
    options = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    types = {one.get("type", "string") for one in options}
    if types == {"array"}:
        item = _cell(options[0].get("items", {}))
        return _Cell(lambda text: _json(text, "[", [_item(item, part) for part in text.split("|") if part.strip()]))
    if types & {"object", "array"}:
        opens = "{" if "object" in types else "["
        return _Cell(lambda text: _json(text, opens, text))
    if types == {"integer"}:
        return _Cell(lambda text: _integer(text.strip(), text), "a whole number")
    if types <= {"integer", "number"}:
        limit = _limit(options)
        return _Cell(lambda text: _number(text.strip(), text, limit), "a number")
    if types == {"boolean"}:
        return _Cell(lambda text: _TRUTH.get(text.strip().casefold(), text), "true or false")
    return _TEXT


def _item(cell: _Cell, part: str) -> Any:
    """Read an item of a list. A number with a comma stays text, because it may be two numbers that someone forgot to split by
    `|`.
    """
    return part.strip() if cell.wanted and "," in part else cell.read(part.strip())


def _limit(options: Sequence[Mapping[str, Any]]) -> float:
    """Return the greatest absolute value that the limits of a field allow."""
    limits: list[float] = []
    for one in options:
        low = one.get("minimum", one.get("exclusiveMinimum", -math.inf))
        high = one.get("maximum", one.get("exclusiveMaximum", math.inf))
        limits.append(max(abs(low), abs(high)))
    return max(limits)


def _integer(cell: str, otherwise: str) -> int | str:
    if _AMBIGUOUS.fullmatch(cell):
        return otherwise
    if _EXPONENT.fullmatch(cell) and (number := float(cell.replace(",", "."))).is_integer() and abs(number) < 1e11:
        return int(number)
    found = _INTEGER.fullmatch(cell)
    digits = found[1] if found else _NO_DIGIT.sub("", cell) if _GROUPED.fullmatch(cell) else ""
    return int(digits) if digits and -(1 << 63) <= int(digits) < 1 << 64 else otherwise


def _number(cell: str, otherwise: str, limit: float) -> float | str:
    if len(cell) > _NUMBER_CHARACTERS or not _NUMBER.fullmatch(cell):
        return otherwise
    number = float(cell.replace(",", "."))
    is_ambiguous = _AMBIGUOUS.fullmatch(cell) and abs(number) * 1_000 <= limit
    return otherwise if is_ambiguous or not math.isfinite(number) else number


def _remark(cell: str, wanted: str) -> str:
    """Return the message about a cell that does not have the type of its field."""
    shown = repr(cell if len(cell) <= _SHOWN_CHARACTERS else cell[: _SHOWN_CHARACTERS - 1] + "\N{HORIZONTAL ELLIPSIS}")
    if not _AMBIGUOUS.fullmatch(cell):
        return f"{shown} is not {wanted}: correct the cell"
    one, thousand = float(cell.replace(",", ".")), int(_NO_DIGIT.sub("", cell))
    return f"{shown} may mean {one:g} or {thousand}: write {wanted} without a separator of thousands"


def _json(cell: str, opens: str, otherwise: Any) -> Any:
    """Parse a cell as JSON if it begins with `opens`.

    Returns the value. Returns a Finding if an object in the cell has a key twice. Returns `otherwise` if the cell does not
    begin with `opens`, or is not JSON that a row may hold.
    """
    if not cell.lstrip().startswith(opens):
        return otherwise
    try:
        value = read_value(cell)
    except ValueError:
        return otherwise
    if isinstance(value, Finding):
        return value if value.code == "duplicate_key" and value.field is not None else otherwise
    return value


class Quote(Enum):
    """The state of quotes at the end of a line. BROKEN: text follows a quote that should end the cell."""

    CLOSED = 0
    OPEN = 1
    BROKEN = 2


def quote_at_end(text: str, delimiter: str, *, within: bool = False) -> Quote:
    """Return the state of quotes at the end of a line. With `within`, the line begins inside a quoted cell."""
    if '"' not in text:
        return Quote.OPEN if within else Quote.CLOSED
    at, open_ = 0, within
    while True:
        if open_:
            at = text.find('"', at)
            while at >= 0 and text[at + 1 : at + 2] == '"':
                at = text.find('"', at + 2)
            if at < 0:
                return Quote.OPEN
            if within and text[at + 1 : at + 2] not in (delimiter, "\r", "\n", ""):
                return Quote.BROKEN
            within = False
        elif text[at : at + 1] == '"':
            at, open_ = at + 1, True
            continue
        at = text.find(delimiter, at)
        if at < 0:
            return Quote.CLOSED
        at, open_ = at + 1, False


def split_line(text: str, delimiter: str) -> list[str] | Finding:
    """Return the cells of a line or of several lines of one row; a Finding if they are not a row of a CSV."""
    try:
        return next(csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter), [])
    except csv.Error as error:
        return Finding("not_csv", None, f"the line is not a row of a CSV: {error}")

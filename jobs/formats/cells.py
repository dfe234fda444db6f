"""Cells: reads the text of a CSV's cell as a value of its field's type.

Numbers and truth values are read as such, lists are split on `|`, objects are JSON, and the column `metadata.NAME` holds one
value of the metadata. If a cell cannot be read as its type, its value stays a text, and a remark of the record holds the
message about the wrong type.

Nothing is guessed. A decimal comma is a decimal point, and the separators in `1 000`, `1'000` and `1.000.000` separate
thousands. But `1.000` and `1,000` mean one or a thousand, depending on the country. A cell like this is refused if its field is
an integer. If its field is a number, the cell is refused too, unless the limits of the field allow only one reading (1.0 for
`temperature`, which is at most 2).

An apostrophe that guards a formula (see `formulas`) is taken off.
"""

import math
import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from jobs.formats.formulas import unguarded
from jobs.formats.json_lines import Finding, read_value
from jobs.formats.record import Record

_INTEGER: Final = re.compile(r"([+-]?[0-9]{1,20})(?:[.,]0+)?")
_EXPONENT: Final = re.compile(r"[+-]?[0-9]{1,11}(?:[.,][0-9]{1,11})?[eE]\+?0?[0-9]")
"""A number with an exponent. Excel rounds integers of 12 digits and more to such numbers, so only smaller numbers are read."""
_NUMBER: Final = re.compile(r"[+-]?[0-9]*[.,]?[0-9]+(?:[eE][+-]?[0-9]+)?")
_AMBIGUOUS: Final = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")
_GROUPED: Final = re.compile(r"[+-]?[0-9]{1,3}(?:(?:[\s'\u2019][0-9]{3}){1,5}|(?:\.[0-9]{3}){2,5}|(?:,[0-9]{3}){2,5})")
_NO_DIGIT: Final = re.compile(r"[^0-9+-]")
_TRUTH: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_METADATA: Final = "metadata."
_NUMBER_CHARACTERS: Final = 100
"""A cell that is longer is no number. To look for one would take a time that grows with the square of the length."""
_KINDS: Final = 64
"""The ways to read the cells of this many kinds are kept. A file may name any number of kinds."""
_SHOWN_CHARACTERS: Final = 40
"""A message quotes at most this many characters of a cell."""


class Fields(Protocol):
    """The fields that rows may have. The JSON schema of a field decides how its cells are read."""

    @property
    def known(self) -> Container[str]:
        """The names of the fields of all kinds."""
        ...

    def of_kind(self, name: str | None) -> Mapping[str, Any]:
        """Return field -> JSON schema, for rows of the kind `name`. The name None is for rows that name no kind."""
        ...


def is_known(name: str, known: Container[str]) -> bool:
    """Whether the name of a column is that of a field."""
    return name in known or name.startswith(_METADATA)


@dataclass(frozen=True, slots=True)
class _Cell:
    """How the cells of a field are read. `wanted` names the type in messages; it is empty for text."""

    read: Callable[[str], Any]
    wanted: str = ""


class Cells:
    """Turns the cells of rows into fields.

    Args:
        names: The names of the columns, in their order.
        fields: The fields that rows may have.
    """

    def __init__(self, names: Sequence[str], fields: Fields) -> None:
        self._names = names
        self._fields = fields
        self._of_kind: dict[str | None, list[_Cell]] = {}

    def record(self, line: int, raw: bytes, cells: Sequence[str]) -> Record:
        """Return the record of a row that begins at this line."""
        if any(cell.strip() for cell in cells[len(self._names) :]):
            message = f"the row has {len(cells)} cells, and the header {len(self._names)}: put a cell with a delimiter in quotes"
            return Record(line, raw, Finding("not_csv", None, message))
        given = {name: cell for name, cell in zip(self._names, cells, strict=False) if cell.strip()}
        if "" in given:
            message = "a column without a name has a cell with text: name the column, or empty the cell"
            return Record(line, raw, Finding("unknown_field", None, message))
        values: dict[str, Any] = {}
        remarks: dict[str, str] = {}
        for name, cell in zip(self._names, self._types(given.get("kind", "").strip() or None), strict=True):
            if name not in given:
                continue
            text = unguarded(given[name])
            if name.startswith(_METADATA):
                values.setdefault("metadata", {})[name.removeprefix(_METADATA)] = text
                continue
            values[name] = cell.read(text)
            if isinstance(values[name], Finding):
                found = values[name]._replace(field=name + values[name].field.removeprefix("value"))
                return Record(line, raw, found, custom_id=given.get("custom_id"))
            if cell.wanted and isinstance(values[name], str):
                remarks[name] = _remark(text.strip(), cell.wanted)
        return Record(line, raw, values, remarks=remarks)

    def _types(self, kind: str | None) -> list[_Cell]:
        if kind not in self._of_kind:
            if len(self._of_kind) == _KINDS:
                self._of_kind.clear()
            schemas = self._fields.of_kind(kind)
            self._of_kind[kind] = [_cell(schemas.get(name, {})) for name in self._names]
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
    return _Cell(str)


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

"""Cells: what the text of a CSV's cell means, by the type of its field.

Numbers and truth values are read as such, lists are split on `|`, objects are JSON, and `metadata.NAME` is one value of the
metadata. What cannot be read so stays text, which is the wrong type, and a remark tells the row's reader what to say of it.

Nothing is guessed. A decimal comma is a decimal point, and the separators in `1 000`, `1'000` and `1.000.000` part thousands.
But `1.000` and `1,000` are one or a thousand, by where the spreadsheet is from: an integer so written is refused, and a
number too, unless the limits of its field leave one of both (1.0 for `temperature`, whose most is 2).

An apostrophe before `=`, `+`, `-` or `@`, as we write it against formulas, is taken off again.
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
_NUMBER: Final = re.compile(r"[+-]?[0-9]*[.,]?[0-9]+(?:[eE][+-]?[0-9]+)?")
_TWO_WAYS: Final = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")
_GROUPED: Final = re.compile(r"[+-]?[0-9]{1,3}(?:(?:[\s'\u2019][0-9]{3}){1,5}|(?:\.[0-9]{3}){2,5}|(?:,[0-9]{3}){2,5})")
_NO_DIGIT: Final = re.compile(r"[^0-9+-]")
_TRUTH: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_METADATA: Final = "metadata."
_SHOWN: Final = 40


class Fields(Protocol):
    """What fields rows may have. A JSON schema says how the cells of one are read."""

    @property
    def known(self) -> Container[str]:
        """Their names, whatever the kind."""
        ...

    def of_kind(self, name: str | None) -> Mapping[str, Any]:
        """The schemas of a kind's fields by name; None is a row that names no kind."""
        ...


def is_known(name: str, known: Container[str]) -> bool:
    """Whether a column has the name of a field."""
    return name in known or name.startswith(_METADATA)


@dataclass(frozen=True, slots=True)
class _Cell:
    """How the cells of a field are read. `wanted` is what one must be, where a text is not enough."""

    read: Callable[[str], Any]
    wanted: str = ""


class Cells:
    """Turns the cells of rows into fields.

    Args:
        names: Of the columns, in order.
        fields: What rows may have.
    """

    def __init__(self, names: Sequence[str], fields: Fields) -> None:
        self._names = names
        self._fields = fields
        self._of_kind: dict[str | None, list[_Cell]] = {}

    def record(self, line: int, raw: bytes, cells: Sequence[str]) -> Record:
        """The row that begins at a line."""
        if any(cell.strip() for cell in cells[len(self._names) :]):
            message = (
                f"the row has {len(cells)} cells, and the header {len(self._names)}: quote a cell with a delimiter"
            )
            return Record(line, raw, Finding("not_csv", None, message))
        said = {name: cell for name, cell in zip(self._names, cells, strict=False) if cell.strip()}
        if "" in said:
            message = "a cell stands in a column without a name: name the column, or empty it"
            return Record(line, raw, Finding("unknown_field", None, message))
        values: dict[str, Any] = {}
        remarks: dict[str, str] = {}
        for name, cell in zip(self._names, self._types(said.get("kind", "").strip() or None), strict=True):
            if name not in said:
                continue
            text = unguarded(said[name])
            if name.startswith(_METADATA):
                values.setdefault("metadata", {})[name.removeprefix(_METADATA)] = text
                continue
            values[name] = cell.read(text)
            if cell.wanted and isinstance(values[name], str):
                remarks[name] = _remark(text.strip(), cell.wanted)
        return Record(line, raw, values, remarks=remarks)

    def _types(self, kind: str | None) -> list[_Cell]:
        if kind not in self._of_kind:
            schemas = self._fields.of_kind(kind)
            self._of_kind[kind] = [_cell(schemas.get(name, {})) for name in self._names]
        return self._of_kind[kind]


def _cell(schema: Mapping[str, Any]) -> _Cell:
    """How the cells of a field are read, by its JSON schema."""
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
        most = _most(options)
        return _Cell(lambda text: _number(text.strip(), text, most), "a number")
    if types == {"boolean"}:
        return _Cell(lambda text: _TRUTH.get(text.strip().casefold(), text), "true or false")
    return _Cell(str)


def _item(cell: _Cell, part: str) -> Any:
    """One of a list. A number with a comma may be two, which somebody has not split on `|`."""
    return part.strip() if cell.wanted and "," in part else cell.read(part.strip())


def _most(options: Sequence[Mapping[str, Any]]) -> float:
    """The greatest size that the limits of a field allow to a number, without its sign."""
    limits: list[float] = []
    for one in options:
        low = one.get("minimum", one.get("exclusiveMinimum", -math.inf))
        high = one.get("maximum", one.get("exclusiveMaximum", math.inf))
        limits.append(max(abs(low), abs(high)))
    return max(limits)


def _integer(cell: str, otherwise: str) -> int | str:
    if _TWO_WAYS.fullmatch(cell):
        return otherwise
    found = _INTEGER.fullmatch(cell)
    digits = found[1] if found else _NO_DIGIT.sub("", cell) if _GROUPED.fullmatch(cell) else ""
    return int(digits) if digits and -(1 << 63) <= int(digits) < 1 << 64 else otherwise


def _number(cell: str, otherwise: str, most: float) -> float | str:
    if not _NUMBER.fullmatch(cell):
        return otherwise
    number = float(cell.replace(",", "."))
    in_two_ways = _TWO_WAYS.fullmatch(cell) and abs(number) * 1_000 <= most
    return otherwise if in_two_ways or not math.isfinite(number) else number


def _remark(cell: str, wanted: str) -> str:
    """What is wrong with a cell that is not of its field's type, and what to do."""
    shown = repr(cell if len(cell) <= _SHOWN else cell[: _SHOWN - 1] + "\N{HORIZONTAL ELLIPSIS}")
    if not _TWO_WAYS.fullmatch(cell):
        return f"{shown} is not {wanted}"
    one, thousand = float(cell.replace(",", ".")), int(_NO_DIGIT.sub("", cell))
    return f"{shown} may be {one:g} or {thousand}, by where it is from: write {wanted} without separators of thousands"


def _json(cell: str, opens: str, otherwise: Any) -> Any:
    """A cell that is written as JSON, by what it begins with."""
    if not cell.lstrip().startswith(opens):
        return otherwise
    try:
        said = read_value(cell)
    except ValueError:
        return otherwise
    return otherwise if isinstance(said, Finding) else said

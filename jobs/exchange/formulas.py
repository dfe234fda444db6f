"""Formulas: writes CSV of which no spreadsheet program runs a cell, and takes the guards off again.

A guard is an apostrophe. It stands before each cell that begins like a formula. A spreadsheet program may split our lines in
other places than we do: one that expects `;` between cells (as in most of Europe) splits cells at `;` and at their line breaks.
So a guard also stands where a formula would begin within a cell, after such a character. All cells are quoted.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

SIGNS: Final = (*"=+-@", *"＝＋－＠", *"﹦﹢﹣﹫", "\N{MINUS SIGN}")  # noqa: RUF001 - forms that some programs read alike
"""Characters with which a formula begins: in ASCII, in full width, as small forms."""

FORMULA: Final = (*SIGNS, *map(chr, range(0x20)))
"""Characters that a spreadsheet program may take for the beginning of a formula, or may leave out before one (OWASP, CSV
injection).
"""

RESULT_COLUMNS: Final = ("row", "custom_id", "kind", "status")
"""The first columns of each CSV of results. A file with these columns is ours, so it has guards within its cells too."""

_SIGN, _ANY = (f"[{re.escape(''.join(signs))}]" for signs in (SIGNS, FORMULA))
_LEFT_OUT: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\"]"
_BEGIN: Final = re.compile(rf"'*{_ANY}")
_AHEAD: Final = re.compile(rf"'*{_LEFT_OUT}*{_SIGN}")
_SEPARATORS: Final = ";\t\r\n"
_MAY_BEGIN: Final = frozenset({*FORMULA, "'"})
_MAY_LIE_AHEAD: Final = frozenset({*FORMULA, "'", '"'})
_GUARD_WITHIN: Final = re.compile(rf"([;\t\r\n])'(?='*{_LEFT_OUT}*{_SIGN})")


class Target(Protocol):
    """A file or a stream of texts."""

    def write(self, text: str, /) -> object:
        """Write a text."""
        ...


class CsvWriter:
    """Writes rows as CSV, with all cells quoted and guarded. Numbers are not guarded: a negative number stays a number."""

    def __init__(self, target: Target, line_end: str = "\r\n", delimiter: str = ",") -> None:
        self._writer = csv.writer(target, quoting=csv.QUOTE_ALL, lineterminator=line_end, delimiter=delimiter)

    def write(self, cells: Iterable[Any]) -> None:
        """Write a row. None is an empty cell."""
        self._writer.writerow([_text(cell) for cell in cells])


def is_ours(columns: Sequence[str]) -> bool:
    """Whether a CSV with these columns is one of our results."""
    return tuple(columns[: len(RESULT_COLUMNS)]) == RESULT_COLUMNS


def guarded(cell: str) -> str:
    """Return the cell with an apostrophe where a formula would begin."""
    return _guarded(cell, _SEPARATORS)


def _guarded(cell: str, separators: Sequence[str]) -> str:
    first = "'" if cell[:1] in _MAY_BEGIN and _BEGIN.match(cell) else ""
    for separator in separators:
        if separator in cell:
            cell = _guarded_after(separator, cell)
    return first + cell


def _guarded_after(separator: str, cell: str) -> str:
    """Return the cell with a guard after each of these separators that stands before a formula.

    To split a text is faster than a search by a pattern, since most texts have few separators.
    """
    parts = cell.split(separator)
    if _MAY_LIE_AHEAD.isdisjoint([part[:1] for part in parts]):
        return cell
    return separator.join(parts[:1] + [f"'{part}" if _AHEAD.match(part) else part for part in parts[1:]])


def escaped(cells: Sequence[str]) -> Sequence[str]:
    """Return the texts of several cells as they stand between quotes in a CSV: guarded, and with their quotes doubled."""
    joined = "".join(cells)
    separators = [separator for separator in _SEPARATORS if separator in joined]
    guarded_cells = [_guarded(cell, separators) for cell in cells] if separators or _may_begin(cells) else cells
    return [cell.replace('"', '""') for cell in guarded_cells] if '"' in joined else guarded_cells


def _may_begin(cells: Sequence[str]) -> bool:
    return not _MAY_BEGIN.isdisjoint([cell[:1] for cell in cells])


def unguarded(cell: str, *, ours: bool = True) -> str:
    """Return the cell without the apostrophes of `guarded`. In the file of somebody else, only the first may be one."""
    rest = cell[1:] if cell[:1] == "'" and _BEGIN.match(cell) else cell
    return unguarded_within(rest) if ours else rest


def unguarded_within(cell: str) -> str:
    """Return the cell without the apostrophes of `guarded` that stand after a separator."""
    return _GUARD_WITHIN.sub(r"\1", cell)


def _text(cell: Any) -> Any:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return guarded(cell) if isinstance(cell, str) else cell

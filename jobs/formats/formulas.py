"""Formulas: guards cells of a CSV by an apostrophe, so that no spreadsheet program runs a cell, and takes the guard off again."""

from typing import Final

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""Characters that a spreadsheet program may take for the beginning of a formula (OWASP, CSV injection)."""


def unguarded(cell: str) -> str:
    """Return the cell without the apostrophe that `guarded` has put before it."""
    return cell[1:] if cell[:1] == "'" and cell.lstrip("'").startswith(FORMULA) else cell


def guarded(cell: str) -> str:
    """Return the cell, with an apostrophe before it if the cell would begin a formula."""
    return f"'{cell}" if cell.lstrip("'").startswith(FORMULA) else cell

"""Formulas: cells of a CSV are written so that no spreadsheet program runs them, and read back as they were."""

from typing import Final

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet program may take for the beginning of a formula (OWASP, CSV injection)."""


def unguarded(cell: str) -> str:
    """The cell without the apostrophe that keeps a spreadsheet program from running it as a formula."""
    return cell[1:] if cell[:1] == "'" and cell.lstrip("'").startswith(FORMULA) else cell


def guarded(cell: str) -> str:
    """The cell as a spreadsheet program may see it. Undone by `unguarded`."""
    return f"'{cell}" if cell.lstrip("'").startswith(FORMULA) else cell

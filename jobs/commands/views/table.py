"""A table for a person, in plain lines. It never breaks or cuts a cell, so that numbers and names can be read and copied.

The layout depends on the width of the terminal. If all columns fit, each row is a line. If they do not, the name of a row stands
on a line of its own, and its other cells below it, in columns. If these do not fit either, each cell stands beside its title.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from jobs.commands.views.fitting import fitted, joined, padded, width_of
from jobs.printable import one_line

_GAP = 2


@dataclass(frozen=True)
class Table:
    """The titles of the columns, and rows of as many cells. The first cell of a row is its name.

    Cells of the columns in `texts` are aligned left, and other cells right, as numbers are. `total` is a last row, set apart from
    the others; empty for none.
    """

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    total: Sequence[str] = ()
    texts: frozenset[int] = field(default=frozenset({0}))

    def lines(self, width: int) -> Iterator[str]:
        """Yield the lines of the table for a terminal of `width` columns."""
        rows = [[one_line(cell) for cell in row] for row in (*self.rows, *([self.total] if self.total else []))]
        widths = [max(map(width_of, column)) for column in zip(self.titles, *rows, strict=True)]
        if sum(widths) + _GAP * (len(widths) - 1) <= width:
            yield from self._in_columns(rows, widths)
        elif 2 + sum(widths[1:]) + _GAP * (len(widths) - 2) <= width:
            yield from self._below_names(rows, widths)
        else:
            yield from self._beside_titles(rows, width)

    def _in_columns(self, rows: Sequence[Sequence[str]], widths: Sequence[int]) -> Iterator[str]:
        rule = "-" * (sum(widths) + _GAP * (len(widths) - 1))
        yield self._line(self.titles, widths, 0)
        yield rule
        for number, row in enumerate(rows):
            if self.total and number == len(rows) - 1:
                yield rule
            yield self._line(row, widths, 0)

    def _below_names(self, rows: Sequence[Sequence[str]], widths: Sequence[int]) -> Iterator[str]:
        yield self.titles[0]
        yield f"  {self._line(self.titles[1:], widths[1:], 1)}"
        yield "-" * (2 + sum(widths[1:]) + _GAP * (len(widths) - 2))
        for row in rows:
            yield row[0]
            yield f"  {self._line(row[1:], widths[1:], 1)}"

    def _beside_titles(self, rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
        for row in rows:
            yield from fitted(row[0], width)
            cells = zip(self.titles[1:], row[1:], strict=True)
            yield from joined([f"{title} {cell}" for title, cell in cells if cell], width)

    def _line(self, cells: Sequence[str], widths: Sequence[int], first: int) -> str:
        columns = enumerate(zip(cells, widths, strict=True), first)
        made = (padded(cell, width, right=number not in self.texts) for number, (cell, width) in columns)
        return (" " * _GAP).join(made).rstrip()

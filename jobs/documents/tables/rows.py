"""Rows of string tables: what the cells of a row mean as units of translation, whatever the table is stored in."""

from collections.abc import Iterator, Sequence

from jobs.documents.document import State
from jobs.documents.message import Unit
from jobs.documents.tables.columns import Layout


class Names:
    """The names of the rows of a table: their keys, or their numbers. A name that stands twice gets a number."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._count = 0

    def next(self, key: str) -> str:
        """Return the name of the next row."""
        self._count += 1
        name = key.strip() or str(self._count)
        self._seen[name] = self._seen.get(name, 0) + 1
        return name if self._seen[name] == 1 else f"{name}#{self._seen[name]}"


def units_of(cells: Sequence[str], layout: Layout, names: Names) -> Iterator[tuple[int, Unit]]:
    """Yield the units of a row with their columns. A row without a source has none.

    Args:
        cells: The texts of the cells.
        layout: Which column is which.
        names: The names of the rows so far.
    """

    def cell(index: int | None) -> str:
        return cells[index] if index is not None and index < len(cells) else ""

    source, name = cell(layout.source), names.next(cell(layout.key))
    if not source.strip():
        return
    most = cell(layout.most).strip()
    for language, index in layout.columns:
        target = cell(index) if index < layout.width else ""
        yield (
            index,
            Unit(
                name=name,
                text=source,
                language=language,
                target=target if target.strip() else "",
                state=State.DONE if target.strip() else State.NEW,
                context=cell(layout.context).strip(),
                most=int(most) if most.isdecimal() and most.isascii() and 0 < len(most) < 7 and int(most) else None,
            ),
        )

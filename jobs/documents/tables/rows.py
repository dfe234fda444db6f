"""Rows of string tables: what the cells of a row mean as units of translation, whatever the table is stored in."""

from collections.abc import Callable, Iterator

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
        name = key or str(self._count)
        self._seen[name] = self._seen.get(name, 0) + 1
        return name if self._seen[name] == 1 else f"{name}#{self._seen[name]}"


def units_of(cell: Callable[[int], str], layout: Layout, names: Names, prefix: str = "") -> Iterator[tuple[int, Unit]]:
    """Yield the units of a row with their columns. A row without a source has none.

    Args:
        cell: Returns the text of a column; an empty one if the row lacks it.
        layout: Which column is which.
        names: The names of the rows so far.
        prefix: What stands before the name of a row in the names of its units.
    """

    def other(index: int | None) -> str:
        return cell(index).strip() if index is not None else ""

    source, name = cell(layout.source), names.next(other(layout.key))
    if not source.strip():
        return
    most = other(layout.most)
    for language, index in layout.columns:
        target = cell(index) if index < layout.width else ""
        yield (
            index,
            Unit(
                name=prefix + name,
                text=source,
                language=language,
                target=target if target.strip() else "",
                state=State.DONE if target.strip() else State.NEW,
                context=other(layout.context),
                most=int(most) if most.isdecimal() and most.isascii() and 0 < len(most) < 7 and int(most) else None,
            ),
        )

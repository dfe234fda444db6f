"""Names that may occur once: the custom_ids of an input, and the keys of segments. Many of them are kept on local disk."""

import sqlite3
from contextlib import ExitStack
from pathlib import Path
from typing import Final

NAMES_IN_MEMORY: Final = 100_000
"""At most this many names are kept in memory. Further names are kept in a table on disk."""


class Names:
    """Name -> the line of its row. The first names are kept in memory, further ones in a table on disk.

    Args:
        path: The file of the table, which is made when it is needed.
        in_memory: At most this many names are kept in memory.
        files: Closes the table at its end.
    """

    def __init__(self, path: Path, in_memory: int, files: ExitStack) -> None:
        self._path = path
        self._in_memory = in_memory
        self._files = files
        self._first: dict[str, int] = {}
        self._table: sqlite3.Connection | None = None

    def take(self, name: str, line: int) -> int | None:
        """Return the line that took this name earlier. If no line did, let `line` take the name, and return None."""
        if (earlier := self._first.get(name)) is not None:
            return earlier
        if len(self._first) < self._in_memory:
            self._first[name] = line
            return None
        if self._table is None:
            self._table = self._made_table()
        if self._table.execute("INSERT OR IGNORE INTO names VALUES (?, ?)", (name, line)).rowcount:
            return None
        (earlier,) = self._table.execute("SELECT line FROM names WHERE name = ?", (name,)).fetchone()
        return int(earlier)

    def _made_table(self) -> sqlite3.Connection:
        """Make an empty table. It is never synced to disk, because the table is useless after a crash."""
        table = sqlite3.connect(self._path, isolation_level=None)
        self._files.callback(table.close)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-16384"):
            table.execute(f"PRAGMA {pragma}")
        table.execute("CREATE TABLE names (name TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")
        table.execute("BEGIN")
        return table

"""The index of a tenant's memory: a SQLite file in the cache folder, made of the store's files, and made again if it is lost.

`refresh` reads the files that the index has not read yet, so a look-up asks no storage. Exact look-ups are by key. Similar
sources are found by their trigrams: the rarest ones of each part of a text name candidates, which are then compared letter by
letter. Any number of processes may use one index at once.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from jobs.errors import StoreDamaged, StoreUnavailable
from jobs.logs import logger
from jobs.memory.entry import Entry, Query, source_hash
from jobs.memory.files import Forgotten, Names, Section, folder_of, list_names, read_sections, readable_forgotten
from jobs.memory.trigrams import Trigrams, counted
from jobs.store.store import Store

Answer = TypeVar("Answer")

VERSION: Final = 1
"""The version of the form of an index. An index of another version is made anew."""
BUSY_S: Final = 300.0
"""Seconds that a process waits while another writes to the index: it may be reading in a memory of millions of entries."""
TRIES: Final = 3
"""A refresh begins again this many times at most, if files are merged while it reads them."""

_SCHEMA: Final = """
CREATE TABLE files (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE sections (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE file_sections (file TEXT, section INTEGER, PRIMARY KEY (file, section)) WITHOUT ROWID;
CREATE INDEX section_files ON file_sections (section);
CREATE TABLE forgotten (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE texts (id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, source TEXT NOT NULL);
CREATE TABLE entries (id INTEGER PRIMARY KEY, section INTEGER NOT NULL, key BLOB NOT NULL, text INTEGER NOT NULL,
    pair TEXT NOT NULL, editor INTEGER NOT NULL, at INTEGER NOT NULL, line BLOB NOT NULL);
CREATE INDEX by_key ON entries (key, at);
CREATE INDEX by_text ON entries (text, pair);
CREATE INDEX by_section ON entries (section);
CREATE TABLE trigram_counts (trigram TEXT PRIMARY KEY, texts INTEGER NOT NULL) WITHOUT ROWID;
CREATE VIRTUAL TABLE trigrams USING fts5(source, content='texts', content_rowid='id', tokenize='trigram', detail=none,
    columnsize=0);
"""


class MemoryIndex:
    """The index of one tenant's memory. One thread uses it at a time.

    `faults` has an error for each file of the store that the last `refresh` could not read. Every method raises StoreUnavailable
    if the disk does not take or give the index.
    """

    def __init__(self, store: Store, tenant: str, path: Path) -> None:
        self.tenant = tenant
        self.faults: list[StoreDamaged] = []
        self._store = store
        self._path = path
        self._named: set[str] = set()
        self._connection: sqlite3.Connection | None = None
        self._opened(lambda: self._table)

    def close(self) -> None:
        """Close the file. A later call opens it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def refresh(self) -> None:
        """Take in the files of the store that are new, and leave out what is gone or to be forgotten. Raises StoreUnavailable."""
        self._opened(self._refresh)

    @property
    def size(self) -> int:
        """How many entries the index has."""
        return self._opened(lambda: int(self._table.execute("SELECT COUNT(*) FROM entries").fetchone()[0]))

    @property
    def is_empty(self) -> bool:
        """Whether the index has no entry."""
        return self._opened(lambda: self._table.execute("SELECT 1 FROM entries LIMIT 1").fetchone() is None)

    def known(self, query: Query, segment: str) -> Entry | None:
        """Return the entry that answers a query for a segment: an editor's before a model's, the latest of several."""
        return self._opened(lambda: self._known(query, segment))

    def similar(self, query: Query, segment: str, threshold: float) -> tuple[Entry, float] | None:
        """Return the entry of the most similar source in these languages, and the similarity, from `threshold` to 1.

        The similarity is 1 minus the letters to insert, delete or exchange, over the letters of the longer text (Levenshtein).
        """
        return self._opened(lambda: self._similar(query, segment, threshold))

    def entries_of(self, source: str) -> list[Entry]:
        """Return all entries of a source, the latest first."""
        of_source = (
            "SELECT line FROM entries JOIN texts ON texts.id = text WHERE hash = ? ORDER BY at DESC, entries.id DESC"
        )
        return self._opened(
            lambda: [Entry.from_line(line) for (line,) in self._table.execute(of_source, (source_hash(source),))]
        )

    def latest(self) -> Iterator[Entry]:
        """Yield of the entries that answer the same question the one that counts, in the order in which they were read in."""
        wanted = (
            "SELECT line FROM entries one WHERE NOT EXISTS (SELECT 1 FROM entries other WHERE other.key = one.key "
            "AND (other.at > one.at OR (other.at = one.at AND other.id > one.id))) ORDER BY id"
        )
        for (line,) in self._opened(lambda: self._table.execute(wanted)):
            yield Entry.from_line(line)

    def pairs(self) -> list[tuple[str, str]]:
        """Return the pairs of languages that the index has entries of."""
        found = self._opened(lambda: self._table.execute("SELECT DISTINCT pair FROM entries").fetchall())
        return [(source, target) for (pair,) in sorted(found) for source, _, target in [pair.partition(">")]]

    # -- the file -----------------------------------------------------------------------------------------------------

    def _opened(self, work: Callable[[], Answer]) -> Answer:
        """Return what `work` returns. If the file turns out to be damaged, it is made anew, and `work` is done once more."""
        try:
            return work()
        except sqlite3.OperationalError as error:
            raise self._unavailable(error) from error
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            logger().warning("memory.index_rebuilt", path=str(self._path), error=str(error))
        try:
            self._make_anew()
            return work()
        except sqlite3.Error as error:
            raise self._unavailable(error) from error

    @property
    def _table(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connected()
        return self._connection

    def _connected(self) -> sqlite3.Connection:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unavailable(error) from error
        table = sqlite3.connect(self._path, isolation_level=None, timeout=BUSY_S)
        try:
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "cache_size=-65536", "secure_delete=ON"):
                table.execute(f"PRAGMA {pragma}")
            version = table.execute("PRAGMA user_version").fetchone()[0]
            if version != VERSION:
                self._make_tables(table, version)
        except BaseException:
            table.close()
            raise
        return table

    def _make_tables(self, table: sqlite3.Connection, version: int) -> None:
        """Make the tables, unless another process has made them meanwhile. Raises DatabaseError for another version."""
        table.execute("BEGIN IMMEDIATE")
        if (standing := table.execute("PRAGMA user_version").fetchone()[0]) == VERSION:
            table.execute("COMMIT")
            return
        if standing or table.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None:
            table.execute("ROLLBACK")
            raise sqlite3.DatabaseError(f"it has the form {version}, and not {VERSION}")
        for statement in _SCHEMA.split(";\n"):
            table.execute(statement)
        table.execute(f"PRAGMA user_version={VERSION}")
        table.execute("COMMIT")

    def _make_anew(self) -> None:
        """Delete the file and read everything in again. Processes that have the old file open go on with that."""
        self.close()
        for end in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + end).unlink(missing_ok=True)
        self._refresh()

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        reason = (getattr(error, "strerror", None) or str(error)).splitlines()[0]
        return StoreUnavailable(
            f"memory: cannot keep its index in {self._path}: {reason}. Check that disk, or set cache_dir."
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._table.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with suppress(sqlite3.Error):
                self._table.execute("ROLLBACK")
            raise
        self._table.execute("COMMIT")

    # -- reading in ---------------------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        for _ in range(TRIES):
            names = list_names(self._store, self.tenant)
            self._name_foreign(names)
            self.faults = []
            try:
                self._forget(names)
                self._take_in_new(names)
            except KeyError:  # files were merged since they were listed
                continue
            self._leave_out_gone(names)
            break
        for fault in self.faults:
            if str(fault) not in self._named:
                self._named.add(str(fault))
                logger().warning("memory.file_skipped", error=str(fault))

    def _name_foreign(self, names: Names) -> None:
        for name in names.foreign:
            if name not in self._named:
                self._named.add(name)
                logger().warning("store.foreign_file", path=f"{folder_of(self.tenant)}/{name}")

    def _has(self, table: str, name: str) -> bool:
        return self._table.execute(f"SELECT 1 FROM {table} WHERE name = ?", (name,)).fetchone() is not None  # noqa: S608 - only names of ours

    def _forget(self, names: Names) -> None:
        new = [name for name in names.forgotten if not self._has("forgotten", name)]
        for name in new:
            found, faults = readable_forgotten(self._store, self.tenant, [name])
            self.faults += faults
            if not found:
                continue
            with self._transaction():
                self._drop_covered(found[0])
                self._table.execute("INSERT OR IGNORE INTO forgotten VALUES (?)", (name,))

    def _drop_covered(self, forgotten: Forgotten) -> None:
        where, values = ("WHERE hash = ?", (forgotten.source,)) if forgotten.source else ("", ())
        found = self._table.execute(
            "SELECT entries.id, line FROM entries JOIN texts ON texts.id = text " + where,  # noqa: S608 - only names of ours
            values,
        )
        gone = [(number,) for number, line in found if forgotten.covers(Entry.from_line(line))]
        self._table.executemany("DELETE FROM entries WHERE id = ?", gone)
        self._drop_unused_texts()

    def _take_in_new(self, names: Names) -> None:
        new = [name for name in names.sections if not self._has("files", name)]
        forgotten = readable_forgotten(self._store, self.tenant, names.forgotten)[0] if new else []
        for name in new:
            self._take_in(name, forgotten)

    def _take_in(self, name: str, forgotten: list[Forgotten]) -> None:
        try:
            with self._transaction():
                if self._has("files", name):  # another process was faster
                    return
                last = self._table.execute("SELECT COALESCE(MAX(id), 0) FROM texts").fetchone()[0]
                for section in read_sections(self._store, self.tenant, name, lambda one: self._note(one, name)):
                    self._add(section, forgotten)
                self._index_texts(last)
                self._table.execute("INSERT INTO files VALUES (?)", (name,))
        except StoreDamaged as error:
            self.faults.append(error)

    def _note(self, section: str, file: str) -> bool:
        """Note that a section lies in a file. Returns whether the section is new."""
        is_new = self._table.execute("INSERT OR IGNORE INTO sections (name) VALUES (?)", (section,)).rowcount > 0
        of_section = "INSERT OR IGNORE INTO file_sections SELECT ?, id FROM sections WHERE name = ?"
        self._table.execute(of_section, (file, section))
        return is_new

    def _add(self, section: Section, forgotten: list[Forgotten]) -> None:
        (number,) = self._table.execute("SELECT id FROM sections WHERE name = ?", (section.name,)).fetchone()
        for entry, line in section.entries:
            if any(one.covers(entry) for one in forgotten):
                continue
            digest = source_hash(entry.source)
            self._table.execute("INSERT OR IGNORE INTO texts (hash, source) VALUES (?, ?)", (digest, entry.source))
            row = (number, entry.key, digest, entry.query.pair, entry.origin == "editor", entry.microseconds, line)
            self._table.execute(
                "INSERT INTO entries (section, key, text, pair, editor, at, line) "
                "VALUES (?1, ?2, (SELECT id FROM texts WHERE hash = ?3), ?4, ?5, ?6, ?7)",
                row,
            )

    def _index_texts(self, last: int) -> None:
        """Take the trigrams of all texts after the text `last` into the index."""
        new = "FROM texts WHERE id > ?"
        self._table.execute(f"INSERT INTO trigrams (rowid, source) SELECT id, source {new}", (last,))
        counts = counted(source for (source,) in self._table.execute("SELECT source " + new, (last,)))
        self._count(counts)

    def _count(self, counts: Mapping[str, int]) -> None:
        self._table.executemany(
            "INSERT INTO trigram_counts VALUES (?, ?) ON CONFLICT DO UPDATE SET texts = texts + excluded.texts",
            counts.items(),
        )

    def _leave_out_gone(self, names: Names) -> None:
        """Leave out the sections that no file of the store has any more, such as those of a memory that was deleted."""
        there = set(names.sections)
        gone = [name for (name,) in self._table.execute("SELECT name FROM files") if name not in there]
        if not gone:
            return
        with self._transaction():
            for name in gone:
                self._table.execute("DELETE FROM files WHERE name = ?", (name,))
                self._table.execute("DELETE FROM file_sections WHERE file = ?", (name,))
            without = "SELECT id FROM sections WHERE id NOT IN (SELECT section FROM file_sections)"
            self._table.execute(f"DELETE FROM entries WHERE section IN ({without})")  # noqa: S608 - only names of ours
            self._table.execute(f"DELETE FROM sections WHERE id IN ({without})")  # noqa: S608 - only names of ours
            self._drop_unused_texts()

    def _drop_unused_texts(self) -> None:
        unused = "FROM texts WHERE NOT EXISTS (SELECT 1 FROM entries WHERE text = texts.id)"
        counts = counted(source for (source,) in self._table.execute("SELECT source " + unused))
        into = "INSERT INTO trigrams (trigrams, rowid, source)"
        self._table.execute(f"{into} SELECT 'delete', id, source {unused}")
        self._table.execute(f"DELETE {unused}")
        self._count({trigram: -count for trigram, count in counts.items()})

    # -- looking up ---------------------------------------------------------------------------------------------------

    def _known(self, query: Query, segment: str) -> Entry | None:
        for key in (*query.editor_keys(segment), query.model_key(segment)):
            latest = "SELECT line FROM entries WHERE key = ? ORDER BY at DESC, id DESC LIMIT 1"
            if (found := self._table.execute(latest, (key,)).fetchone()) is not None:
                return Entry.from_line(found[0])
        return None

    def _similar(self, query: Query, segment: str, threshold: float) -> tuple[Entry, float] | None:
        best = "SELECT line FROM entries WHERE text = ? AND pair = ? ORDER BY editor DESC, at DESC, id DESC LIMIT 1"
        for text, similarity in Trigrams(self._table).nearest(segment, threshold):
            if (found := self._table.execute(best, (text, query.pair)).fetchone()) is not None:
                return Entry.from_line(found[0]), similarity
        return None

"""The memory of one tenant, as people use it: import, export, look up, forget."""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from jobs.batches.rounds import now
from jobs.errors import RequestError, StoreDamaged
from jobs.exchange.tmx import write_tmx
from jobs.memory.entry import Entry, Query, source_hash
from jobs.memory.files import Forgotten, forget, import_name, list_names, readable_forgotten, write_lines
from jobs.memory.index import MemoryIndex
from jobs.memory.merging import merge_files
from jobs.memory.opening import open_index
from jobs.operations.memory.editors_entries import ReadAs, as_unit, editors_entries, language_tag
from jobs.store.destinations import replace_file
from jobs.store.store import Store

REWRITES: Final = 3
"""A memory is written anew at most this many times while others add to it."""


@dataclass(frozen=True, slots=True)
class Found:
    """An entry that was found for a text, and how similar its source is: 1 for the same text."""

    entry: Entry
    similarity: float


@dataclass
class TenantMemory:
    """The memory of a tenant in a store. `faults` has an error for each file that the last call could not read."""

    store: Store
    tenant: str
    cache_dir: Path
    clock: Callable[[], datetime] = now

    def __post_init__(self) -> None:
        self.faults: Sequence[StoreDamaged] = ()
        self._forgotten: Sequence[Forgotten] = ()

    def take_in(self, path: Path, source_language: str | None = None, target_language: str | None = None) -> int:
        """Write what editors wrote into the memory: a TMX file, or a translated document. Returns the number of entries.

        An entry that was forgotten is there again, as of now. Its old time would keep it forgotten.
        Raises RequestError if the file cannot be read, or has no entry; StoreUnavailable.
        """
        languages = (
            language_tag("--source-language", source_language),
            language_tag("--target-language", target_language),
        )
        names = list_names(self.store, self.tenant).forgotten
        self._forgotten, self.faults = readable_forgotten(self.store, self.tenant, names)
        digest, count = hashlib.sha256(), 0
        with _opened(path) as file, tempfile.TemporaryFile(prefix="nightpress-") as spool:
            for entry in editors_entries(file, path.name, ReadAs(self.clock(), *languages)):
                line = (replace(entry, at=self.clock()) if self._is_forgotten(entry) else entry).to_line()
                digest.update(line)
                spool.write(line)
                count += 1
            if not count:
                raise RequestError(f"{path}: it has no segment with a translation in these languages")
            spool.seek(0)
            write_lines(self.store, self.tenant, import_name(digest.hexdigest()), spool)
        merge_files(self.store, self.tenant)
        return count

    def _is_forgotten(self, entry: Entry) -> bool:
        return any(one.covers(entry) for one in self._forgotten)

    def export(self, path: Path) -> int:
        """Write the memory as TMX: of each question its latest answer. Returns the number of units. Raises OSError."""
        with self._index() as index, replace_file(path) as target:
            return write_tmx(target, map(as_unit, index.latest()) if index is not None else ())

    def find(self, text: str, threshold: float = 0.5) -> list[Found]:
        """Return all entries of a text, and for each pair of languages the most similar other one."""
        with self._index() as index:
            if index is None:
                return []
            same = [Found(entry, 1.0) for entry in index.entries_of(text)]
            others = []
            for source, target in index.pairs():
                similar = index.similar(Query((text,), source, target), text, threshold)
                if similar is not None and similar[0].source != text:
                    others.append(Found(*similar))
            return [*same, *sorted(others, key=lambda one: -one.similarity)]

    def forget(self, text: str | None, target_language: str | None = None) -> int:
        """Forget the entries of a text, or all if it is None. Returns how many the memory had.

        The files are written anew without them; a file that cannot be read stays as it is, and is in `faults`.
        """
        language = language_tag("--target-language", target_language) or ""
        with self._index() as index:
            before = 0 if index is None else index.size
            if not list_names(self.store, self.tenant).sections:
                return 0
            forget(self.store, self.tenant, Forgotten(self.clock(), source_hash(text) if text else "", language))
            for _ in range(REWRITES):
                if not merge_files(self.store, self.tenant, all_files=True):
                    break
                if len(list_names(self.store, self.tenant).sections) == 1:
                    break
            if index is None:
                return before
            index.refresh()
            self.faults = index.faults
            return before - index.size

    @contextmanager
    def _index(self) -> Iterator[MemoryIndex | None]:
        index = open_index(self.store, self.tenant, self.cache_dir)
        if index is None:
            yield None
            return
        try:
            self.faults = index.faults
            yield index
        finally:
            index.close()


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}") from None
    with file:
        yield file

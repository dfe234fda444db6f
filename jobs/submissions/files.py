"""Files that a client uploaded, and whose batches may need them.

The content is written first, then the record: a file without a record was not accepted, and its content is left over. A file that
is deleted is hidden at once; its content is deleted once no submission waits for it.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, Final

from jobs.batches.rounds import now
from jobs.errors import NoBatch, RequestError
from jobs.store.fan_out import each
from jobs.store.store import Store
from jobs.submissions.places import FILE, TenantPaths, timed_id
from jobs.submissions.records import FileRecord, read, to_bytes

PIECE_BYTES: Final = 1 << 20
"""A file is copied this many bytes at a time."""


class NoFile(NoBatch):
    """The tenant has no file, upload or submission of this id."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a listing, the newest first. `has_more` tells whether there are older ones."""

    files: Sequence[FileRecord]
    has_more: bool


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one tenant. Safe to share between threads."""

    store: Store
    tenant: str
    clock: Callable[[], datetime] = now

    def keep(self, pieces: Iterable[bytes], filename: str, *, expires: timedelta | None = None) -> FileRecord:
        """Write a new file from its pieces. Raises RequestError if it is empty, and whatever `pieces` raises: nothing is kept."""
        at = self.clock()
        file_id = timed_id("file-", at)
        digest, size = hashlib.sha256(), 0
        with self.store.writer(self._paths.content(file_id)) as target:
            for piece in pieces:
                digest.update(piece)
                size += len(piece)
                target.write(piece)
            if not size:
                raise RequestError("the file is empty: give it a line for each request")
        record = FileRecord(
            id=file_id,
            filename=filename,
            bytes=size,
            sha256=digest.hexdigest(),
            created_at=at,
            expires_at=None if expires is None else at + expires,
        )
        self.store.create(self._paths.file(file_id), to_bytes(record))
        return record

    def get(self, file_id: str) -> FileRecord:
        """Return the record of a file. Raises NoFile if there is none, or if it was deleted or has expired."""
        found = self.find(file_id)
        if found is None or self.is_hidden(file_id) or self._has_expired(found):
            raise no_file(file_id)
        return found

    def find(self, file_id: str) -> FileRecord | None:
        """Return the record of a file, even if it was hidden; None if there is none."""
        return read(self.store, self._paths.file(file_id), FileRecord) if FILE.fullmatch(file_id) else None

    def open(self, file_id: str) -> AbstractContextManager[BinaryIO]:
        """Open the content of a file. Raises KeyError if it is gone."""
        return self.store.reader(self._paths.content(file_id))

    def pieces(self, file_id: str, offset: int = 0) -> Iterator[bytes]:
        """Yield the content of a file from a byte on. Raises KeyError if it is gone."""
        with self.open(file_id) as source:
            source.seek(offset)
            while piece := source.read(PIECE_BYTES):
                yield piece

    def newest(self, limit: int, after: str | None = None, *, oldest_first: bool = False) -> Page:
        """Return a page of the files: those after the file `after` in this order."""
        hidden = set(self.store.list(self._paths.hidden))
        ids = [name.removesuffix(".json") for name in self.store.list(self._paths.files)]
        ids = sorted((one for one in ids if one not in hidden and FILE.fullmatch(one)), reverse=oldest_first)
        if after is not None:
            ids = [one for one in ids if (one < after if oldest_first else one > after)]
        found: list[FileRecord] = []
        for start in range(0, len(ids), limit + 1):
            some = each(self.find, ids[start : start + limit + 1], self.store.reads_at_once)
            found += [one for one in some if one is not None and not self._has_expired(one)]
            if len(found) > limit:
                break
        return Page(found[:limit], len(found) > limit)

    def hide(self, file_id: str) -> None:
        """Delete a file for its tenant. Its content stays until no submission waits for it."""
        self.store.create(self._paths.tombstone(file_id), b"")

    def is_hidden(self, file_id: str) -> bool:
        """Whether the tenant deleted the file of this id."""
        return self.store.exists(self._paths.tombstone(file_id))

    def forget(self, needed: frozenset[str]) -> int:
        """Delete the contents of files that are hidden or have expired, but for those that are `needed`. Returns how many."""
        hidden = {name for name in self.store.list(self._paths.hidden) if FILE.fullmatch(name)}
        records = [name.removesuffix(".json") for name in self.store.list(self._paths.files)]
        gone = [one for one in records if one not in needed and (one in hidden or self._is_past(one))]
        for file_id in gone:
            if self.store.discard(self._paths.content(file_id)):
                self.store.discard(self._paths.file(file_id))
        return len(gone)

    def _is_past(self, file_id: str) -> bool:
        found = self.find(file_id)
        return found is not None and self._has_expired(found)

    def _has_expired(self, record: FileRecord) -> bool:
        return record.expires_at is not None and record.expires_at <= self.clock()

    @property
    def _paths(self) -> TenantPaths:
        return TenantPaths(self.tenant)


def no_file(file_id: str) -> NoFile:
    """Make the error for a file that was never there, was deleted, or is another tenant's."""
    return NoFile(f"no file {file_id[:80]}: GET /v1/files lists your files")

"""Uploads in parts: a large file comes piece by piece, and an upload that broke off goes on.

A part is written as a file of its own. When the client names the parts in their order, they are put together into one file, whose
id follows from the upload, so that a completion that was killed may be made again.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from jobs.batches.batch import Count, Moment, StoredRecord
from jobs.batches.rounds import now
from jobs.errors import ConflictError, RequestError
from jobs.store.store import Store
from jobs.submissions.files import PIECE_BYTES, NoFile
from jobs.submissions.places import PART, UPLOAD, TenantPaths, newest_first, timed_id
from jobs.submissions.records import FileRecord, read, to_bytes

LIFETIME: Final = timedelta(hours=1)
"""An upload expires after this long, as in OpenAI's API."""

Ending = Literal["completed", "cancelled"]


class Upload(StoredRecord):
    """An upload as the client began it. `bytes` is how many its parts will have in sum."""

    id: str
    filename: str
    bytes: Count
    purpose: str = "batch"
    created_at: Moment
    file_expires_s: int | None = None

    @property
    def expires_at(self) -> datetime:
        """After this time no part is taken."""
        return self.created_at + LIFETIME


class Part(StoredRecord):
    """A part whose bytes are whole."""

    id: str
    upload_id: str
    bytes: Count
    created_at: Moment


class Ended(StoredRecord):
    """How an upload ended: `parts` in their order, and the id of the file that they became."""

    status: Ending
    parts: tuple[str, ...] = ()
    file_id: str | None = None
    at: Moment


@dataclass(frozen=True, slots=True)
class Uploads:
    """The uploads of one tenant."""

    store: Store
    tenant: str
    clock: Callable[[], datetime] = now

    def begin(self, filename: str, size: int, file_expires_s: int | None = None) -> Upload:
        """Begin an upload of a file of `size` bytes."""
        at = self.clock()
        upload = Upload(
            id=timed_id("upload_", at), filename=filename, bytes=size, created_at=at, file_expires_s=file_expires_s
        )
        self.store.create(self._paths.upload(upload.id), to_bytes(upload))
        return upload

    def get(self, upload_id: str) -> Upload:
        """Return an upload. Raises NoFile if there is none."""
        path = self._paths.upload(upload_id)
        found = read(self.store, path, Upload) if UPLOAD.fullmatch(upload_id) else None
        if found is None:
            raise NoFile(f"no upload {upload_id[:80]}: POST /v1/uploads begins one")
        return found

    def ended(self, upload: Upload) -> Ended | None:
        """Return how an upload ended; None if it has not."""
        return read(self.store, self._paths.upload(upload.id, "ended.json"), Ended)

    def status(self, upload: Upload) -> str:
        """Return the status of an upload in OpenAI's words."""
        ended = self.ended(upload)
        if ended is not None:
            return ended.status
        return "expired" if self.clock() >= upload.expires_at else "pending"

    def add(self, upload: Upload, pieces: Iterator[bytes]) -> Part:
        """Keep a part. Raises ConflictError if the upload takes no more, RequestError if the part is empty."""
        self._require_pending(upload)
        at = self.clock()
        part_id, size = timed_id("part_", at), 0
        with self.store.writer(self._paths.upload(upload.id, f"{part_id}.bytes")) as target:
            for piece in pieces:
                size += len(piece)
                target.write(piece)
            if not size:
                raise RequestError("the part is empty: give it at least one byte")
        part = Part(id=part_id, upload_id=upload.id, bytes=size, created_at=at)
        self.store.create(self._paths.upload(upload.id, f"{part_id}.json"), to_bytes(part))
        return part

    def complete(self, upload: Upload, part_ids: Sequence[str], md5: str | None = None) -> FileRecord:
        """Put the parts together, in this order, and return the file. The same call again returns the same file.

        Raises RequestError if a part is missing, or if size or `md5` (in hex) are not those that were announced, and
        ConflictError if the upload ended in another way.
        """
        standing = self.ended(upload)
        if standing is not None and (standing.status != "completed" or standing.parts != tuple(part_ids)):
            raise ConflictError(f"the upload is {standing.status} already: begin another")
        if standing is None:
            self._require_pending(upload)
        file_id = f"file-{newest_first(upload.created_at)}{upload.id[-21:]}"
        known = read(self.store, self._paths.file(file_id), FileRecord)
        if known is not None and standing is not None:
            return known
        record = self._put_together(upload, file_id, self._parts(upload, part_ids), md5)
        ended = Ended(status="completed", parts=tuple(part_ids), file_id=file_id, at=self.clock())
        if not self.store.create(self._paths.upload(upload.id, "ended.json"), to_bytes(ended)):
            standing = self.ended(upload)
            if standing is None or standing.parts != tuple(part_ids):
                raise ConflictError("the upload was ended by another request: begin another")
        self.store.create(self._paths.file(file_id), to_bytes(record))
        self._discard_parts(upload)
        return read(self.store, self._paths.file(file_id), FileRecord) or record

    def cancel(self, upload: Upload) -> None:
        """End an upload without a file. Raises ConflictError if it is completed."""
        ended = Ended(status="cancelled", at=self.clock())
        self.store.create(self._paths.upload(upload.id, "ended.json"), to_bytes(ended))
        standing = self.ended(upload)
        if standing is not None and standing.status == "completed":
            raise ConflictError("the upload is completed: delete its file instead")
        self._discard_parts(upload)

    def forget(self) -> int:
        """Delete the parts of uploads that expired. Returns how many uploads."""
        count = 0
        for upload_id in self.store.list(self._paths.uploads):
            upload = read(self.store, self._paths.upload(upload_id), Upload)
            if upload is not None and self.clock() >= upload.expires_at + LIFETIME:
                self.store.discard(f"{self._paths.uploads}/{upload_id}")
                count += 1
        return count

    def _require_pending(self, upload: Upload) -> None:
        status = self.status(upload)
        if status != "pending":
            raise ConflictError(f"the upload is {status}: begin another")

    def _parts(self, upload: Upload, part_ids: Sequence[str]) -> list[Part]:
        if not part_ids:
            raise RequestError("part_ids: the list is empty: name the parts in their order")
        found = []
        for part_id in part_ids:
            path = self._paths.upload(upload.id, f"{part_id}.json")
            part = read(self.store, path, Part) if PART.fullmatch(part_id) else None
            if part is None:
                raise RequestError(f"part_ids: the upload has no part {part_id[:80]}")
            found.append(part)
        if (size := sum(part.bytes for part in found)) != upload.bytes:
            raise RequestError(
                f"the parts have {size:,} bytes, and the upload was begun for {upload.bytes:,}: correct one"
            )
        return found

    def _put_together(self, upload: Upload, file_id: str, parts: Sequence[Part], md5: str | None) -> FileRecord:
        digest, check = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        with self.store.writer(self._paths.content(file_id)) as target:
            for part in parts:
                with self.store.reader(self._paths.upload(upload.id, f"{part.id}.bytes")) as source:
                    while piece := source.read(PIECE_BYTES):
                        digest.update(piece)
                        check.update(piece)
                        target.write(piece)
            if md5 is not None and check.hexdigest() != md5.lower():
                raise RequestError(f"md5: the file's is {check.hexdigest()}: a part came damaged, or in another order")
        lives = upload.file_expires_s
        return FileRecord(
            id=file_id,
            filename=upload.filename,
            bytes=upload.bytes,
            sha256=digest.hexdigest(),
            created_at=upload.created_at,
            expires_at=None if lives is None else upload.created_at + timedelta(seconds=lives),
        )

    def _discard_parts(self, upload: Upload) -> None:
        names = [one for one in self.store.list(f"{self._paths.uploads}/{upload.id}") if one.startswith("part_")]
        self.store.discard(*(self._paths.upload(upload.id, name) for name in names))

    @property
    def _paths(self) -> TenantPaths:
        return TenantPaths(self.tenant)

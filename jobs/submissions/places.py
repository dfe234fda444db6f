"""The ids that clients see, and the paths at which the store keeps what they sent.

The id of a file begins with its time, counted backwards, so that a sorted listing has the newest first. The id of a submission is
made before its file is read; it follows from the tenant and the idempotency key, so the same key is the same submission.
"""

import hashlib
import re
import secrets
from datetime import datetime
from typing import Final

FILE: Final = re.compile(r"file-[0-9a-f]{32}")
UPLOAD: Final = re.compile(r"upload_[0-9a-f]{32}")
PART: Final = re.compile(r"part_[0-9a-f]{32}")
SUBMISSION: Final = re.compile(r"batch_[0-9a-f]{32}")

PENDING: Final = "submissions/pending"
WATCHED: Final = "submissions/watched"
CLAIMS: Final = "submissions/claims"
KEYS: Final = "submissions/keys"
REVOKED: Final = "submissions/revoked"

_END_OF_TIME: Final = 1 << 44
"""Milliseconds from 1970 to the year 2527. A time counted backwards from here has 11 hex digits."""


def newest_first(at: datetime) -> str:
    """Return 11 hex digits that are the smaller the later `at` is."""
    return f"{_END_OF_TIME - int(at.timestamp() * 1000):011x}"


def timed_id(prefix: str, at: datetime) -> str:
    """Return a new random id, such as `file-…`, that sorts before those of earlier times."""
    return f"{prefix}{newest_first(at)}{secrets.token_hex(11)[:21]}"


def submission_id(tenant: str, key: str) -> str:
    """Return the id of the submission that a tenant made under an idempotency key, or under a random text in its place."""
    return "batch_" + hashlib.sha256(f"{tenant}\0{key}".encode()).hexdigest()[:32]


def tenant_folder(tenant: str) -> str:
    """Return the folder of all that a tenant sent."""
    return f"submissions/tenant-{tenant}"


class TenantPaths:
    """The paths of one tenant's files and submissions."""

    def __init__(self, tenant: str) -> None:
        self.root = tenant_folder(tenant)
        self.files = f"{self.root}/files"
        self.hidden = f"{self.root}/hidden"
        self.uploads = f"{self.root}/uploads"
        self.times = f"{self.root}/times"

    def file(self, file_id: str) -> str:
        """The record of a file that is whole."""
        return f"{self.files}/{file_id}.json"

    def content(self, file_id: str) -> str:
        """The bytes of a file."""
        return f"{self.root}/contents/{file_id}"

    def tombstone(self, file_id: str) -> str:
        """An empty file: the client deleted the file of this id."""
        return f"{self.hidden}/{file_id}"

    def upload(self, upload_id: str, name: str = "upload.json") -> str:
        """A file of an upload: its record, a part, or how it ended."""
        return f"{self.uploads}/{upload_id}/{name}"

    def submission(self, submission_id: str) -> str:
        """The submission itself."""
        return f"{self.root}/batches/{submission_id}.json"

    def time(self, submission_id: str, at: datetime) -> str:
        """A note of the time of a submission. It counts only if the submission names the same time."""
        return f"{self.times}/{newest_first(at)}-{submission_id}"

    def decided(self, submission_id: str) -> str:
        """What came of a submission."""
        return f"{self.root}/decided/{submission_id}.json"

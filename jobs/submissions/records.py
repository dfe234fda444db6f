"""The records of submissions, as the store keeps them: files, submissions and decisions. Each is created once."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

import orjson
from pydantic import Field, ValidationError

from jobs.batches.batch import FORMAT, Count, Moment, Rows, Sha256, StoredRecord, Tenant
from jobs.prices import Money
from jobs.store.damage import check_format, damaged_file
from jobs.store.store import Store

Record = TypeVar("Record", bound=StoredRecord)


class FileRecord(StoredRecord):
    """A file that a client uploaded. `expires_at` is when its content is deleted; None: when the client deletes it."""

    id: str
    filename: str
    bytes: Count
    sha256: Sha256
    purpose: str = "batch"
    created_at: Moment
    expires_at: Moment | None = None


class Submission(StoredRecord):
    """A batch as a client submitted it, before its file is read.

    `window` is the completion window as it was typed, and `window_s` its seconds. `kind` and `fields` are for files of our own
    rows: the kind of rows that name none, and fields for rows that lack them. With `strict`, a line that is no request to
    `endpoint` refuses the whole file; otherwise it is a failed row. `request_sha256` is the hash of the whole request, by which a
    second request with the same idempotency key is compared. `by` is the id of the key that submitted it, and `rows_a_day` the
    most rows that are admitted for that key in a day (UTC).
    """

    id: str
    tenant: Tenant
    by: str
    input_file_id: str
    endpoint: str
    window: str
    window_s: Annotated[int, Field(ge=1)]
    metadata: Mapping[str, str] = {}
    output_expires_s: int | None = None
    kind: str | None = None
    model: str | None = None
    fields: Mapping[str, Any] = {}
    priority: Annotated[int, Field(ge=0, le=9)] = 4
    publish_at: str | None = None
    strict: bool = True
    budget: Money | None = None
    rows_a_day: int | None = None
    request_sha256: Sha256
    created_at: Moment

    @property
    def deadline(self) -> datetime:
        """When rows without an outcome expire."""
        return self.created_at + timedelta(seconds=self.window_s)


class LineFault(StoredRecord):
    """One thing that is wrong with a submitted file: a code, a sentence, the line from 1, and the field at fault, if any."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


class Decision(StoredRecord):
    """What came of a submission: the batch `batch_id`, or the faults for which its file was refused, or it was cancelled."""

    outcome: Literal["admitted", "refused", "cancelled"]
    batch_id: str | None = None
    rows: Rows = 0
    refused: Rows = 0
    faults: tuple[LineFault, ...] = ()
    at: Moment


def read(store: Store, path: str, record: type[Record]) -> Record | None:
    """Read a record; None if there is none at this path. Raises StoreDamaged if it cannot be read."""
    try:
        data = store.read(path)
    except KeyError:
        return None
    return parsed(store, path, data, record)


def parsed(store: Store, path: str, data: bytes, record: type[Record]) -> Record:
    """Return a record from its bytes. Raises StoreDamaged, which names the field, or StoreTooNew."""
    try:
        check_format(orjson.loads(data), FORMAT, f"storage {store.redacted_url}: {path}")
        return record.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise damaged_file(store, path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except ValueError as error:
        raise damaged_file(store, path) from error


def to_bytes(record: StoredRecord) -> bytes:
    """Return a record as it is stored: one line of JSON."""
    return record.model_dump_json().encode() + b"\n"

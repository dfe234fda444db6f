"""The forms of answers, for the OpenAPI description. They are those of OpenAI's API; `nightpress` is ours.

Answers are made as plain objects, in which fields that are not set are left out.
"""

from typing import Any, Literal

from pydantic import BaseModel


class File(BaseModel):
    """A file that was uploaded, or that a batch made."""

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    expires_at: int = 0
    filename: str
    purpose: Literal["batch", "batch_output"]
    status: Literal["processed"]


class FileList(BaseModel):
    """A page of files."""

    object: Literal["list"]
    data: list[File]
    first_id: str
    last_id: str
    has_more: bool


class Deleted(BaseModel):
    """What was deleted."""

    id: str
    object: str
    deleted: Literal[True]


class Upload(BaseModel):
    """An upload in parts. `file` is there once it is completed."""

    id: str
    object: Literal["upload"]
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: Literal["pending", "completed", "cancelled", "expired"]
    file: File | None = None


class Part(BaseModel):
    """A part of an upload."""

    id: str
    object: Literal["upload.part"]
    created_at: int
    upload_id: str


class Counts(BaseModel):
    """How many rows there are, and how many have ended. Before the file was read, all are 0."""

    total: int
    completed: int
    failed: int


class LineError(BaseModel):
    """A fault of a line of the input file."""

    code: str
    message: str
    line: int = 0
    param: str = ""


class Errors(BaseModel):
    """Why a batch failed as a whole."""

    object: Literal["list"]
    data: list[LineError]


class Batch(BaseModel):
    """A batch. Fields that are not set are left out."""

    id: str
    object: Literal["batch"]
    endpoint: str
    input_file_id: str
    completion_window: str
    status: Literal[
        "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"
    ]
    created_at: int
    expires_at: int
    request_counts: Counts
    metadata: dict[str, str] = {}
    model: str = ""
    output_file_id: str = ""
    error_file_id: str = ""
    errors: Errors | None = None
    in_progress_at: int = 0
    finalizing_at: int = 0
    completed_at: int = 0
    failed_at: int = 0
    expired_at: int = 0
    cancelling_at: int = 0
    cancelled_at: int = 0
    usage: dict[str, Any] = {}
    nightpress: dict[str, Any] = {}


class BatchList(BaseModel):
    """A page of batches."""

    object: Literal["list"]
    data: list[Batch]
    first_id: str
    last_id: str
    has_more: bool

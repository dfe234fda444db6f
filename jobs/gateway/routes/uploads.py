"""/v1/uploads: files that come in parts."""

from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from jobs.gateway import schemas
from jobs.gateway.access import AtDesk, Submitter
from jobs.gateway.batch_objects import seconds
from jobs.gateway.description import form_of
from jobs.gateway.desk import Desk
from jobs.gateway.errors import ApiError
from jobs.gateway.routes.files import LEAST_EXPIRY_S, MOST_EXPIRY_S, file_name, file_object, pieces_of
from jobs.submissions.keys import Key
from jobs.submissions.uploads import Part, Upload, Uploads

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])


class Expiry(BaseModel):
    """When the file expires: so many seconds after the upload was begun."""

    model_config = ConfigDict(extra="forbid")

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=LEAST_EXPIRY_S, le=MOST_EXPIRY_S)]


class UploadRequest(BaseModel):
    """The body of a new upload."""

    model_config = ConfigDict(extra="forbid")

    filename: Annotated[str, StringConstraints(min_length=1, max_length=1_024)]
    purpose: Literal["batch"]
    bytes: Annotated[int, Field(ge=1, le=1 << 62)]
    mime_type: Annotated[str, StringConstraints(max_length=200)]
    expires_after: Expiry | None = None


PartId = Annotated[str, StringConstraints(pattern=r"^part_[0-9a-f]{32}$")]


class CompleteRequest(BaseModel):
    """The body that completes an upload: the parts in their order."""

    model_config = ConfigDict(extra="forbid")

    part_ids: Annotated[
        list[Annotated[str, StringConstraints(pattern=r"^part_[0-9a-f]{32}$")]], Field(min_length=1, max_length=10_000)
    ]
    md5: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{32}$")] | None = None


@router.post("", summary="Begin an upload in parts", responses={200: {"model": schemas.Upload}})
def begin(body: UploadRequest, desk: AtDesk, key: Submitter) -> dict[str, Any]:
    """Begin an upload. Its parts have at most 64 MB each, and come within an hour."""
    most = min(desk.settings.gateway.file_bytes, key.quotas.file_bytes or desk.settings.gateway.file_bytes)
    if body.bytes > most:
        raise ApiError(413, f"a file may have {most:,} bytes at most", "request_too_large", "bytes")
    expires = body.expires_after.seconds if body.expires_after else None
    upload = _uploads(desk, key).begin(file_name(body.filename), body.bytes, expires)
    return _object(upload, "pending")


@router.post(
    "/{upload_id}/parts", summary="Add a part", openapi_extra=form_of("data"), responses={200: {"model": schemas.Part}}
)
async def add(upload_id: str, request: Request, desk: AtDesk, key: Submitter) -> dict[str, Any]:
    """Keep a part. The body is multipart/form-data with `data`. Parts may come at once, and in any order."""
    uploads = _uploads(desk, key)
    upload = await run_in_threadpool(uploads.get, upload_id)
    async with request.form(max_files=1, max_fields=4, max_part_size=4_096) as form:
        data = form.get("data")
        if not isinstance(data, UploadFile):
            raise ApiError(400, "the form has no part: add the field `data`", "invalid_request", "data")
        return _part(await to_thread.run_sync(uploads.add, upload, pieces_of(data), limiter=desk.writers))


@router.post("/{upload_id}/complete", summary="Complete an upload", responses={200: {"model": schemas.Upload}})
def complete(upload_id: str, body: CompleteRequest, desk: AtDesk, key: Submitter) -> dict[str, Any]:
    """Put the parts together into a file that batches can be made of."""
    uploads = _uploads(desk, key)
    upload = uploads.get(upload_id)
    record = uploads.complete(upload, body.part_ids, body.md5)
    return {**_object(upload, "completed"), "file": file_object(record)}


@router.post("/{upload_id}/cancel", summary="Cancel an upload", responses={200: {"model": schemas.Upload}})
def cancel(upload_id: str, desk: AtDesk, key: Submitter) -> dict[str, Any]:
    """End an upload, and delete its parts."""
    uploads = _uploads(desk, key)
    upload = uploads.get(upload_id)
    uploads.cancel(upload)
    return _object(upload, "cancelled")


def _uploads(desk: Desk, key: Key) -> Uploads:
    return Uploads(desk.store, key.tenant, desk.clock)


def _object(upload: Upload, status: str) -> dict[str, Any]:
    return {
        "id": upload.id,
        "object": "upload",
        "bytes": upload.bytes,
        "created_at": seconds(upload.created_at),
        "filename": upload.filename,
        "purpose": upload.purpose,
        "status": status,
        "expires_at": seconds(upload.expires_at),
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "id": part.id,
        "object": "upload.part",
        "created_at": seconds(part.created_at),
        "upload_id": part.upload_id,
    }

"""/v1/files: upload, list, look at, download and delete files."""

import re
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Final, Literal

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from starlette.datastructures import FormData, UploadFile

from jobs.gateway import schemas
from jobs.gateway.access import AtDesk, Reader, Submitter
from jobs.gateway.batch_objects import seconds
from jobs.gateway.description import form_of, stream_of
from jobs.gateway.desk import Desk
from jobs.gateway.errors import ApiError
from jobs.gateway.outputs import Outputs, is_output
from jobs.submissions.files import PIECE_BYTES
from jobs.submissions.keys import Key
from jobs.submissions.records import FileRecord

router = APIRouter(prefix="/v1/files", tags=["files"])

LONGEST_NAME: Final = 255
LEAST_EXPIRY_S: Final = 3_600
MOST_EXPIRY_S: Final = 2_592_000
"""A file may be kept for an hour to thirty days, as in OpenAI's API; without a choice it is kept until it is deleted."""

_RANGE: Final = re.compile(r"bytes=(\d{1,18})-(\d{0,18})")


def outputs_of(desk: Desk, key: Key) -> Outputs:
    """Return the output files of a key's tenant."""
    return Outputs(desk.store, desk.journal, desk.files(key.tenant), desk.clock)


def file_object(record: FileRecord) -> dict[str, Any]:
    """Return the object `file` of OpenAI's API."""
    return {
        "id": record.id,
        "object": "file",
        "bytes": record.bytes,
        "created_at": seconds(record.created_at),
        "filename": record.filename,
        "purpose": record.purpose,
        "status": "processed",
        **({} if record.expires_at is None else {"expires_at": seconds(record.expires_at)}),
    }


@router.post(
    "",
    summary="Upload a file of requests",
    openapi_extra=form_of("file", "purpose"),
    responses={200: {"model": schemas.File}},
)
async def upload(request: Request, desk: AtDesk, key: Submitter) -> dict[str, Any]:
    """Keep a file that batches can be made of. The body is multipart/form-data with `purpose` and `file`."""
    async with request.form(max_files=1, max_fields=8, max_part_size=4_096) as form:
        name, expires = _checked(form)
        file = form["file"]
        assert isinstance(file, UploadFile)  # noqa: S101 - `_checked` has seen it
        most = key.quotas.file_bytes
        if most is not None and (file.size or 0) > most:
            raise ApiError(413, f"the key may upload files of {most:,} bytes at most", "request_too_large", "file")
        keep = partial(desk.files(key.tenant).keep, pieces_of(file), name, expires=expires)
        return file_object(await to_thread.run_sync(keep, limiter=desk.writers))


@router.get("", summary="List files", responses={200: {"model": schemas.FileList}})
def files(
    desk: AtDesk,
    key: Reader,
    purpose: str | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
) -> dict[str, Any]:
    """List the files that were uploaded, the newest first; with `purpose=batch_output` those that batches made."""
    if purpose == "batch_output":
        return listed(*_outputs_page(desk, key, limit, after))
    if purpose not in (None, "batch"):
        return listed([], has_more=False)
    page = desk.files(key.tenant).newest(limit, after, oldest_first=order == "asc")
    return listed([file_object(one) for one in page.files], has_more=page.has_more)


@router.get("/{file_id}", summary="Look at a file", responses={200: {"model": schemas.File}})
def file(file_id: str, desk: AtDesk, key: Reader) -> dict[str, Any]:
    """Return what is known of a file."""
    if is_output(file_id):
        outputs = outputs_of(desk, key)
        return outputs.object(outputs.get(file_id))
    return file_object(desk.files(key.tenant).get(file_id))


@router.delete("/{file_id}", summary="Delete a file", responses={200: {"model": schemas.Deleted}})
def delete(file_id: str, desk: AtDesk, key: Submitter) -> dict[str, Any]:
    """Delete a file. A batch that was made of it goes on; a file that a batch made is only hidden."""
    mine = desk.files(key.tenant)
    if is_output(file_id):
        outputs_of(desk, key).get(file_id)
    else:
        mine.get(file_id)
    mine.hide(file_id)
    return {"id": file_id, "object": "file", "deleted": True}


@router.get(
    "/{file_id}/content",
    summary="Download a file",
    response_class=StreamingResponse,
    responses={
        **stream_of("application/jsonl"),
        206: {"description": "The range that was asked for."},
        416: {"description": "The file has no such range."},
    },
)
def content(
    file_id: str, request: Request, desk: AtDesk, key: Reader, offset: Annotated[int | None, Query(ge=0)] = None
) -> StreamingResponse:
    """Return the bytes of a file. `Range: bytes=N-` or `?offset=LINE` goes on where a download broke off."""
    mine, outputs = desk.files(key.tenant), outputs_of(desk, key)
    output = outputs.get(file_id) if is_output(file_id) else None
    record = None if output is not None else mine.get(file_id)
    name = output.filename if output is not None else (record.filename if record is not None else "file.jsonl")
    headers = {"content-disposition": f'attachment; filename="{_plain(name)}"', "accept-ranges": "bytes"}
    if offset is not None:
        if output is None:
            raise ApiError(
                400, "offset counts lines of a batch's output: use Range for a file of yours", None, "offset"
            )
        return StreamingResponse(outputs.lines(output, offset), 200, headers, "application/jsonl")
    given = request.headers.get("range")
    size = outputs.size(output) if output is not None and given else (record.bytes if record is not None else 0)
    start, end = _span(given, size)
    pieces = outputs.pieces(output, start) if output is not None else _kept(mine.pieces(file_id, start))
    if given is None:
        return StreamingResponse(pieces, 200, headers, "application/jsonl")
    headers |= {"content-range": f"bytes {start}-{end - 1}/{size}", "content-length": str(end - start)}
    return StreamingResponse(_first(pieces, end - start), 206, headers, "application/jsonl")


def listed(data: list[dict[str, Any]], has_more: bool) -> dict[str, Any]:
    """Return a page of a list, as OpenAI's API has it."""
    ends = {"first_id": data[0]["id"] if data else "", "last_id": data[-1]["id"] if data else ""}
    return {"object": "list", "data": data, **ends, "has_more": has_more}


def _checked(form: FormData) -> tuple[str, timedelta | None]:
    """Return the file's name and when it expires. Raises ApiError if a field of the form is missing or wrong."""
    file, purpose = form.get("file"), form.get("purpose")
    if not isinstance(file, UploadFile):
        raise ApiError(400, "the form has no file: add the field `file`", "invalid_request", "file")
    if purpose != "batch":
        raise ApiError(400, "purpose: give it `batch`, the only purpose here", "invalid_request", "purpose")
    anchor, expires_s = form.get("expires_after[anchor]"), form.get("expires_after[seconds]")
    if anchor is None and expires_s is None:
        return file_name(file.filename), None
    if anchor != "created_at":
        raise ApiError(400, "expires_after.anchor: give it `created_at`", "invalid_request", "expires_after[anchor]")
    is_number = isinstance(expires_s, str) and expires_s.isascii() and expires_s.isdecimal() and len(expires_s) < 10
    if not is_number or not LEAST_EXPIRY_S <= int(str(expires_s)) <= MOST_EXPIRY_S:
        raise ApiError(
            400,
            f"expires_after.seconds: give it {LEAST_EXPIRY_S} to {MOST_EXPIRY_S}",
            "invalid_request",
            "expires_after[seconds]",
        )
    return file_name(file.filename), timedelta(seconds=int(str(expires_s)))


def file_name(given: str | None) -> str:
    """Return the name of an uploaded file without folders and control characters."""
    name = (given or "").replace("\\", "/").rpartition("/")[2]
    return "".join(one if one.isprintable() else "_" for one in name)[-LONGEST_NAME:] or "file.jsonl"


def _plain(name: str) -> str:
    """Return a file's name as a header can hold it."""
    return "".join(one if one.isascii() and one.isprintable() and one not in '"\\%;' else "_" for one in name)


def pieces_of(file: UploadFile) -> Iterator[bytes]:
    """Yield the bytes of an uploaded file."""
    file.file.seek(0)
    while piece := file.file.read(PIECE_BYTES):
        yield piece


def _kept(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield pieces of a file. If another process has deleted the file meanwhile, the answer ends short."""
    try:
        yield from pieces
    except KeyError:
        return


def _first(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    for piece in pieces:
        if size <= 0:
            return
        yield piece[:size]
        size -= len(piece)


def _span(given: str | None, size: int) -> tuple[int, int]:
    """Return the first byte that is wanted, and the end. Raises ApiError 416 for a range that the file does not have."""
    if given is None:
        return 0, size
    matched = _RANGE.fullmatch(given.strip())
    start = int(matched[1]) if matched else -1
    end = min(size, int(matched[2]) + 1) if matched and matched[2] else size
    if not 0 <= start < end:
        raise ApiError(416, f"the file has {size} bytes, and not {given[:60]}", "invalid_range", "range")
    return start, end


def _outputs_page(desk: Desk, key: Key, limit: int, after: str | None) -> tuple[list[dict[str, Any]], bool]:
    """Return a page of the files that batches made, those of the newest submissions first."""
    outputs, found = outputs_of(desk, key), list[dict[str, Any]]()
    is_past = after is None
    for file_id in _output_ids(desk, key, outputs):
        if is_past and not outputs.files.is_hidden(file_id):
            if len(found) == limit:
                return found, True
            found.append(outputs.object(outputs.get(file_id)))
        is_past = is_past or file_id == after
    return found, False


def _output_ids(desk: Desk, key: Key, outputs: Outputs) -> Iterator[str]:
    last: str | None = None
    while True:
        page = desk.journal.newest(key.tenant, 100, last)
        for submission in page.submissions:
            decision = desk.journal.decision(submission)
            if decision is not None and decision.batch_id is not None:
                done = desk.statuses.of(decision.batch_id).done
                if done is not None:
                    yield from outputs.of_round(submission, done)
        if not page.has_more:
            return
        last = page.submissions[-1].id

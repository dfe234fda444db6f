"""Upload a file by dropping or choosing it, look at what it would take, and then submit it.

The first step keeps the file, as the API does. The second shows the rows, those that would be refused with their lines, the
tokens and the money; nothing is submitted by it. The third submits a batch. A form that is sent twice makes one batch.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Annotated, Any, Final, get_args
from urllib.parse import quote, urlencode

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from jobs.errors import RequestError
from jobs.gateway.access import AtDesk
from jobs.gateway.desk import Desk
from jobs.gateway.errors import ApiError
from jobs.gateway.page.rendering import page
from jobs.gateway.page.visitors import FIELD, HOME, PageRoute, Posted, Sender, Visitor, check_token
from jobs.gateway.routes import batches as api
from jobs.gateway.routes.files import file_name, pieces_of
from jobs.intake.refusals import RowsRefused
from jobs.intake.row_faults import RowFault
from jobs.operations.content.kind_reference import fields_of
from jobs.operations.enqueue_options import EnqueueOptions
from jobs.operations.estimate import Estimate
from jobs.submissions.envelopes import envelope_faults
from jobs.submissions.records import FileRecord, LineFault

router = APIRouter(prefix="/page/upload", include_in_schema=False, route_class=PageRoute)

FIRST_ROWS: Final = 2_000
"""The dry run of a file reads this many rows, unless somebody wants the whole file read."""

ENDPOINTS: Final[Sequence[str]] = get_args(api.Endpoint)
WINDOW: Final = "Done within: give it days, hours, minutes and seconds, such as 24h or 1d12h30min, of a year at most"
SHOWN_FAULTS: Final = 50
OPENAI: Final = "openai"
"""The choice of a kind for a file in the form of OpenAI's batches."""


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a file would take. `error` says why it cannot be told. `is_part` is True if only the first rows were read.

    `endpoint` is the one that the lines of a file in OpenAI's form name.
    """

    estimate: Estimate | None = None
    faults: Sequence[LineFault] = ()
    error: str = ""
    is_part: bool = False
    endpoint: str = ""


@router.get("")
def show(desk: AtDesk, visitor: Sender) -> Response:
    """Show the form that takes a file."""
    return page("upload.html", visitor=visitor, **_choices(desk))


@router.post("")
async def upload(request: Request, desk: AtDesk, visitor: Sender) -> Response:
    """Keep a file, and lead to its dry run."""
    async with request.form(max_files=1, max_fields=8, max_part_size=1 << 14) as form:
        check_token(desk, visitor.session.number, str(form.get(FIELD, "")))
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise ApiError(400, "no file was chosen: go back and choose one", "invalid_request", "file")
        most = visitor.key.quotas.file_bytes
        if most is not None and (file.size or 0) > most:
            raise ApiError(413, f"your key may upload files of {most:,} bytes at most", "request_too_large", "file")
        keep = partial(desk.files(visitor.tenant).keep, pieces_of(file), file_name(file.filename))
        record = await to_thread.run_sync(keep, limiter=desk.writers)
        chosen = {name: str(form.get(name, "")) for name in ("kind", "model")}
    query = urlencode({name: value for name, value in chosen.items() if value})
    return RedirectResponse(f"/page/upload/{quote(record.id)}?{query}", 303)


@router.get("/{file_id}")
def dry_run(
    file_id: str,
    desk: AtDesk,
    visitor: Sender,
    kind: Annotated[str, Query(max_length=100)] = OPENAI,
    model: Annotated[str, Query(max_length=200)] = "",
    whole: bool = False,
) -> Response:
    """Show what a file would take. Nothing is submitted."""
    record = desk.files(visitor.tenant).get(file_id)
    if kind != OPENAI and kind not in desk.client.kinds:
        raise ApiError(400, f"there is no kind {kind[:100]!r}", "invalid_request", "kind")
    found = _tried(desk, visitor, record, kind, model, whole=whole)
    return page(
        "dry_run.html",
        visitor=visitor,
        file=record,
        kind=kind,
        model=model,
        run=found,
        currency=desk.settings.prices.currency,
        once=secrets.token_hex(16),
        whole_query=urlencode({"kind": kind, "model": model, "whole": "true"}),
        budget=visitor.key.quotas.budget,
    )


@router.post("/{file_id}")
def submit(file_id: str, desk: AtDesk, visitor: Sender, form: Posted) -> Response:
    """Submit a batch of a file."""
    try:
        body = _body(file_id, form)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = f"{where}: {str(first['msg']).removeprefix('Value error, ')}"[:500]
        raise ApiError(400, WINDOW if where == "completion_window" else reason) from None
    once = form.get("once", "")
    made = api.submit(body, desk, visitor.key, f"page {once}" if once else None)
    return RedirectResponse(f"{HOME}/{quote(str(made['id']))}", 303)


def _tried(desk: Desk, visitor: Visitor, record: FileRecord, kind: str, model: str, *, whole: bool) -> DryRun:
    mine, endpoint = desk.files(visitor.tenant), ""
    options: EnqueueOptions = {"tenant": visitor.tenant, "name": record.filename}
    options |= {"format": "openai"} if kind == OPENAI else {"kind": kind}
    if model:
        options["model"] = model
    if not whole:
        options["limit"] = FIRST_ROWS
    try:
        if kind == OPENAI:
            endpoint = _endpoint_of(desk, visitor, record)
            with mine.open(record.id) as file:
                faults = envelope_faults(file, endpoint, desk.settings)
            if faults:
                message = "Lines of the file are no requests, so the batch would fail as a whole."
                return DryRun(faults=faults[:SHOWN_FAULTS], error=message, endpoint=endpoint)
        with mine.open(record.id) as file:
            found = desk.client.estimate(file, **options)
    except RowsRefused as error:
        return DryRun(faults=_as_lines(error.faults), error=f"All {error.total:,} rows would be refused.")
    except RequestError as error:
        return DryRun(error=str(error))
    except KeyError:
        return DryRun(error="The file was deleted: upload it again.")
    return DryRun(found, _as_lines(found.refusals), "", not whole and found.rows >= FIRST_ROWS, endpoint)


def _as_lines(faults: Iterable[RowFault]) -> Sequence[LineFault]:
    shown = islice(faults, SHOWN_FAULTS)
    return [LineFault(code=one.code, message=one.message, line=one.line, param=one.field) for one in shown]


def _endpoint_of(desk: Desk, visitor: Visitor, record: FileRecord) -> str:
    """Return the endpoint that the first line of a file names; that of chats if it names none of ours."""
    with desk.files(visitor.tenant).open(record.id) as file:
        first = file.read(1 << 16)
    return next((one for one in ENDPOINTS if f'"{one}"'.encode() in first), ENDPOINTS[0])


def _body(file_id: str, form: Mapping[str, str]) -> api.BatchRequest:
    """Return the request of a form. Raises ValidationError, ApiError."""
    kind, given = form.get("kind", OPENAI), dict[str, Any]()
    if kind != OPENAI:
        given["kind"] = kind
    given |= {name: form[name].strip() for name in ("model", "budget") if form.get(name, "").strip()}
    return api.BatchRequest.model_validate(
        {
            "input_file_id": file_id,
            "endpoint": form.get("endpoint") or ENDPOINTS[0],
            "completion_window": form.get("window", "").strip() or "24h",
            "metadata": _metadata(form.get("metadata", "")) or None,
            "nightpress": {**given, "priority": form.get("priority") or 4, "strict": "lenient" not in form},
        }
    )


def _metadata(text: str) -> dict[str, str]:
    """Return the metadata of a form: a line `name = value` each. Raises ApiError 400 for a line without a sign of equality."""
    found = {}
    for line in filter(str.strip, text.splitlines()):
        name, is_pair, value = line.partition("=")
        if not is_pair or not name.strip():
            raise ApiError(400, f"metadata: {line.strip()[:80]!r} is no `name = value`", "invalid_request", "metadata")
        found[name.strip()] = value.strip()
    return found


def _choices(desk: Desk) -> Mapping[str, Any]:
    """Return what a form offers: the kinds with the fields of their rows, and the models."""
    kinds = {name: list(fields_of(kind.request_type)) for name, kind in sorted(desk.client.kinds.items())}
    return {"kinds": kinds, "models": [*desk.settings.catalog, *desk.settings.aliases], "openai": OPENAI}

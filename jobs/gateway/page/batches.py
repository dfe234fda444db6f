"""The list of batches, and one batch: its numbers, its failures by code, and what can be done with it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from jobs.errors import RequestError
from jobs.gateway.access import AtDesk
from jobs.gateway.desk import Desk
from jobs.gateway.errors import ApiError
from jobs.gateway.page.listing import Direct, Shown, found, listed
from jobs.gateway.page.rendering import page
from jobs.gateway.page.visitors import HOME, PageRoute, Posted, Sender, Stopper, Viewer, Visitor
from jobs.gateway.routes import batches as api

router = APIRouter(prefix="/page", include_in_schema=False, route_class=PageRoute)

EXAMPLES: Final = 3
"""A code has this many examples."""

LOOKED_AT: Final = 5_000
"""Examples are looked for among this many of the first failed rows."""

UNFINISHED_ROWS: Final = 20_000
"""An unfinished batch of more rows has no examples, since its outcomes so far would have to be sorted for each look."""


@router.get("/batches")
def batches(
    request: Request,
    desk: AtDesk,
    visitor: Viewer,
    after: str | None = None,
    skip: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> Response:
    """List the batches of the visitor's tenant, the newest first."""
    direct: Direct = request.app.state.direct_batches
    shown = listed(desk, direct, visitor.tenant, after, skip)
    is_live = any(not one.has_ended for one in shown.batches)
    is_part = request.headers.get("hx-request") == "true"
    template = "_batch_rows.html" if is_part else "batches.html"
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return page(template, visitor=visitor, page=shown, is_live=is_live, here=here, is_first=after is None and not skip)


@router.get("/batches/{batch_id}")
def batch(batch_id: str, desk: AtDesk, visitor: Viewer) -> Response:
    """Show one batch."""
    shown = found(desk, visitor.tenant, batch_id)
    codes = _codes(desk, shown)
    return page("batch.html", visitor=visitor, batch=shown, codes=codes, forms=_forms(shown))


@router.get("/batches/{batch_id}/numbers")
def numbers(batch_id: str, desk: AtDesk, visitor: Viewer) -> Response:
    """Show the numbers of a batch alone, for a page that shows it already."""
    shown = found(desk, visitor.tenant, batch_id)
    answer = page("_numbers.html", visitor=visitor, batch=shown)
    if shown.has_ended:
        answer.headers["hx-refresh"] = "true"  # the buttons and the examples change too
    return answer


@router.post("/batches/{batch_id}/cancel")
def cancel(batch_id: str, desk: AtDesk, visitor: Stopper, form: Posted) -> Response:
    """Start no further row of a batch."""
    shown = found(desk, visitor.tenant, batch_id)
    if shown.submission is not None:
        api.cancel(batch_id, desk, visitor.key)
    elif shown.status not in ("cancelled", "cancelling"):
        _refuse_ended(shown)
        with suppress(RequestError):  # it ended at this moment
            desk.client.cancel(batch_id)
        desk.statuses.forget(batch_id)
    return RedirectResponse(f"{HOME}/{shown.id}", 303)


@router.post("/batches/{batch_id}/retry")
def retry(batch_id: str, desk: AtDesk, visitor: Sender, form: Posted) -> Response:
    """Run again the rows that did not complete."""
    shown = found(desk, visitor.tenant, batch_id)
    if shown.submission is not None:
        api.retry(batch_id, desk, visitor.key)
    else:
        desk.client.retry(batch_id)
        desk.statuses.forget(batch_id)
    return RedirectResponse(f"{HOME}/{shown.id}", 303)


def batch_id_of(desk: Desk, visitor: Visitor, batch_id: str) -> tuple[Shown, str]:
    """Return a batch as it is shown, and its own id. Raises NoBatch, and ApiError 409 if it was not made yet."""
    shown = found(desk, visitor.tenant, batch_id)
    if shown.decision is None:
        raise ApiError(409, "the file of this batch is still being read: come again in a moment", "batch_validating")
    if shown.seen is None:
        raise ApiError(409, "this batch was not made, so it has no rows", "batch_not_made")
    return shown, shown.seen.batch.batch_id


def _refuse_ended(shown: Shown) -> None:
    if shown.has_ended:
        raise ApiError(409, f"{shown.id} is {shown.status} already: there is nothing to cancel", "batch_ended")


def _forms(shown: Shown) -> Sequence[tuple[str, str]]:
    """Return the forms in which the outputs can be downloaded, each with its name."""
    if shown.seen is None:
        return ()
    documents = [("document", "Documents (zip)")] if shown.seen.batch.documents is not None else []
    return [
        ("jsonl", "JSON Lines"),
        ("csv", "CSV"),
        ("openai", "OpenAI lines"),
        ("markdown", "Markdown (zip)"),
        ("parquet", "Parquet"),
        *documents,
    ]


def _codes(desk: Desk, shown: Shown) -> Sequence[Mapping[str, Any]]:
    """Return the failures by code, each with how many rows have it and the first of them."""
    if shown.seen is None or not shown.seen.status.codes:
        return ()
    one = shown.seen.status
    examples: dict[str, list[Mapping[str, Any]]] = {code: [] for code in one.codes}
    if shown.has_ended or one.rows <= UNFINISHED_ROWS:
        for row in islice(_failed(desk, one.id), LOOKED_AT):
            some = examples.setdefault(str(row["error"]["code"]), [])
            if len(some) < EXAMPLES:
                some.append(row)
            if all(len(some) >= min(EXAMPLES, one.codes.get(code, 0)) for code, some in examples.items()):
                break
    return [{"code": code, "rows": rows, "examples": examples[code]} for code, rows in one.codes.items()]


def _failed(desk: Desk, batch_id: str) -> Iterator[Mapping[str, Any]]:
    for line in desk.client.results(batch_id, errors=True).lines():
        row = orjson.loads(line)
        if isinstance(row.get("error"), dict):
            yield row

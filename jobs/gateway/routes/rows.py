"""Our endpoints below a batch: results so far, one row with its receipt, and events while it runs."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from jobs.gateway.access import AtDesk, Reader
from jobs.gateway.batch_objects import ENDED
from jobs.gateway.description import stream_of
from jobs.gateway.desk import Desk
from jobs.gateway.errors import ApiError
from jobs.gateway.routes.batches import found_object
from jobs.submissions.keys import Key

router = APIRouter(prefix="/v1/batches/{batch_id}", tags=["rows"])

EVERY_S: Final = 1.0
"""Seconds between two looks at a batch whose events a client follows."""

QUIET_S: Final = 15.0
"""After so many seconds without an event, a comment is sent, so that proxies keep the connection open."""


@router.get(
    "/results", summary="Rows so far", response_class=StreamingResponse, responses=stream_of("application/x-ndjson")
)
def results(
    batch_id: str,
    desk: AtDesk,
    key: Reader,
    status: Literal["completed", "failed"] = "completed",
    verdict: Literal["fit", "review"] | None = None,
    after: Annotated[int | None, Query(ge=-1)] = None,
    limit: Annotated[int | None, Query(ge=1)] = None,
) -> StreamingResponse:
    """Return the rows that have an outcome so far, a line of JSON each, in the order of the file.

    `after` is the row after which to go on. The header `x-incomplete` tells whether more rows may come.
    """
    if status == "failed" and verdict is not None:
        raise ApiError(400, "verdict is one of completed rows: leave out status", "invalid_request", "verdict")
    found = desk.client.results(batch_of(desk, key, batch_id), errors=status == "failed", only=verdict)
    lines = found.lines()
    if after is not None:
        lines = itertools.dropwhile(lambda line: orjson.loads(line)["row"] <= after, lines)
    first = next(lines, None)  # an error comes before the answer begins
    rows: Iterator[bytes] = iter(()) if first is None else itertools.chain((first,), lines)
    headers = {"x-incomplete": str(not found.is_finished).lower()}
    return StreamingResponse(itertools.islice(rows, limit), 200, headers, "application/x-ndjson")


@router.get("/rows/{row}", summary="All of one row")
def row(batch_id: str, row: str, desk: AtDesk, key: Reader) -> dict[str, Any]:
    """Return the request, prompts, attempts and outcome of a row, by its number from 0 or its custom_id."""
    return desk.client.row(batch_of(desk, key, batch_id), row).as_dict()


@router.get(
    "/events", summary="Follow a batch", response_class=StreamingResponse, responses=stream_of("text/event-stream")
)
async def events(
    batch_id: str, request: Request, desk: AtDesk, key: Reader, last_event_id: Annotated[str | None, Header()] = None
) -> StreamingResponse:
    """Send the batch as a server-sent event whenever it changed, at most once a second, until it ends."""
    submission = await run_in_threadpool(desk.journal.get, key.tenant, batch_id)

    async def changes() -> AsyncIterator[bytes]:
        number = int(last_event_id) if last_event_id and last_event_id.isdecimal() and len(last_event_id) < 12 else 0
        before, quiet_s = b"", 0.0
        while not await request.is_disconnected():
            shown = await run_in_threadpool(found_object, desk, submission)
            data = orjson.dumps(shown)
            if data != before:
                number, before, quiet_s = number + 1, data, 0.0
                yield b"id: %d\nevent: batch\ndata: %s\n\n" % (number, data)
            if shown["status"] in ENDED:
                return
            quiet_s += EVERY_S
            if quiet_s >= QUIET_S:
                quiet_s = 0.0
                yield b": waiting\n\n"
            await asyncio.sleep(EVERY_S)

    return StreamingResponse(changes(), 200, {"x-accel-buffering": "no"}, "text/event-stream")


def batch_of(desk: Desk, key: Key, batch_id: str) -> str:
    """Return the id of the batch that came of a submission. Raises NoFile, and ApiError 409 if none did."""
    submission = desk.journal.get(key.tenant, batch_id)
    decision = desk.journal.decision(submission)
    if decision is None:
        raise ApiError(
            409, f"the file of {batch_id} is still being read: come again", "batch_validating", retry_after_s=2
        )
    if decision.batch_id is None:
        raise ApiError(409, f"{batch_id} was not made, so it has no rows: look at its errors", "batch_not_made")
    return decision.batch_id

"""/v1/batches: submit, list, look at, cancel and retry batches."""

import hashlib
import re
import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Final, Literal, get_args

import orjson
from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from jobs.errors import NoBatch, RequestError
from jobs.gateway import schemas
from jobs.gateway.access import AtDesk, Canceller, Reader, Submitter
from jobs.gateway.batch_objects import ENDED, batch_object, batch_status
from jobs.gateway.desk import Desk
from jobs.gateway.errors import ApiError
from jobs.gateway.routes.files import LEAST_EXPIRY_S, MOST_EXPIRY_S, listed
from jobs.gateway.statuses import Seen
from jobs.prices import Money, money_of
from jobs.submissions.journal import Waiting
from jobs.submissions.keys import Key
from jobs.submissions.places import submission_id
from jobs.submissions.quotas import rows_left
from jobs.submissions.records import Decision, Submission
from jobs.typed_times import moment_of

router = APIRouter(prefix="/v1/batches", tags=["batches"])

Endpoint = Literal["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings"]
ENDPOINTS: Final[tuple[str, ...]] = get_args(Endpoint)

PATTERN: Final = r"^(?:[0-9]{1,3}d)?(?:[0-9]{1,4}h)?(?:[0-9]{1,6}min)?(?:[0-9]{1,8}s)?$"
"""A completion window: days, hours, minutes and seconds, each of which may be left out."""

_WINDOW: Final = re.compile(r"(?:([0-9]{1,3})d)?(?:([0-9]{1,4})h)?(?:([0-9]{1,6})min)?(?:([0-9]{1,8})s)?")
_UNITS_S: Final = (86_400, 3_600, 60, 1)
_YEAR_S: Final = 366 * 86_400

Metadata = dict[
    Annotated[str, StringConstraints(min_length=1, max_length=64)], Annotated[str, StringConstraints(max_length=512)]
]


class OutputExpiry(BaseModel):
    """When the files that a batch makes are no longer offered: so many seconds after they were published."""

    model_config = ConfigDict(extra="forbid")

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=LEAST_EXPIRY_S, le=MOST_EXPIRY_S)]


class Extension(BaseModel):
    """What OpenAI's request has no field for.

    `kind` and `set` are for files of our own rows. With `strict` false, a line that is no request is a failed row, and does not
    fail the batch. `budget` is what the rows may be charged together, such as `20EUR`.
    """

    model_config = ConfigDict(extra="forbid")

    kind: str | None = None
    model: str | None = None
    set: dict[str, Any] = {}
    priority: Annotated[int, Field(ge=0, le=9)] = 4
    publish_at: str | None = None
    strict: bool = True
    budget: str | None = None


class BatchRequest(BaseModel):
    """The body of a new batch."""

    model_config = ConfigDict(extra="forbid")

    input_file_id: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    endpoint: Endpoint
    completion_window: Annotated[str, StringConstraints(min_length=2, max_length=32, pattern=PATTERN)]
    metadata: Annotated[Metadata, Field(max_length=16)] | None = None
    output_expires_after: OutputExpiry | None = None
    idempotency_key: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    nightpress: Extension = Extension()

    @field_validator("completion_window")
    @classmethod
    def _is_window(cls, window: str) -> str:
        if not 0 < window_s(window) <= _YEAR_S:
            raise ValueError("give it days, hours, minutes and seconds, such as 24h or 1d12h30min, of a year at most")
        return window


def window_s(window: str) -> int:
    """Return the seconds of a completion window such as `24h`; 0 if it is none."""
    matched = _WINDOW.fullmatch(window)
    return sum(int(n or 0) * unit for n, unit in zip(matched.groups(), _UNITS_S, strict=True)) if matched else 0


@router.post("", summary="Submit a batch", responses={200: {"model": schemas.Batch}})
def submit(
    body: BatchRequest,
    desk: AtDesk,
    key: Submitter,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=256)] = None,
) -> dict[str, Any]:
    """Submit a batch of an uploaded file. The answer comes at once; the file is read after it.

    With an idempotency key, in the header or the body, the same request makes one batch, however often it is made.
    """
    given = body.idempotency_key or idempotency_key
    submission = _submission(desk, key, body, given)
    if desk.journal.find(key.tenant, submission.id) is None:
        desk.files(key.tenant).get(body.input_file_id)
        _check_quotas(desk, key)
    standing, is_new = desk.journal.submit(submission)
    if is_new:
        desk.clerk.wake()
    return found_object(desk, standing)


@router.get("", summary="List batches", responses={200: {"model": schemas.BatchList}})
def batches(
    desk: AtDesk,
    key: Reader,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: str | None = None,
    status: str | None = None,
) -> dict[str, Any]:
    """List batches, the newest first; with `status`, those that have it."""
    found: list[dict[str, Any]] = []
    has_more = True
    while has_more and len(found) <= limit:
        page = desk.journal.newest(key.tenant, limit, after)
        for one in page.submissions:
            with suppress(NoBatch):  # its batch was deleted
                shown = found_object(desk, one)
                if status in (None, shown["status"]):
                    found.append(shown)
        has_more = page.has_more
        after = page.submissions[-1].id if page.submissions else None
        if status is None:
            break
    return listed(found[:limit], has_more or len(found) > limit)


@router.get("/{batch_id}", summary="Look at a batch", responses={200: {"model": schemas.Batch}})
def batch(batch_id: str, desk: AtDesk, key: Reader) -> dict[str, Any]:
    """Return a batch as it is now."""
    return found_object(desk, desk.journal.get(key.tenant, batch_id))


@router.post("/{batch_id}/cancel", summary="Cancel a batch", responses={200: {"model": schemas.Batch}})
def cancel(batch_id: str, desk: AtDesk, key: Canceller) -> dict[str, Any]:
    """Start no further row of a batch. Rows with an outcome keep it. A second cancel changes nothing."""
    submission = desk.journal.get(key.tenant, batch_id)
    decision = desk.journal.decision(submission)
    if decision is None:
        decision = desk.journal.decide(submission, Decision(outcome="cancelled", at=desk.clock()))
    if decision.outcome == "refused":
        raise ApiError(409, f"{batch_id} has failed already: there is nothing to cancel", "batch_ended")
    if decision.batch_id is not None:
        status = batch_status(decision, desk.statuses.of(decision.batch_id))
        if status in ENDED - {"cancelled"}:
            raise ApiError(409, f"{batch_id} is {status} already: there is nothing to cancel", "batch_ended")
        if status != "cancelled":
            with suppress(RequestError):  # it ended at this moment
                desk.client.cancel(decision.batch_id)
            desk.statuses.forget(decision.batch_id)
    return found_object(desk, submission)


@router.post("/{batch_id}/retry", summary="Run again what did not complete", responses={200: {"model": schemas.Batch}})
def retry(batch_id: str, desk: AtDesk, key: Submitter) -> dict[str, Any]:
    """Open a further round of a batch that has ended, for the rows that did not complete. OpenAI's API has no such call."""
    submission = desk.journal.get(key.tenant, batch_id)
    decision = desk.journal.decision(submission)
    if decision is None or decision.batch_id is None:
        raise ApiError(409, f"{batch_id} was not made: submit it again", "batch_not_made")
    desk.client.retry(decision.batch_id)
    desk.journal.watch(Waiting(submission.tenant, submission.id))
    desk.statuses.forget(decision.batch_id)
    return found_object(desk, submission)


def found_object(desk: Desk, submission: Submission) -> dict[str, Any]:
    """Return the object of a submission as it is now. Raises NoBatch if its batch was deleted."""
    decision = desk.journal.decision(submission)
    return batch_object(submission, decision, seen_of(desk, decision))


def seen_of(desk: Desk, decision: Decision | None) -> Seen | None:
    """Return the batch that came of a submission; None if none did."""
    return None if decision is None or decision.batch_id is None else desk.statuses.of(decision.batch_id)


def _submission(desk: Desk, key: Key, body: BatchRequest, idempotency_key: str | None) -> Submission:
    at, ours = desk.clock(), body.nightpress
    budget = _budget(ours.budget, key)
    publish_at = None if ours.publish_at is None else _publish_at(ours.publish_at, at)
    wanted = body.model_dump(mode="json", exclude={"idempotency_key"})
    digest = hashlib.sha256(orjson.dumps(wanted, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return Submission(
        id=submission_id(key.tenant, f"key {idempotency_key}" if idempotency_key else f"uuid {uuid.uuid4()}"),
        tenant=key.tenant,
        by=key.id,
        input_file_id=body.input_file_id,
        endpoint=body.endpoint,
        window=body.completion_window,
        window_s=window_s(body.completion_window),
        metadata=body.metadata or {},
        output_expires_s=body.output_expires_after.seconds if body.output_expires_after else None,
        kind=ours.kind,
        model=ours.model,
        fields=ours.set,
        priority=ours.priority,
        publish_at=publish_at,
        strict=ours.strict,
        budget=budget,
        rows_a_day=key.quotas.rows_a_day,
        request_sha256=digest,
        created_at=at,
    )


def _budget(given: str | None, key: Key) -> Money | None:
    """Return the budget of a batch: what was asked for, but never more than the key may spend. Raises RequestError."""
    most = key.quotas.budget
    if given is None:
        return most
    budget = money_of(given, "nightpress.budget")
    if most is not None and (budget.currency != most.currency or budget.amount > most.amount):
        raise ApiError(
            403, f"nightpress.budget: the key may spend {most} on a batch", "budget_exceeded", "nightpress.budget"
        )
    return budget


def _publish_at(given: str, at: datetime) -> str:
    moment = moment_of(given, at)
    if moment <= at:
        raise ApiError(400, f"nightpress.publish_at: {given} is past", "invalid_request", "nightpress.publish_at")
    return moment.isoformat()


def _check_quotas(desk: Desk, key: Key) -> None:
    """Raise ApiError 429 if the key may open no further batch now."""
    most = key.quotas.open_batches
    if most is not None and sum(1 for _ in _open_ones(desk, key)) >= most:
        raise ApiError(429, f"the key may have {most} open batches", "open_batches_exceeded", retry_after_s=60)
    if rows_left(desk.journal, key.tenant, key.id, key.quotas.rows_a_day, desk.clock()) == 0:
        raise ApiError(
            429, f"the key may submit {key.quotas.rows_a_day:,} rows a day", "rows_a_day_exceeded", retry_after_s=600
        )


def _open_ones(desk: Desk, key: Key) -> Sequence[str]:
    waiting = [one.id for one in desk.journal.waiting() if one.tenant == key.tenant]
    return [*waiting, *desk.client.batches(tenant=key.tenant, published=0)]

"""/v1/webhooks: where a tenant wants to be told that a batch has ended."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from jobs.gateway.access import AtDesk, Reader, Submitter
from jobs.gateway.batch_objects import seconds
from jobs.gateway.errors import ApiError
from jobs.gateway.webhooks.hooks import EVENT_TYPES, LONGEST_URL, EventType, Hook
from jobs.gateway.webhooks.outbox import Attempt, Event, Outbox
from jobs.submissions.files import NoFile

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


Url = Annotated[str, StringConstraints(max_length=LONGEST_URL, pattern=r"^https?://")]


class HookRequest(BaseModel):
    """The body of a new webhook."""

    model_config = ConfigDict(extra="forbid")

    url: Url
    events: Annotated[list[EventType], Field(min_length=1, max_length=4)] = list(EVENT_TYPES)


class HookChange(BaseModel):
    """What is to change of a webhook."""

    model_config = ConfigDict(extra="forbid")

    url: Url | None = None
    events: Annotated[list[EventType], Field(min_length=1, max_length=4)] | None = None
    enabled: bool | None = None


@router.post("", summary="Make a webhook")
def make(body: HookRequest, desk: AtDesk, key: Submitter) -> dict[str, Any]:
    """Make a webhook. The answer alone has its secret."""
    hook = desk.hooks.make(key.tenant, body.url, body.events)
    return {**hook_object(hook), "secret": desk.hooks.secret_of(hook)}


@router.get("", summary="List webhooks")
def hooks(desk: AtDesk, key: Reader) -> dict[str, Any]:
    """List the webhooks of the key's tenant."""
    return {"object": "list", "data": [hook_object(one) for one in desk.hooks.listed(key.tenant)], "has_more": False}


@router.get("/{hook_id}", summary="Look at a webhook")
def hook(hook_id: str, desk: AtDesk, key: Reader) -> dict[str, Any]:
    """Return one webhook."""
    return hook_object(desk.hooks.get(key.tenant, hook_id))


@router.post("/{hook_id}", summary="Change a webhook")
def change(hook_id: str, body: HookChange, desk: AtDesk, key: Submitter) -> dict[str, Any]:
    """Change a webhook's URL or events, or switch it on or off."""
    changes: dict[str, Any] = body.model_dump(exclude_none=True)
    if "events" in changes:
        changes["events"] = tuple(one for one in EVENT_TYPES if one in changes["events"])
    if "enabled" in changes:
        changes["off_because"] = None if changes["enabled"] else "it was switched off"
    return hook_object(desk.hooks.change(desk.hooks.get(key.tenant, hook_id), changes))


@router.post("/{hook_id}/rotate", summary="Change the secret")
def rotate(hook_id: str, desk: AtDesk, key: Submitter) -> dict[str, Any]:
    """Give a webhook a new secret. The old one signs too for a day."""
    changed = desk.hooks.rotate(desk.hooks.get(key.tenant, hook_id))
    return {**hook_object(changed), "secret": desk.hooks.secret_of(changed)}


@router.delete("/{hook_id}", summary="Delete a webhook")
def delete(hook_id: str, desk: AtDesk, key: Submitter) -> dict[str, Any]:
    """Delete a webhook. What it is owed is not delivered any more."""
    desk.hooks.change(desk.hooks.get(key.tenant, hook_id), {"deleted": True, "enabled": False})
    return {"id": hook_id, "object": "webhook", "deleted": True}


@router.get("/{hook_id}/deliveries", summary="What was delivered")
def deliveries(
    hook_id: str, desk: AtDesk, key: Reader, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> dict[str, Any]:
    """List the last events of a webhook, the newest first, each with its attempts."""
    found, outbox = desk.hooks.get(key.tenant, hook_id), _outbox(desk)
    return {"object": "list", "data": [_delivery(outbox, one) for one in outbox.log(found, limit)], "has_more": False}


@router.post("/{hook_id}/deliveries/{event_id}/resend", summary="Send an event anew")
def resend(hook_id: str, event_id: str, desk: AtDesk, key: Submitter) -> dict[str, Any]:
    """Deliver an event once more, under the same id."""
    found, outbox = desk.hooks.get(key.tenant, hook_id), _outbox(desk)
    event = outbox.send_anew(found, event_id)
    if event is None:
        raise NoFile(f"no event {event_id[:60]} of this webhook: its deliveries list them")
    return _delivery(outbox, event)


@router.post("/{hook_id}/test", summary="Try a webhook")
def test(hook_id: str, desk: AtDesk, key: Submitter) -> dict[str, Any]:
    """Send the event `batch.completed` of a batch that does not exist, and tell what the receiver answered."""
    found, outbox = desk.hooks.get(key.tenant, hook_id), _outbox(desk)
    if not found.enabled:
        raise ApiError(409, f"the webhook is off: {found.off_because}: switch it on first", "webhook_off")
    event = outbox.owe(found, "batch.completed", "batch_" + "0" * 32, len(outbox.log(found, 1_000)) + 1_000_000)
    attempt = desk.courier.courier.deliver(event)
    outbox.end(event.id)
    return {"id": event.id, "object": "webhook.delivery", "type": event.type, "attempts": [_attempt(attempt)]}


def hook_object(hook: Hook) -> dict[str, Any]:
    """Return a webhook without its secret."""
    values = {
        "id": hook.id,
        "object": "webhook",
        "url": hook.url,
        "events": list(hook.events),
        "enabled": hook.enabled,
        "created_at": seconds(hook.created_at),
    }
    return values if hook.off_because is None else {**values, "off_because": hook.off_because}


def _outbox(desk: AtDesk) -> Outbox:
    return desk.courier.courier.outbox


def _delivery(outbox: Outbox, event: Event) -> dict[str, Any]:
    attempts = outbox.attempts(event.id)
    delivered = any(one.is_delivered for one in attempts)
    is_owed = outbox.event(event.id) is not None
    due_at = outbox.due_at(event) if is_owed else None
    return {
        "id": event.id,
        "object": "webhook.delivery",
        "type": event.type,
        "batch_id": event.submission_id,
        "created_at": seconds(event.created_at),
        "status": "pending" if is_owed else ("delivered" if delivered else "given_up"),
        **({} if due_at is None else {"next_attempt_at": seconds(due_at)}),
        "attempts": [_attempt(one) for one in attempts],
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    values = {"at": seconds(attempt.at), "status": attempt.status, "error": attempt.error}
    return {name: value for name, value in values.items() if value is not None}

"""/v1/keys: make, list and revoke keys. They need a key with the scope admin."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from jobs.batches.batch import Tenant
from jobs.gateway.access import Admin, AtDesk
from jobs.gateway.batch_objects import seconds
from jobs.prices import money_of
from jobs.submissions.keys import Key, Quotas, Scope

router = APIRouter(prefix="/v1/keys", tags=["keys"])


class QuotaRequest(BaseModel):
    """The limits of a new key. See `Quotas`; `budget` is a text such as `20EUR`."""

    model_config = ConfigDict(extra="forbid")

    file_bytes: Annotated[int, Field(ge=1)] | None = None
    open_batches: Annotated[int, Field(ge=1)] | None = None
    rows_a_day: Annotated[int, Field(ge=1)] | None = None
    requests_a_minute: Annotated[int, Field(ge=1)] | None = None
    budget: str | None = None


class KeyRequest(BaseModel):
    """The body of a new key. Its tenant is that of the key that makes it, unless it names another."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    tenant: Tenant | None = None
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4)] = ["submit", "read", "cancel"]
    quotas: Annotated[QuotaRequest, BeforeValidator(lambda given: {} if given is None else given)] = QuotaRequest()


@router.post("", summary="Make a key")
def make(body: KeyRequest, desk: AtDesk, admin: Admin) -> dict[str, Any]:
    """Make a key. The answer alone has it in full."""
    values = body.quotas.model_dump()
    budget = None if body.quotas.budget is None else money_of(body.quotas.budget, "quotas.budget")
    quotas = Quotas(**{**values, "budget": budget})
    made, text = desk.keys.make(body.name, body.tenant or admin.tenant, body.scopes, quotas)
    return {**key_object(made), "key": text}


@router.get("", summary="List keys")
def keys(desk: AtDesk, admin: Admin) -> dict[str, Any]:
    """List the keys that were not revoked, the newest first, without what is secret of them."""
    return {"object": "list", "data": [key_object(one) for one in desk.keys.listed()], "has_more": False}


@router.delete("/{key_id}", summary="Revoke a key")
def revoke(key_id: str, desk: AtDesk, admin: Admin) -> dict[str, Any]:
    """Revoke a key, within five seconds at every gateway."""
    gone = desk.keys.revoke(key_id)
    return {"id": gone.id, "object": "key", "deleted": True}


def key_object(key: Key) -> dict[str, Any]:
    """Return a key without what is secret of it."""
    quotas = {name: value for name, value in key.quotas.model_dump(exclude={"format"}).items() if value is not None}
    if key.quotas.budget is not None:
        quotas["budget"] = str(key.quotas.budget)
    return {
        "id": key.id,
        "object": "key",
        "name": key.name,
        "prefix": key.prefix,
        "tenant": key.tenant,
        "scopes": list(key.scopes),
        "quotas": quotas,
        "created_at": seconds(key.created_at),
    }

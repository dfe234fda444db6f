"""/v1/usage: what published batches of the key's tenant used, cost and are charged."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from jobs.errors import StoreDamaged
from jobs.gateway.access import AtDesk, Reader

router = APIRouter(prefix="/v1/usage", tags=["usage"])


@router.get("", summary="Add up usage")
def usage(
    desk: AtDesk,
    key: Reader,
    by: Literal["model", "batch", "kind", "day", "tenant"] = "day",
    since: Annotated[str | None, Query(min_length=2, max_length=40)] = None,
    until: Annotated[str | None, Query(min_length=2, max_length=40)] = None,
) -> dict[str, Any]:
    """Add up what was published from `since` on and before `until`, apart for each currency. Amounts are whole billionths."""
    faults: list[StoreDamaged] = []
    sums = desk.client.usage(by, since=since, until=until, faults=faults, tenant=key.tenant)
    data = [
        {by: name, "currency": currency, **tally.as_dict()}
        for currency, tallies in sums.items()
        for name, tally in tallies.items()
    ]
    return {"object": "list", "data": data, "left_out": len(faults)}

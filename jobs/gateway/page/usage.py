"""What the tenant's published batches used, cost and are charged: by day, by model and by kind, as plots with their numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from jobs.accounts.summary import Tally
from jobs.errors import StoreDamaged
from jobs.gateway.access import AtDesk
from jobs.gateway.desk import Desk
from jobs.gateway.page.plots import Bar, columns, each_day, shares
from jobs.gateway.page.rendering import page
from jobs.gateway.page.visitors import PageRoute, Viewer

router = APIRouter(prefix="/page/usage", include_in_schema=False, route_class=PageRoute)

Measure = Literal["charge", "rows", "tokens"]


@dataclass(frozen=True, slots=True)
class Part:
    """The usage by one key. `bars` are its lying bars by name; `days` are upright ones in place of them."""

    title: str
    by: str
    tallies: Mapping[str, Tally]
    bars: Mapping[str, float]
    days: Sequence[Bar] = ()


@router.get("")
def usage(
    desk: AtDesk, visitor: Viewer, days: Annotated[int, Query(ge=1, le=366)] = 30, measure: Measure = "charge"
) -> Response:
    """Show the usage of the last days."""
    faults: list[StoreDamaged] = []
    parts: dict[str, list[Part]] = {}
    for by in ("day", "model", "kind"):
        for currency, part in _parts(desk, visitor.tenant, by, days, measure, faults):
            parts.setdefault(currency, []).append(part)
    return page(
        "usage.html", visitor=visitor, parts=parts, days=days, measure=measure, left_out=len(faults), value=_value
    )


def _parts(
    desk: Desk, tenant: str, by: str, days: int, measure: Measure, faults: list[StoreDamaged]
) -> Sequence[tuple[str, Part]]:
    last = desk.clock().date()
    first = last - timedelta(days=days - 1)
    sums = desk.client.usage(by, since=f"{first}T00:00:00+00:00", tenant=tenant, faults=faults)  # type: ignore[arg-type]
    made = []
    for currency, tallies in sorted((pair for pair in sums.items() if pair[1]), key=lambda pair: pair[0]):
        values = {name: _value(tally, measure) for name, tally in tallies.items()}
        if by == "day":
            bars = columns(each_day(values, first, last))
            made.append((currency, Part("By day", by, dict(sorted(tallies.items())), shares(values), bars)))
        else:
            ordered = dict(sorted(tallies.items(), key=lambda pair: -values[pair[0]]))
            made.append((currency, Part(f"By {by}", by, ordered, shares(values))))
    return made


def _value(tally: Tally, measure: Measure) -> int:
    if measure == "rows":
        return tally.rows
    if measure == "tokens":
        return tally.usage.prompt_tokens + tally.usage.completion_tokens
    return tally.usage.charge

"""The fleet: which workers are there, and what waits on each lane. It counts the rows of all tenants, and names none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from jobs.errors import QueueUnavailable
from jobs.gateway.access import AtDesk
from jobs.gateway.desk import Desk
from jobs.gateway.page.rendering import page
from jobs.gateway.page.visitors import PageRoute, Viewer
from jobs.lanes.protocol import LaneSnapshot, WorkerRecord

router = APIRouter(prefix="/page/fleet", include_in_schema=False, route_class=PageRoute)


@dataclass(frozen=True, slots=True)
class Fleet:
    """All lanes that have rows or workers, and all workers. `fault` says why the queue could not be asked."""

    lanes: Sequence[LaneSnapshot] = ()
    workers: Sequence[WorkerRecord] = ()
    fault: str = ""

    @property
    def workers_of(self) -> Mapping[str, int]:
        """How many workers each lane has."""
        return {one.lane: len(one.workers) for one in self.lanes}


@router.get("")
def fleet(request: Request, desk: AtDesk, visitor: Viewer) -> Response:
    """Show the lanes and the workers. Only an operator, whose key has the scope admin, sees on which machines these run."""
    template = "_fleet.html" if request.headers.get("hx-request") == "true" else "fleet.html"
    return page(template, visitor=visitor, fleet=_seen(desk), names_machines=visitor.may("admin"))


def _seen(desk: Desk) -> Fleet:
    try:
        queue = desk.client.queue
        if queue is None:
            return Fleet(fault="The settings name no queue, so nothing is known of workers.")
        known = {desk.settings.lane_of(alias) for alias in desk.settings.catalog}
        found = [queue.snapshot(lane) for lane in sorted({*queue.lanes(), *known})]
    except QueueUnavailable:
        return Fleet(fault="The queue does not answer. Batches are safe in the storage.")
    lanes = [one for one in found if one.workers or one.ready or one.delayed or one.leased or one.paused]
    workers = sorted((worker for one in lanes for worker in one.workers), key=lambda one: (one.lane, one.worker))
    return Fleet(lanes, workers)

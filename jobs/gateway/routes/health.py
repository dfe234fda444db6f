"""/healthz, /readyz and /metrics: whether the process runs, whether it can do its work, and how it does. They need no key."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from jobs.errors import QueueUnavailable, StoreUnavailable
from jobs.gateway.access import AtDesk
from jobs.gateway.desk import Desk
from jobs.gateway.errors import RETRY_AFTER_S

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Whether the gateway runs")
def health() -> dict[str, str]:
    """Answer while the process runs."""
    return {"status": "ok"}


@router.get("/readyz", summary="Whether the gateway can work")
def ready(desk: AtDesk) -> JSONResponse:
    """Tell whether storage and queue answer. The gateway works without the queue, and not without the storage."""
    store, queue = _store(desk), _queue(desk)
    body: dict[str, Any] = {"status": "ok" if store == "ok" else "unavailable", "store": store, "queue": queue}
    headers = {} if store == "ok" else {"retry-after": str(RETRY_AFTER_S)}
    return JSONResponse(body, 200 if store == "ok" else 503, headers)


@router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
def metrics(request: Request) -> Response:
    """Return the metrics of this gateway in Prometheus' text format."""
    return Response(request.app.state.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _store(desk: Desk) -> str:
    try:
        desk.store.list("open")
    except StoreUnavailable:
        return "away"
    return "ok"


def _queue(desk: Desk) -> str:
    try:
        queue = desk.client.queue
        if queue is None:
            return "none"
        queue.ping()
    except QueueUnavailable:
        return "away"
    return "ok"

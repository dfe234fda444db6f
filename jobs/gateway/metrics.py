"""What Prometheus is told of a gateway: its requests and how long they took, and what waits. No label holds a tenant or an id."""

import time
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.errors import StoreUnavailable
from jobs.gateway.desk import Desk

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds, in seconds, of the buckets of the histogram of requests."""


class _Waiting(Collector):
    """Counts what waits in the store, when it is asked for."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            waiting = len(self._desk.journal.waiting())
            owed = len(self._desk.courier.courier.outbox.owed())
        except StoreUnavailable:
            yield GaugeMetricFamily("nightpress_gateway_store_up", "Whether the storage answers.", 0)
            return
        yield GaugeMetricFamily("nightpress_gateway_store_up", "Whether the storage answers.", 1)
        yield GaugeMetricFamily(
            "nightpress_gateway_waiting_submissions", "Batches whose file was not read yet.", waiting
        )
        yield GaugeMetricFamily("nightpress_gateway_owed_events", "Events that webhooks did not take yet.", owed)


class Metrics:
    """The metrics of one gateway."""

    def __init__(self, desk: Desk) -> None:
        self._registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter(
            "nightpress_gateway_requests", "Requests that were answered.", labels, registry=self._registry
        )
        self._seconds = Histogram(
            "nightpress_gateway_request_seconds",
            "Seconds from a request to the end of its answer.",
            ("route",),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._registry.register(_Waiting(desk))

    def note(self, method: str, route: str, status: int, took_s: float) -> None:
        """Count a request."""
        known = method if method in ("GET", "POST", "DELETE", "HEAD", "PUT", "PATCH", "OPTIONS") else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._seconds.labels(route).observe(took_s)

    def text(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class Measured:
    """Counts the requests of an app."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            self._metrics.note(scope["method"], route, status, time.monotonic() - began)

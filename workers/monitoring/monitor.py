"""The monitor of a fleet: its metrics, its health, the probes behind both, and the port where they are answered."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from jobs.store.identity import PATH as STORE_ID
from jobs.store.store import Store
from workers.monitoring.fleet_metrics import FleetMetrics
from workers.monitoring.health import Health
from workers.monitoring.probes import Probe
from workers.monitoring.server import MonitoringServer


class Pinged(Protocol):
    """The part of a queue that a probe asks."""

    def ping(self) -> object:
        """Raise QueueUnavailable if Redis does not answer."""
        ...


@dataclass
class Monitor:
    """Answers for one fleet. Nothing is asked and no thread runs before `serve`."""

    metrics: FleetMetrics = field(default_factory=FleetMetrics)
    health: Health = field(default_factory=Health)
    monotonic: Callable[[], float] = time.monotonic
    _server: MonitoringServer | None = None

    def serve(self, host: str, port: int) -> int:
        """Answer on this port from now on. Returns the port: the system chooses one if `port` is 0. Raises OSError."""
        server = MonitoringServer(self.metrics.registry, self.health)
        port = server.serve(host, port)
        self._server = server
        return port

    @property
    def is_serving(self) -> bool:
        """Whether anybody can ask."""
        return self._server is not None

    def watch(self, store: Store, queue: Pinged) -> None:
        """Ask the storage and Redis from now on whether they answer. Further calls have no effect, nor has one before `serve`."""
        if self.health.probes or not self.is_serving:
            return
        self.health.probes = {
            "store": Probe("the storage", partial(store.exists, STORE_ID), monotonic=self.monotonic).start(),
            "queue": Probe("Redis", queue.ping, monotonic=self.monotonic).start(),
        }
        self.metrics.is_up = self._is_up

    def close(self) -> None:
        """Answer no more, and ask no more."""
        for probe in self.health.probes.values():
            probe.stop()
        if self._server is not None:
            self._server.close()
            self._server = None

    def _is_up(self, name: str) -> bool | None:
        probe = self.health.probes.get({"redis": "queue"}.get(name, name))
        return None if probe is None else probe.answer().ok

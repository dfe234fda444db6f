"""`nightpress work`: a fleet on a Ray cluster, for all open batches, until it is told to stop.

Staffs the lanes that were asked for, or those that open batches need, sweeps, and drains on SIGTERM or Ctrl-C. Any
number of these may run, on any machines: they share the queue and the storage, and nothing else.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Final

from jobs.accounts.summaries import catch_up
from jobs.batches.open_batches import OpenBatches
from jobs.errors import NoBatch, RequestError, StoreDamaged, UnavailableError
from jobs.kinds.registry import load_kinds
from jobs.lanes.redis_queue import RedisQueue
from jobs.logs import logger
from jobs.operations.status_reader import StatusReader
from jobs.publishing.delivery import Deliverer
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.damage import Damage, collect_damage
from jobs.store.opening import open_store
from workers.fleet import embedded_redis
from workers.fleet.after_publishing import Errands
from workers.fleet.allocation import has_work
from workers.fleet.cluster import connect, workers_per_lane
from workers.fleet.fleet import Fleet
from workers.fleet.metrics import FleetMetrics
from workers.fleet.outages import Outages

TICK_S: Final = 0.5
PROGRESS_S: Final = 60.0
"""How often the log says how far each open batch is."""
METRICS_S: Final = 2.0
"""How old the metrics of a scrape may be."""


@dataclass
class Work:
    """A fleet that works until `interrupt`, or with `until_empty` until no batch is open."""

    settings: Settings
    aliases: Sequence[str] = ()
    workers: int | None = None
    until_empty: bool = False
    until: float = float("inf")
    _interrupts: int = 0
    _metrics: FleetMetrics = field(default_factory=FleetMetrics)
    _said: set[str] = field(default_factory=set)

    def interrupt(self) -> None:
        """Drain; the second time, end at once. Safe in a signal handler."""
        self._interrupts += 1

    def run(self) -> int:
        """Work. Returns how many batches were published meanwhile. Raises RequestError, UnavailableError."""
        for alias in self.aliases:
            known(alias, self.settings)
        with self._server() as url:
            queue = RedisQueue.from_settings(self.settings, url)
            queue.ping(slow=lambda words: logger().warning("queue.unavailable", error=words))
            store = open_store(self.settings.store_url, self.settings.store_options)
            batches = OpenBatches(store, batch_scan_s=self.settings.batch_scan_s)
            kinds = load_kinds(self.settings.templates_dir)
            deliverer = Deliverer(store, self.settings.options_for, kinds)
            errands = Errands(deliverer.deliver, partial(catch_up, store, Damage()))
            sweeper = Sweeper(
                store,
                queue,
                batches,
                self.settings.prices,
                breaker_rows=self.settings.breaker_rows,
                on_published=self._metrics.published,
                after_sweep=errands,
                compact_segments=self.settings.compact_segments,
            )
            self._serve_metrics()
            fleet = Fleet(self.settings, url, connect(self.settings.ray_address))
            try:
                self._staff(fleet, self.aliases)
                logger().info(
                    "fleet.started",
                    workers=len(fleet.replicas),
                    lanes=list(self.aliases),
                    address=fleet.cluster.address,
                )
                self._loop(fleet, sweeper)
                fleet.drain(self.settings.drain_s, meanwhile=lambda: self._hasten(fleet))
                self._sweep(sweeper)
                self._finish(errands)
            finally:
                fleet.kill()
                self._metrics.close()
        return len(sweeper.published)

    def _loop(self, fleet: Fleet, sweeper: Sweeper) -> None:
        swept_at, noted_at, said_at = 0.0, 0.0, time.monotonic()
        progress = StatusReader(sweeper.store, sweeper.queue)
        while not self._interrupts and time.time() < self.until:
            fleet.watch()
            if time.monotonic() - swept_at >= self.settings.publish_check_s:
                swept_at = time.monotonic()
                still_open = self._sweep(sweeper, fleet)
                if still_open == 0 and self.until_empty:
                    return
                if not self.aliases:
                    self._staff(fleet, sorted(_needed(sweeper)))
                if still_open and time.monotonic() - said_at >= PROGRESS_S:
                    said_at = time.monotonic()
                    log_progress(progress, [index.batch.batch_id for index in sweeper.batches])
            if self.settings.metrics_port is not None and time.monotonic() - noted_at >= METRICS_S:
                noted_at = time.monotonic()
                self._note(fleet, sweeper)
            time.sleep(min(TICK_S, self.settings.publish_check_s))

    def _finish(self, errands: Errands) -> None:
        """What was published is delivered before the end; once interrupted, only within the grace time."""
        last = time.monotonic() + self.settings.drain_s
        while not errands.finish(TICK_S) and not (self._interrupts and time.monotonic() >= last):
            if self._interrupts > 1:
                return

    def _serve_metrics(self) -> None:
        port, host = self.settings.metrics_port, self.settings.metrics_host
        if port is None:
            return
        try:
            port = self._metrics.serve(host, port)
        except OSError as error:
            raise RequestError(f"no metrics at {host}:{port}: {error.strerror}. Set metrics_port.") from None
        logger().info("metrics.served", host=host, port=port)

    def _note(self, fleet: Fleet, sweeper: Sweeper) -> None:
        """Bring the metrics up to date; while Redis is away they stay as they are."""
        with contextlib.suppress(UnavailableError):
            lanes = {lane: sweeper.queue.snapshot(lane) for lane in sweeper.queue.lanes()}
            self._metrics.update(fleet.statuses(), lanes, sweeper.batches, datetime.now(UTC))

    def _sweep(self, sweeper: Sweeper, fleet: Fleet | None = None) -> int | None:
        """How many batches are open; None when Redis or the storage is away, also to the fleet, which is said once.

        A damaged batch is open, even where it is none of those that could be counted, and no other waits for it.
        """
        still_open, damage = None, list[StoreDamaged]()
        with self._outages.waited_for():
            with collect_damage(damage):
                still_open = sweeper.sweep()
            if damage:
                still_open = max(1, len(list(sweeper.batches)))
            if fleet is not None:
                fleet.allocate(partial(has_work, sweeper.queue, sweeper.batches))
                fleet.check_workers()
            if damage:
                raise damage[0]
        return still_open

    def _staff(self, fleet: Fleet, aliases: Sequence[str]) -> None:
        for alias in aliases:
            if alias in self.settings.catalog:
                fleet.staff(alias, self.workers or workers_per_lane(self.settings.catalog[alias], fleet.cluster))
            elif alias not in self._said:
                self._said.add(alias)
                logger().warning("model.unknown", model=alias, known=sorted(self.settings.catalog))

    @cached_property
    def _outages(self) -> Outages:
        folder = None if self.settings.redis_url is not None else embedded_redis.folder_of(self.settings)
        return Outages(lambda event, message: logger().warning(event, message=message), folder)

    def _hasten(self, fleet: Fleet) -> None:
        if self._interrupts > 1:
            fleet.kill()

    @contextlib.contextmanager
    def _server(self) -> Iterator[str]:
        if self.settings.redis_url is not None:
            yield self.settings.redis_url.get_secret_value()
            return
        with embedded_redis.server(embedded_redis.folder_of(self.settings)) as url:
            yield url


def log_progress(reader: StatusReader, batch_ids: Sequence[str]) -> None:
    """One line for each batch: how far it is, and how fast. While Redis or the storage is away there is none.

    Nor are there more once one was deleted since the last sweep: the next one knows of it.
    """
    with contextlib.suppress(UnavailableError, NoBatch):
        for one in reader.read(batch_ids, faults=[]).batches:  # a sweep names what is damaged
            end = one.expected_end.isoformat(timespec="seconds") if one.expected_end else None
            logger().info(
                "batch.progress",
                batch=one.id,
                state=one.state,
                rows=one.rows,
                completed=one.completed,
                failed=one.failed,
                rows_per_s=round(one.rows_per_s or 0.0, 2),
                tokens_per_s=round(one.tokens_per_s or 0.0, 1),
                expected_end=end,
            )


def known(alias: str, settings: Settings) -> str:
    """The alias itself. Raises RequestError, which lists the known ones, when the catalog lacks it."""
    if alias not in settings.catalog:
        raise RequestError(f"unknown model {alias!r}: the known ones are {', '.join(sorted(settings.catalog))}")
    return alias


def _needed(sweeper: Sweeper) -> set[str]:
    return {lane.model for index in sweeper.batches for lane in index.batch.lanes.values()}

"""`nightpress work`: a fleet on a Ray cluster for all open batches, until it is interrupted.

The fleet has workers for the models that were asked for, or else for those that open batches need. On one cluster all fleets of a
store are one: a second command stands by, what it wants is done by the first, and it takes over when the first ends. On different
clusters any number may run: they share the queue and the storage, and nothing else.
"""

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final

from jobs.accounts.summaries import catch_up
from jobs.batches.batch import Batch, Done
from jobs.errors import NoBatch, RequestError, StoreUnavailable, UnavailableError
from jobs.kinds.registry import load_kinds
from jobs.lanes.protocol import LaneSnapshot
from jobs.lanes.redis_queue import RedisQueue
from jobs.logs import logger
from jobs.operations.status import BatchStatus
from jobs.operations.status_reader import StatusReader
from jobs.publishing.auditing import Auditor
from jobs.publishing.delivery import Deliverer, undelivered_url
from jobs.publishing.remembering import Rememberer
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.damage import Damage
from jobs.store.identity import make_id
from jobs.store.opening import open_store
from jobs.store.store import NAMED_PATHS, Store
from jobs.submissions.clerk import Clerk
from workers.fleet.after_publishing import AfterPublishing
from workers.fleet.cluster import connect
from workers.fleet.desk.seat import Desk, Holder, Wish
from workers.fleet.fleet import Fleet
from workers.fleet.handles import Cluster
from workers.fleet.supervisor import Supervisor, open_models
from workers.monitoring.fleet_metrics import FleetMetrics
from workers.monitoring.monitor import Monitor
from workers.monitoring.traces import RowTraces, open_traces

PROGRESS_S: Final = 60.0
"""Seconds between two times that the log says how far each open batch is."""
METRICS_S: Final = 2.0
"""Seconds between two updates of the metrics. The figures of a scrape are about this old at most while Redis answers."""
CLUSTER_AWAY: Final = "the Ray cluster does not answer: look at its head node"
"""What `/readyz` says of a cluster that is away."""
FINISH_S: Final = 0.5
"""Seconds between two checks of whether the last deliveries are done."""


@dataclass
class Work:
    """Runs a fleet until `interrupt` is called, or with `until_empty` until no batch is open. A Work is its supervisor's Goal.

    With `holder` it is the work of a detached supervisor: its workers outlive it. Raises RequestError if the settings ask for
    traces and OpenTelemetry is not installed.
    """

    settings: Settings
    aliases: Sequence[str] = ()
    workers: int | None = None
    until_empty: bool = False
    holder: Holder | None = None
    supervisor: Supervisor = field(init=False)
    _monitor: Monitor = field(default_factory=Monitor)
    _traces: RowTraces | None = field(init=False)
    _after: AfterPublishing = field(init=False)
    _audits: AfterPublishing = field(init=False)
    _reader: StatusReader | None = None
    _metrics_at: float = float("-inf")
    _lanes: Mapping[str, LaneSnapshot] = field(default_factory=dict)
    _progress_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        settings = self.settings
        self._traces = open_traces(settings.traces, {"service.instance.id": "fleet"})
        store = open_store(settings.store_url, settings.store_options, settings.file_mode_bits)
        self._after = _after_publishing(store, settings, self._monitor.metrics)
        self._audits = _audits(
            store, settings, self._monitor.metrics
        )  # on a thread of their own, as they may take minutes
        self.supervisor = Supervisor(
            settings,
            store,
            partial(connect, settings.ray_address, grows_to=settings.grows_to)
            if self.holder is None
            else partial(kept_cluster, store, settings.grows_to),
            lambda event, message: logger().warning(event, message=message),
            wish=Wish(tuple(self.aliases), self.workers),
            open_desk=partial(open_desk, store, self.holder),
            sweep_s=settings.publish_check_s,
            on_published=self._published,
            after_sweep=self._after_sweep,
        )

    def interrupt(self) -> None:
        """Drain and end. A second call ends the workers at once. Safe in a signal handler."""
        self._monitor.health.end()
        self.supervisor.interrupt()

    def run(self) -> None:
        """Work until the end.

        Raises:
            RequestError: A model is unknown, or the port of the metrics is taken.
            UnavailableError: Redis, the storage or Ray does not answer at the start, or Ray is lost. With
                `until_empty` also: outputs could not be copied to their output URL.
        """
        for alias in self.aliases:
            known(alias, self.settings)
        self._serve_metrics()
        try:
            self.supervisor.run(self)
            self._finish()
            if self.until_empty and not self.supervisor.interrupts:
                check_delivered(self.supervisor.store)
        finally:
            self._monitor.close()
            if self._traces is not None:
                self._traces.close()

    # -- what the supervisor asks -----------------------------------------------------------------------------------

    def models(self, sweeper: Sweeper) -> Iterable[str]:
        self._monitor.watch(sweeper.store, sweeper.queue)
        return self.aliases or open_models(sweeper.batches)

    def look(self, sweeper: Sweeper) -> None:
        pass

    def is_reached(self, sweeper: Sweeper, still_open: int | None) -> bool:
        if still_open and time.monotonic() - self._progress_at >= PROGRESS_S:
            self._progress_at = time.monotonic()
            self._reader = self._reader or StatusReader(sweeper.store, sweeper.queue)
            batches = [index.batch.batch_id for index in sweeper.batches]
            self._monitor.metrics.progressed(log_progress(self._reader, batches))
        if still_open is not None:
            self._monitor.metrics.swept()
        return self.until_empty and still_open == 0

    def tick(self, sweeper: Sweeper, fleet: Fleet) -> None:
        """Update the metrics and the health every METRICS_S seconds. While Redis is away, the old figures of lanes stay."""
        if not self._monitor.is_serving or time.monotonic() - self._metrics_at < METRICS_S:
            return
        self._metrics_at = time.monotonic()
        is_away = fleet.cluster.is_away()
        statuses = () if is_away else fleet.statuses()
        wanted = sum(not replica.parked for replica in fleet.replicas)
        self._monitor.health.beat(wanted, statuses, cluster_fault=CLUSTER_AWAY if is_away else "")
        with contextlib.suppress(UnavailableError):
            self._lanes = {lane: sweeper.queue.snapshot(lane) for lane in sweeper.queue.lanes()}
        damaged = sweeper.damaged
        self._monitor.metrics.update(
            statuses, self._lanes, sweeper.batches, datetime.now(UTC), deaths=fleet.deaths, damaged=damaged
        )

    def show_phase(self, phase: str) -> None:
        self._monitor.health.phase = phase

    def _published(self, batch: Batch, done: Done, seconds: float) -> None:
        self._monitor.metrics.published(batch, done, seconds)
        if self._traces is not None:
            spans = partial(self._traces.published, batch, done, seconds)
            threading.Thread(target=spans, name="traces", daemon=True).start()

    # -- after the supervisor has ended --------------------------------------------------------------------------------

    def _after_sweep(self, published: bool) -> None:
        self._after(published)
        self._audits(published)

    def _finish(self) -> None:
        """Wait until the published rounds are delivered and audited.

        After one interrupt wait for `drain_s` at most; after two, not at all.
        """
        last = time.monotonic() + self.settings.drain_s
        while not (self._after.finish(FINISH_S) and self._audits.finish(FINISH_S)):
            interrupts = self.supervisor.interrupts
            if interrupts > 1 or (interrupts and time.monotonic() >= last):
                return

    def _serve_metrics(self) -> None:
        port, host = self.settings.metrics_port, self.settings.metrics_host
        if port is None:
            return
        try:
            port = self._monitor.serve(host, port)
        except OSError as error:
            raise RequestError(f"no metrics at {host}:{port}: {error.strerror}. Set metrics_port.") from None
        logger().info("metrics.served", host=host, port=port)
        if self.settings.redis_url is not None:  # an embedded server is not there yet; `models` tells of it
            store = self.supervisor.store
            self._monitor.watch(store, RedisQueue.from_settings(self.settings, store))


def open_desk(store: Store, holder: Holder | None, cluster: Cluster) -> Desk | None:
    """Return the desk of a store on a cluster, for the detached supervisor `holder` or else for this process.

    Returns None for a cluster that no other process can join. Raises StoreUnavailable if the store's id cannot be read.
    """
    if cluster.is_private:
        return None
    from workers.fleet.desk.ray_desk import RayDesk, namespace_of

    ours = Holder(
        id=secrets.token_hex(8),
        kind="foreground",
        host=socket.gethostname(),
        pid=os.getpid(),
        since=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return RayDesk(namespace_of(make_id(store)), holder or ours)


def kept_cluster(store: Store, grows_to: Mapping[str, float]) -> Cluster:
    """Return the cluster of a detached supervisor, which keeps its workers when the supervisor dies.

    `grows_to` says which resources it may grow to.
    """
    from workers.fleet.actor import RayCluster
    from workers.fleet.desk.ray_desk import namespace_of

    return RayCluster("the Ray of the detached supervisor", namespace=namespace_of(make_id(store)), grows_to=grows_to)


def check_delivered(store: Store) -> None:
    """Raise StoreUnavailable if a batch owes outputs that are not at its output URL. The error names the batches."""
    places = {batch_id: undelivered_url(store, batch_id) for batch_id in store.list("undelivered")}
    owing = [f"{batch_id} to {place}" for batch_id, place in places.items() if place is not None]
    if owing:
        more = f", and {len(owing) - NAMED_PATHS} more" if len(owing) > NAMED_PATHS else ""
        raise StoreUnavailable(
            f"outputs have not been taken to their output URL: {', '.join(owing[:NAMED_PATHS])}{more}. The log says why; "
            "give the same command again"
        )


def _after_publishing(store: Store, settings: Settings, metrics: FleetMetrics) -> AfterPublishing:
    """Make the tasks that follow publishing: deliver outputs, bring the accounts up to date, and admit what was submitted over
    HTTP and no gateway has taken up.
    """
    deliverer = Deliverer(store, settings.options_for, load_kinds(settings.templates_dir))
    metrics.undelivered = lambda: deliverer.owed
    clerk = Clerk(store, settings)
    return AfterPublishing(deliverer.deliver, partial(catch_up, store, Damage()), clerk.look)


def _audits(store: Store, settings: Settings, metrics: FleetMetrics) -> AfterPublishing:
    """Make the tasks that write published rounds into the translation memory, and audit them. Raises RequestError if the settings
    of audits are wrong.
    """
    kinds = load_kinds(settings.templates_dir)
    auditor = Auditor.from_settings(store, kinds, settings, metrics.audited)
    return AfterPublishing(Rememberer(store, kinds, settings).remember, auditor.audit)


def log_progress(reader: StatusReader, batch_ids: Sequence[str]) -> Sequence[BatchStatus]:
    """Log how far each batch is, and how fast. Returns the status of each.

    Logs and returns nothing while Redis or the storage is away, or if a batch was deleted.
    """
    statuses: Sequence[BatchStatus] = ()
    with contextlib.suppress(UnavailableError, NoBatch):
        statuses = reader.read(batch_ids, faults=[]).batches  # damaged batches are left out; a sweep reports them
        for one in statuses:
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
    return statuses


def known(alias: str, settings: Settings) -> str:
    """Return `alias` unchanged. Raises RequestError, which lists the known aliases, if the catalog lacks it."""
    if alias not in settings.catalog:
        raise RequestError(f"unknown model {alias!r}: the known ones are {', '.join(sorted(settings.catalog))}")
    return alias

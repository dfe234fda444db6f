"""Everything in one process tree: make the batch, start a server, Ray and workers, publish, copy the files out.

`run` is what a laptop and a nightly script use. It starts things side by side, shows how far it is, drains when it is
interrupted, and goes on where it was when it is called again, since the output folder is the batch's run key.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial

from jobs.batches.batch import Batch, Done
from jobs.batches.open_batches import OpenBatches
from jobs.batches.outcome_index import OutcomeIndex
from jobs.batches.rounds import read_round, require_batch
from jobs.errors import BatchPaused
from jobs.lanes.redis_queue import RedisQueue
from jobs.logs import logger
from jobs.publishing.sweeper import Sweeper
from jobs.settings import Settings
from jobs.store.store import Store
from workers.fleet import embedded_redis
from workers.fleet.allocation import has_work
from workers.fleet.cluster import Cluster, connect, workers_per_lane
from workers.fleet.fleet import Fleet
from workers.fleet.outages import Outages

TICK_S = 0.2


@dataclass(frozen=True)
class Moment:
    """How far a run is: what storage has, and what is going on meanwhile."""

    phase: str
    index: OutcomeIndex | None = None
    elapsed_s: float = 0.0


@dataclass
class Run:
    """One batch, from open to published.

    `show` is called a few times a second, `say` with a line when something is away or back. `interrupt` asks the run to
    drain; called again, it ends the workers at once.
    """

    store: Store
    batch: Batch
    settings: Settings
    show: Callable[[Moment], None] = lambda _: None
    say: Callable[[str], None] = lambda _: None
    workers: int | None = None
    timings: dict[str, float] = field(default_factory=dict)
    _interrupts: int = 0
    _began: float = field(default_factory=time.monotonic)

    def interrupt(self) -> None:
        """Drain; the second time, end at once. Safe in a signal handler."""
        self._interrupts += 1

    def until_published(self) -> Done | None:
        """Work until the batch is published; None when it was interrupted.

        Raises UnavailableError, BatchPaused, and NoBatch where it was deleted meanwhile.
        """
        done = read_round(self.store, self.batch).published
        if done is not None:
            return done
        if self.settings.redis_url is not None:
            with contextlib.closing(RedisQueue.from_settings(self.settings)) as queue:
                # From its first answer on it may be away, and is waited for; before, its URL may be wrong.
                queue.ping(self.say)
        only = frozenset([self.batch.batch_id])
        with ThreadPoolExecutor(1, "ray") as pool:
            joined = pool.submit(self._connect) if self.batch.lanes else None
            with self._server() as url:
                queue = RedisQueue.from_settings(self.settings, url)
                batches = OpenBatches(self.store, only, self.settings.batch_scan_s)
                sweeper = Sweeper(
                    self.store,
                    queue,
                    batches,
                    self.settings.prices,
                    breaker_rows=self.settings.breaker_rows,
                    compact_segments=self.settings.compact_segments,
                )
                if joined is None:  # every row was refused: nothing to generate
                    return self._swept(sweeper)
                self._await(joined)
                if self._interrupts:
                    return None
                return self._with_fleet(Fleet(self.settings, url, joined.result(), only), sweeper)

    def _with_fleet(self, fleet: Fleet, sweeper: Sweeper) -> Done | None:
        for lane in self.batch.lanes.values():
            card = self.settings.catalog[lane.model]
            fleet.staff(lane.model, self.workers or workers_per_lane(card, fleet.cluster))
        logger().info("fleet.started", workers=len(fleet.replicas), lanes=list(self.batch.lanes), **self.timings)
        try:
            while not self._interrupts:
                fleet.watch()
                done = self._swept(sweeper, fleet)
                self._time_the_load(fleet)
                if done is not None:
                    fleet.drain(0.0)
                    logger().info("run.timed", **self.timings)
                    return done
                time.sleep(TICK_S)
            fleet.drain(self.settings.drain_s, meanwhile=lambda: self._drain_shown(fleet))
            return self._swept(sweeper)
        finally:
            fleet.kill()

    def _time_the_load(self, fleet: Fleet) -> None:
        """Once, when the first row is there: how long the model took to load."""
        if "first_row_s" in self.timings and "load_s" not in self.timings:
            loads = [status["load_s"] for status in fleet.statuses() if "load_s" in status]
            self.timings["load_s"] = round(max(loads, default=0.0), 2)

    def _drain_shown(self, fleet: Fleet) -> None:
        if self._interrupts > 1:
            fleet.kill()
        self._say("finishing what is nearly done; Ctrl-C again to stop at once")

    def _swept(self, sweeper: Sweeper, fleet: Fleet | None = None) -> Done | None:
        index = sweeper.batches.get(self.batch.batch_id)
        with self._outages.waited_for():
            sweeper.sweep()
            index = sweeper.batches.get(self.batch.batch_id)
            if index is None:
                require_batch(self.store, self.batch.batch_id)
            elif index.done is None:
                index.refresh()
            if fleet is not None:
                fleet.allocate(partial(has_work, sweeper.queue, sweeper.batches))
                fleet.check_workers()
        if index is not None and index.done is None and index.current.paused is not None:
            batch_id = self.batch.batch_id
            raise BatchPaused(
                f"{batch_id} is paused: {index.current.paused.reason}. "
                f"Mend the cause, then nightpress resume {batch_id}, and the same command again"
            )
        if "first_row_s" not in self.timings and index is not None and sum(index.counts.values()) > self.batch.refused:
            self.timings["first_row_s"] = round(time.monotonic() - self._began, 2)
        self._say("generating", index)
        return sweeper.published.get(self.batch.batch_id)

    @cached_property
    def _outages(self) -> Outages:
        folder = None if self.settings.redis_url is not None else embedded_redis.folder_of(self.settings)
        return Outages(lambda _, message: self.say(message), folder)

    def _say(self, phase: str, index: OutcomeIndex | None = None) -> None:
        self.show(Moment(phase, index, time.monotonic() - self._began))

    def _connect(self) -> Cluster:
        began = time.monotonic()
        cluster = connect(self.settings.ray_address, local=self.settings.ray_address is None)
        self.timings["ray_s"] = round(time.monotonic() - began, 2)
        return cluster

    def _await(self, joined: Future[Cluster]) -> None:
        while not joined.done() and not self._interrupts:
            self._say("starting Ray")
            time.sleep(TICK_S / 4)
        if joined.done():
            joined.result()

    @contextlib.contextmanager
    def _server(self) -> Iterator[str]:
        if self.settings.redis_url is not None:
            yield self.settings.redis_url.get_secret_value()
            return
        began = time.monotonic()
        with embedded_redis.server(embedded_redis.folder_of(self.settings)) as url:
            self.timings["server_s"] = round(time.monotonic() - began, 2)
            yield url

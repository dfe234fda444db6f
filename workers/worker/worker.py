"""A worker: one engine and the runner that feeds it, put together from settings. It knows no Ray.

Everything heavy is made in `run`, so that a worker answers `stop` and `status` while its model loads.
"""

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from jobs.batches.open_batches import OpenBatches
from jobs.errors import RequestError
from jobs.kinds.registry import load_kinds
from jobs.lanes.redis_queue import RedisQueue
from jobs.logs import configure, logger
from jobs.settings import Settings
from jobs.store.opening import open_store
from workers.engines.protocol import Engine
from workers.engines.registry import Loaded, load
from workers.engines.warm_start import fetching_s
from workers.monitoring.traces import RowTraces, open_traces
from workers.monitoring.worker_metrics import WorkerMetrics
from workers.worker.context import WorkerContext
from workers.worker.loading import LoadingSign
from workers.worker.runner import Runner

ANSWER_S: Final = 0.5
"""A worker that is stopped while its model loads ends its process after this many seconds, so that calls are still answered."""


@dataclass(frozen=True)
class WorkerPlan:
    """The name of a worker, and what it works on. `only` holds the ids of its batches; None means all open batches."""

    worker: str
    alias: str
    redis_url: str = field(repr=False)  # the URL may hold a password
    settings: Settings
    only: frozenset[str] | None = None
    node: str = ""


class Worker:
    """Works on one lane until stopped.

    If the engine fails at work, `end_process` ends the process: the engine's state can no longer be trusted, and closing it may
    hang. Finished rows are written first; the leases of the other rows run out.
    """

    def __init__(self, plan: WorkerPlan, end_process: Callable[[int], object] = os._exit) -> None:
        self._plan = plan
        self._end_process = end_process
        self._loaded = threading.Event()
        self._runner: Runner | None = None
        self._engine: Engine | None = None
        self._stop_drain_s: float | None = None
        self._left = ""
        self._is_loading = False
        self._lock = threading.Lock()
        self._timings: dict[str, float] = {}
        self._metrics = WorkerMetrics(plan.settings.prices)

    def run(self) -> Mapping[str, Any]:
        """Load the model, and work until stopped. Returns a mapping with `load_s`, the seconds that loading took.

        If the worker was stopped before, nothing is loaded. If it left by `leave`, the mapping also has the reason, as `left`.
        Raises the engine's error.
        """
        plan = self._plan
        self._configure_logs()
        began = time.monotonic()
        card = plan.settings.catalog[plan.alias]
        if not self._begins():
            return self._figures()
        with self._shown_as_loading():
            loaded = load(plan.alias, card, plan.settings.cache_dir, plan.settings.node_weights_dir)
        took_s, engine = time.monotonic() - began, loaded.engine
        device = engine.stats().device
        logger().info("engine.loaded", model=plan.alias, engine=loaded.name, device=device, load_s=round(took_s, 2))
        context = self._context(loaded)
        runner = Runner(context, engine, end_process=self._end_process)
        with self._lock:
            self._engine, self._runner, self._is_loading = engine, runner, False
            self._timings["load_s"] = took_s  # from here on it drains when it is stopped, and its status says so
            if self._stop_drain_s is not None:
                runner.stop(self._stop_drain_s)
        self._loaded.set()
        try:
            runner.run()
        finally:
            self._engine = None
            if (failure := sys.exception()) is not None:
                logger().error("worker.failed", error=_first_line(failure))
                self._end_process(1)
        engine.close()
        if context.traces is not None:
            context.traces.close()
        return self._figures()

    def wait_loaded(self) -> bool:
        """Wait until the engine is loaded, and return True; False if the worker leaves before. Never returns if loading fails."""
        self._loaded.wait()
        return self._runner is not None

    def stop(self, drain_s: float) -> None:
        """Begin to drain, as `Runner.stop` does. May be called again with a shorter time.

        While the model is loading, the worker holds no row, and nothing can end the load: the process ends at once.
        """
        with self._lock:
            self._stop_drain_s = min(drain_s, math.inf if self._stop_drain_s is None else self._stop_drain_s)
            if self._runner is not None:
                self._runner.stop(drain_s)
            elif self._is_loading:
                logger().info("worker.stopped", worker=self._plan.worker, released=0)
                self._loaded.set()
                ending = threading.Timer(ANSWER_S, self._end_process, [0])
                ending.daemon = True
                ending.start()

    @property
    def left_while_loading(self) -> str | None:
        """The reason why the worker leaves while its model loads, empty if it was only stopped; None if it does not leave so."""
        return self._left if self._is_loading and self._stop_drain_s is not None else None

    def leave(self, reason: str, drain_s: float) -> None:
        """Drain as `stop` does, without being told by a fleet. `run` returns the reason."""
        logger().info("worker.leaving", worker=self._plan.worker, reason=reason)
        self._left = reason
        self.stop(drain_s)

    def _begins(self) -> bool:
        """Note that the model loads from now on. False: the worker was stopped before."""
        with self._lock:
            self._is_loading = self._stop_drain_s is None
            return self._is_loading

    def _figures(self) -> Mapping[str, Any]:
        return {"load_s": 0.0, **self._timings, **({"left": self._left} if self._left else {})}

    def status(self) -> Mapping[str, Any]:
        """Return the state of the worker: jobs in hand, faults and metrics, and once the model is loaded, also the load time and
        the engine's figures.
        """
        runner, engine = self._runner, self._engine
        stats = None if engine is None else engine.stats()
        return {
            "worker": self._plan.worker,
            "pid": os.getpid(),
            "model": self._plan.alias,
            "running": runner.running if runner else 0,
            "store_fault": runner.store_fault if runner else "",
            "fetching_s": fetching_s(),
            "queue_fault": runner.queue_fault if runner else "",
            "store_damage": runner.store_damage if runner else "",
            "engine": {} if stats is None else {name: getattr(stats, name) for name in stats.__slots__},
            "metrics": self._metrics.samples(stats, runner.lease_losses if runner else 0),
            **self._timings,
        }

    def _configure_logs(self) -> None:
        configure(self._plan.settings.log_level, self._plan.settings.log_format)

    @contextmanager
    def _shown_as_loading(self) -> Iterator[None]:
        """Let the queue show this worker as loading its model while the block lasts."""
        plan, settings = self._plan, self._plan.settings
        store = open_store(settings.store_url, settings.store_options, settings.file_mode_bits)
        queue = RedisQueue.from_settings(settings, store, plan.redis_url)
        lane, lease_ms = settings.lane_of(plan.alias), int(settings.lease_s * 1000)
        with closing(queue), LoadingSign(queue, lane, plan.worker, plan.node, lease_ms, queue.lanes):
            yield

    def _context(self, loaded: Loaded) -> WorkerContext:
        plan, settings = self._plan, self._plan.settings
        store = open_store(settings.store_url, settings.store_options, settings.file_mode_bits)
        stats = loaded.engine.stats()
        return WorkerContext.over(
            store,
            RedisQueue.from_settings(settings, store, plan.redis_url),
            OpenBatches(store, plan.only, settings.batch_scan_s),
            settings,
            worker=plan.worker,
            node=plan.node,
            model=plan.alias,
            stats=stats,
            kinds=load_kinds(settings.templates_dir),
            identity={"engine": loaded.name, "device": stats.device, **loaded.identity},
            adapters=loaded.adapters,
            metrics=self._metrics,
            traces=self._traces(),
        )

    def _traces(self) -> RowTraces | None:
        """Return the traces that the settings ask for. If OpenTelemetry is missing on this node, rows are done without them."""
        plan = self._plan
        about = {"service.instance.id": plan.worker, **({"host.name": plan.node} if plan.node else {})}
        try:
            return open_traces(plan.settings.traces, about, plan.settings.lane_of(plan.alias))
        except RequestError as error:
            logger().warning("traces.unavailable", error=str(error))
            return None


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"

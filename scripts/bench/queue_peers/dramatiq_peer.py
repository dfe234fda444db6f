"""Runs Dramatiq for `scripts/bench/lanes.py`, with a thread for each job of a batch, but at most 8 (Dramatiq's default)."""

import os
import sys
import threading
import time
from typing import Any

from bench_job import (
    BATCH,
    DURABLE,
    HELD,
    JOBS,
    REDELIVER_S,
    RESULTS,
    URL,
    job_id,
    report,
    report_results,
    rows,
    run,
    stored,
)

os.environ["dramatiq_queue_prefetch"] = str(HELD)  # noqa: SIM112 - dramatiq's own name; read at import

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import ResultFailure, ResultMissing, Results
from dramatiq.results.backends import RedisBackend


class Backend(RedisBackend):
    """A result backend that records which results it stored. Dramatiq acknowledges a message after its result was stored."""

    def store_result(self, message: Any, result: Any, ttl: int) -> None:
        """Store the result, and then record it."""
        super().store_result(message, result, ttl)
        stored(result)

    def has(self, message: Any) -> bool:
        """Whether the store has a successful result for this message."""
        try:
            self.get_result(message)
        except (ResultMissing, ResultFailure):
            return False
        return True


soon = {"heartbeat_timeout": REDELIVER_S * 1000, "maintenance_chance": 100_000} if DURABLE else {}
broker = RedisBroker(url=URL, **soon)
backend = Backend(url=URL)
if RESULTS:
    broker.add_middleware(Results(backend=backend, store_results=True, result_ttl=10**9))
dramatiq.set_broker(broker)
task = dramatiq.actor(run, actor_name="run", queue_name="bench")

if sys.argv[1] == "enqueue":
    waiting = rows()
    began = time.perf_counter()
    for n, payload in waiting:
        if RESULTS:
            broker.enqueue(task.message(n, payload).copy(message_id=job_id(n)))
        else:
            task.send(n, payload)
    report(time.perf_counter() - began)
elif sys.argv[1] == "results":
    report_results(n for n in range(JOBS) if backend.has(task.message(n, "").copy(message_id=job_id(n))))
else:
    dramatiq.Worker(broker, worker_threads=min(BATCH, 8), worker_timeout=100).start()
    threading.Event().wait()

"""Runs Celery for `scripts/bench/lanes.py`, with the solo pool and without gossip."""

import sys
import time
from typing import Any

from bench_job import BATCH, DURABLE, JOBS, REDELIVER_S, RESULTS, URL, job_id, report, report_results, rows, run, stored
from celery import Celery
from celery.backends.redis import RedisBackend


class Backend(RedisBackend):
    """A result backend that records which results it stored. Celery acknowledges a task after its result was stored."""

    def mark_as_done(self, task_id: str, result: Any, *args: Any, **kwargs: Any) -> None:
        """Store the result, and then record it."""
        super().mark_as_done(task_id, result, *args, **kwargs)
        if RESULTS:
            stored(result)


app = Celery("bench", broker=URL, backend=f"{__name__}:Backend+{URL}" if RESULTS else None)
app.conf.update(
    task_ignore_result=not RESULTS, result_expires=None, worker_prefetch_multiplier=BATCH, task_compression=None
)
app.conf.update(
    broker_connection_retry_on_startup=True, worker_hijack_root_logger=False, task_store_errors_even_if_ignored=False
)
if DURABLE:
    app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True)
    app.conf.update(worker_prefetch_multiplier=1)
    often = {"unacked_restore_interval": 1, "unacked_restore_throttle": 1}
    app.conf.update(broker_transport_options={"visibility_timeout": REDELIVER_S, **often})
task = app.task(run, name="bench.run")

if sys.argv[1] == "enqueue":
    waiting = rows()
    began = time.perf_counter()
    with app.producer_pool.acquire(block=True) as producer:
        for n, payload in waiting:
            task.apply_async((n, payload), producer=producer, task_id=job_id(n) if RESULTS else None)
    report(time.perf_counter() - began)
elif sys.argv[1] == "results":
    report_results(n for n in range(JOBS) if app.AsyncResult(job_id(n)).successful())
else:
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR")
    app.worker_main(["worker", "-P", "solo", "-c", "1", *quiet])

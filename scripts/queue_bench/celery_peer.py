"""Celery in `scripts/bench_queue.py`: solo pool, results off, no gossip."""

import sys
import time

from bench_job import BATCH, DURABLE, REDELIVER_S, URL, report, rows, run
from celery import Celery

app = Celery("bench", broker=URL)
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=BATCH, task_compression=None)
app.conf.update(
    broker_connection_retry_on_startup=True, worker_hijack_root_logger=False, task_store_errors_even_if_ignored=False
)
if DURABLE:
    app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True)
    app.conf.update(broker_transport_options={"visibility_timeout": REDELIVER_S})
task = app.task(run, name="bench.run")

if sys.argv[1] == "enqueue":
    waiting = rows()
    began = time.perf_counter()
    with app.producer_pool.acquire(block=True) as producer:
        for n, payload in waiting:
            task.apply_async((n, payload), producer=producer)
    report(time.perf_counter() - began)
else:
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR")
    app.worker_main(["worker", "-P", "solo", "-c", "1", *quiet])

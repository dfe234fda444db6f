"""Dramatiq in `scripts/bench_queue.py`: 8 threads (its default) that share a prefetch, or one."""

import os
import sys
import threading
import time

from bench_job import BATCH, DURABLE, HELD, REDELIVER_S, URL, report, rows, run

os.environ["dramatiq_queue_prefetch"] = str(HELD)  # noqa: SIM112 - its name; read at import

import dramatiq
from dramatiq.brokers.redis import RedisBroker

soon = {"heartbeat_timeout": REDELIVER_S * 1000, "maintenance_chance": 100_000} if DURABLE else {}
broker = RedisBroker(url=URL, **soon)
dramatiq.set_broker(broker)
task = dramatiq.actor(run, actor_name="run", queue_name="bench")

if sys.argv[1] == "enqueue":
    waiting = rows()
    began = time.perf_counter()
    for n, payload in waiting:
        task.send(n, payload)
    report(time.perf_counter() - began)
else:
    dramatiq.Worker(broker, worker_threads=min(BATCH, 8), worker_timeout=100).start()
    threading.Event().wait()

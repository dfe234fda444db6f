"""RQ in `scripts/bench_queue.py`: SimpleWorker, which does not fork, and takes one job at a time; results off."""

import sys
import time
from itertools import islice

from bench_job import DURABLE, RATE, REDELIVER_S, URL, report, rows, run
from redis import Redis
from rq import Queue, Retry, SimpleWorker

connection = Redis.from_url(URL)
queue = Queue("bench", connection=connection)

if sys.argv[1] == "enqueue":
    waiting = rows()
    began = time.perf_counter()
    retry = Retry(max=3) if DURABLE else None
    while some := list(islice(waiting, 1 if RATE else 500)):
        queue.enqueue_many([Queue.prepare_data(run, args=pair, result_ttl=0, retry=retry) for pair in some])
    report(time.perf_counter() - began)
else:
    often = {"maintenance_interval": REDELIVER_S, "job_monitoring_interval": 1} if DURABLE else {}
    SimpleWorker([queue], connection=connection, **often).work(logging_level="ERROR")

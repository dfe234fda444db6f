"""Runs RQ for `scripts/bench/lanes.py`, with RQ's SimpleWorker, which does not fork and takes one job at a time."""

import sys
import time
from itertools import islice
from typing import Any

from bench_job import DURABLE, JOBS, RATE, REDELIVER_S, RESULTS, URL, job_id, report, report_results, rows, run, stored
from redis import Redis
from rq import Queue, Retry, SimpleWorker
from rq.job import Job

connection = Redis.from_url(URL)
queue = Queue("bench", connection=connection)


class Worker(SimpleWorker):
    """A worker that records which results it stored. RQ stores a result and acknowledges its job in one transaction."""

    def handle_job_success(self, job: Any, *args: Any, **kwargs: Any) -> None:
        """Store the result, and then record it."""
        super().handle_job_success(job, *args, **kwargs)
        if RESULTS:
            stored(job.args[0])


if sys.argv[1] == "enqueue":
    waiting = rows()
    began = time.perf_counter()
    options = {"retry": Retry(max=3), "timeout": REDELIVER_S} if DURABLE else {}
    options["result_ttl"] = -1 if RESULTS else 0
    while some := list(islice(waiting, 1 if RATE else 500)):
        jobs = [
            Queue.prepare_data(run, args=pair, job_id=job_id(pair[0]) if RESULTS else None, **options) for pair in some
        ]
        queue.enqueue_many(jobs)
    report(time.perf_counter() - began)
elif sys.argv[1] == "results":
    found = Job.fetch_many([job_id(n) for n in range(JOBS)], connection=connection)
    results = [(job, result) for job in found if job is not None for result in job.results()]
    report_results(job.args[0] for job, result in results if result.type == result.Type.SUCCESSFUL)
else:
    often = {"maintenance_interval": REDELIVER_S, "job_monitoring_interval": 1, "worker_ttl": 30} if DURABLE else {}
    Worker([queue], connection=connection, **often).work(logging_level="ERROR")

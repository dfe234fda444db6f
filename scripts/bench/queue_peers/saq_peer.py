"""Runs SAQ for `scripts/bench/lanes.py`. The number of coroutines is the number of jobs in a batch."""

import asyncio
import sys
import time
from typing import Any

from bench_job import (
    BATCH,
    DURABLE,
    JOBS,
    REDELIVER_S,
    RESULTS,
    URL,
    arun,
    job_id,
    report,
    report_results,
    rows,
    stored,
)
from saq import Status, Worker
from saq.queue.redis import RedisQueue


class Queue(RedisQueue):
    """A queue that records which results it stored. SAQ stores a result and acknowledges its job in one transaction."""

    async def _finish(self, job: Any, status: Status, **kwargs: Any) -> None:
        """Store the result, and then record it if the job succeeded."""
        await super()._finish(job, status, **kwargs)
        if RESULTS and status == Status.COMPLETE:
            stored(job.kwargs["n"])


queue = Queue.from_url(URL, name="bench")


async def job(_context: Any, *, n: int, payload: str) -> "int | None":
    """Run one job. SAQ passes a context as the first argument."""
    return await arun(n, payload)


async def enqueue() -> None:
    """Enqueue one job after another."""
    await queue.connect()
    waiting = rows()
    kept: dict[str, Any] = {"retries": 3, "heartbeat": REDELIVER_S} if DURABLE else {}
    kept["ttl"] = 0 if RESULTS else -1  # 0: results are kept for ever; -1: results are not kept
    began = time.perf_counter()
    for n, payload in waiting:
        named = {"key": job_id(n)} if RESULTS else {}
        await queue.enqueue("job", n=n, payload=payload, **named, **kept)
    report(time.perf_counter() - began)


async def results() -> None:
    """Report the jobs that have a successful result."""
    await queue.connect()
    found = [await queue.job(job_id(n)) for n in range(JOBS)]
    report_results(job.kwargs["n"] for job in found if job is not None and job.status == Status.COMPLETE)


async def work() -> None:
    """Work until the process is killed."""
    often = {"timers": {"sweep": 1}} if DURABLE else {}
    await Worker(queue, functions=[("job", job)], concurrency=BATCH, **often).start()


asyncio.run({"enqueue": enqueue, "work": work, "results": results}[sys.argv[1]]())

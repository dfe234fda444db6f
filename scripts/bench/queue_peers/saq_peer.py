"""Runs SAQ for `scripts/bench/lanes.py`, with as many coroutines as jobs in a batch."""

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
    """Records which results it stored. SAQ stores a result and acknowledges its job in one transaction."""

    async def _finish(self, job: Any, status: Status, **kwargs: Any) -> None:
        """Store the result, then record it."""
        await super()._finish(job, status, **kwargs)
        if RESULTS and status == Status.COMPLETE:
            stored(job.kwargs["n"])


queue = Queue.from_url(URL, name="bench")


async def job(_context: Any, *, n: int, payload: str) -> "int | None":
    """Run one job; SAQ passes a context first."""
    return await arun(n, payload)


async def enqueue() -> None:
    """Enqueue one job after another."""
    await queue.connect()
    waiting = rows()
    kept: dict[str, Any] = {"retries": 3, "heartbeat": REDELIVER_S} if DURABLE else {}
    kept["ttl"] = 0 if RESULTS else -1  # 0: results are kept for ever; -1: not at all
    began = time.perf_counter()
    for n, payload in waiting:
        named = {"key": job_id(n)} if RESULTS else {}
        await queue.enqueue("job", n=n, payload=payload, **named, **kept)
    report(time.perf_counter() - began)


async def results() -> None:
    """Report the successful results."""
    await queue.connect()
    found = [await queue.job(job_id(n)) for n in range(JOBS)]
    report_results(job.kwargs["n"] for job in found if job is not None and job.status == Status.COMPLETE)


async def work() -> None:
    """Work until the process is killed."""
    often = {"timers": {"sweep": 1}} if DURABLE else {}
    await Worker(queue, functions=[("job", job)], concurrency=BATCH, **often).start()


asyncio.run({"enqueue": enqueue, "work": work, "results": results}[sys.argv[1]]())

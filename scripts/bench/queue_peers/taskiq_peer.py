"""Runs taskiq for `scripts/bench/lanes.py`, with its list broker, which is the fastest, or its stream broker, which acknowledges.

The stream broker is used with the settings `kept`.
"""

import asyncio
import sys
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
    arun,
    job_id,
    report,
    report_results,
    rows,
    stored,
)
from taskiq.api import run_receiver_task
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend, RedisStreamBroker


class Backend(RedisAsyncResultBackend[Any]):
    """A result backend that records which results it stored. taskiq acknowledges a message after its result was stored."""

    async def set_result(self, task_id: str, result: Any) -> None:
        """Store the result, and then record it if the job succeeded."""
        await super().set_result(task_id, result)
        if not result.is_err:
            stored(result.return_value)

    async def has(self, task_id: str) -> bool:
        """Whether the store has a successful result for this task."""
        return await self.is_result_ready(task_id) and not (await self.get_result(task_id)).is_err


soon = {"idle_timeout": REDELIVER_S * 1000, "unacknowledged_lock_timeout": REDELIVER_S}
broker = RedisStreamBroker(URL, **soon) if DURABLE else ListQueueBroker(URL)
backend = Backend(URL)
if RESULTS:
    broker = broker.with_result_backend(backend)
task = broker.register_task(arun, "run")


async def enqueue() -> None:
    """Enqueue one job after another."""
    await broker.startup()
    waiting = rows()
    began = time.perf_counter()
    for n, payload in waiting:
        await (task.kicker().with_task_id(job_id(n)) if RESULTS else task).kiq(n, payload)
    report(time.perf_counter() - began)


async def results() -> None:
    """Report the jobs that have a successful result."""
    report_results([n for n in range(JOBS) if await backend.has(job_id(n))])


async def work() -> None:
    """Work until the process is killed."""
    broker.is_worker_process = True
    await run_receiver_task(broker, max_async_tasks=BATCH, max_prefetch=HELD - 1, run_startup=True)


asyncio.run({"enqueue": enqueue, "work": work, "results": results}[sys.argv[1]]())

"""taskiq in `scripts/bench_queue.py`: its list broker, which is its fastest; its stream broker, which acknowledges."""

import asyncio
import sys
import time

from bench_job import BATCH, DURABLE, HELD, REDELIVER_S, URL, arun, report, rows
from taskiq.api import run_receiver_task
from taskiq_redis import ListQueueBroker, RedisStreamBroker

broker = RedisStreamBroker(URL, idle_timeout=REDELIVER_S * 1000) if DURABLE else ListQueueBroker(URL)
task = broker.register_task(arun, "run")


async def enqueue() -> None:
    """One after another."""
    await broker.startup()
    waiting = rows()
    began = time.perf_counter()
    for n, payload in waiting:
        await task.kiq(n, payload)
    report(time.perf_counter() - began)


async def work() -> None:
    """Until it is killed."""
    broker.is_worker_process = True
    await run_receiver_task(broker, max_async_tasks=BATCH, max_prefetch=HELD - 1, run_startup=True)


asyncio.run(enqueue() if sys.argv[1] == "enqueue" else work())

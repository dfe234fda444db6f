"""SAQ in `scripts/bench_queue.py`: as many coroutines as the batch; results off."""

import asyncio
import sys
import time
from typing import Any

from bench_job import BATCH, DURABLE, REDELIVER_S, URL, arun, report, rows
from saq import Queue, Worker

queue = Queue.from_url(URL, name="bench")


async def job(_context: Any, *, n: int, payload: str) -> None:
    """SAQ passes a context first."""
    await arun(n, payload)


async def enqueue() -> None:
    """One after another."""
    await queue.connect()
    waiting = rows()
    kept: dict[str, Any] = {"retries": 3, "heartbeat": REDELIVER_S} if DURABLE else {}
    began = time.perf_counter()
    for n, payload in waiting:
        await queue.enqueue("job", n=n, payload=payload, ttl=-1, **kept)
    report(time.perf_counter() - began)


async def work() -> None:
    """Until it is killed."""
    often = {"timers": {"sweep": 1}} if DURABLE else {}
    await Worker(queue, functions=[("job", job)], concurrency=BATCH, **often).start()


asyncio.run(enqueue() if sys.argv[1] == "enqueue" else work())

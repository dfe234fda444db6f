"""arq in `scripts/bench_queue.py`: it is given the shortest poll, since it sleeps between reads; results off."""

import asyncio
import sys
import time
from typing import Any

from arq.connections import RedisSettings, create_pool
from arq.worker import Worker, func
from bench_job import BATCH, DURABLE, REDELIVER_S, URL, arun, report, rows

settings = RedisSettings.from_dsn(URL)


async def job(_context: Any, n: int, payload: str) -> None:
    """Arq passes a context first."""
    await arun(n, payload)


async def enqueue() -> None:
    """One after another: arq has no enqueueing of many."""
    pool = await create_pool(settings)
    waiting = rows()
    began = time.perf_counter()
    for n, payload in waiting:
        await pool.enqueue_job("job", n, payload)
    report(time.perf_counter() - began)


if sys.argv[1] == "enqueue":
    asyncio.run(enqueue())
else:
    asyncio.set_event_loop(asyncio.new_event_loop())
    timeout_s = {"job_timeout": REDELIVER_S} if DURABLE else {}
    Worker(
        [func(job, name="job", keep_result=0)], redis_settings=settings, max_jobs=BATCH, poll_delay=0.001, **timeout_s
    ).run()

"""Runs arq for `scripts/bench/lanes.py`. arq sleeps between two reads of its queue, so the poll delay is only 1 ms."""

import asyncio
import sys
import time
from typing import Any

from arq.connections import RedisSettings, create_pool
from arq.jobs import deserialize_result
from arq.worker import Worker, func
from bench_job import BATCH, DURABLE, REDELIVER_S, RESULTS, URL, arun, job_id, report, report_results, rows, stored

settings = RedisSettings.from_dsn(URL)


class RecordingWorker(Worker):
    """A worker that records which results it stored. arq stores a result and acknowledges its job in one transaction."""

    async def finish_job(self, job_id: str, finish: bool, result_data: bytes | None, *args: Any) -> None:
        """Store the result, and then record it if the job succeeded."""
        await super().finish_job(job_id, finish, result_data, *args)
        if result_data and (result := deserialize_result(result_data)).success:
            stored(result.args[0])


async def job(_context: Any, n: int, payload: str) -> "int | None":
    """Run one job. arq passes a context as the first argument."""
    return await arun(n, payload)


async def enqueue() -> None:
    """Enqueue one job after another, because arq cannot enqueue many at once."""
    pool = await create_pool(settings)
    waiting = rows()
    began = time.perf_counter()
    for n, payload in waiting:
        await pool.enqueue_job("job", n, payload, _job_id=job_id(n) if RESULTS else None)
    report(time.perf_counter() - began)


async def results() -> None:
    """Report the jobs that have a successful result."""
    found = await (await create_pool(settings)).all_job_results()
    report_results(result.args[0] for result in found if result.success)


if sys.argv[1] != "work":
    asyncio.run(enqueue() if sys.argv[1] == "enqueue" else results())
else:
    asyncio.set_event_loop(asyncio.new_event_loop())
    timeout_s = {"job_timeout": REDELIVER_S} if DURABLE else {}
    function = func(job, name="job", keep_result=0, keep_result_forever=RESULTS)
    RecordingWorker([function], redis_settings=settings, max_jobs=BATCH, poll_delay=0.001, **timeout_s).run()

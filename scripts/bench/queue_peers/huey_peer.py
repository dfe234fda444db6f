"""Runs Huey for `scripts/bench/lanes.py`, with a thread for each job of a batch, but at most 8.

Huey removes a job from its list before it runs the job, so a worker that dies loses the job.
"""

import sys
import time
from typing import Any

from bench_job import BATCH, RESULTS, URL, report, report_results, rows, run, stored
from huey import RedisHuey


class RecordingHuey(RedisHuey):
    """A Huey that records which results it stored."""

    def put_result(self, key: str, data: Any) -> None:
        """Store the result, and then record it if the job succeeded."""
        super().put_result(key, data)
        if isinstance(data, int):
            stored(data)


app = RecordingHuey("bench", url=URL, results=RESULTS)
task = app.task(name="run")(run)

if sys.argv[1] == "enqueue":
    waiting = rows()
    began = time.perf_counter()
    for n, payload in waiting:
        task(n, payload)
    report(time.perf_counter() - began)
elif sys.argv[1] == "results":
    found = [app.serializer.deserialize(data) for data in app.all_results().values()]
    report_results(result for result in found if isinstance(result, int))
else:
    app.create_consumer(workers=min(BATCH, 8), periodic=False, initial_delay=0.001, max_delay=0.01).run()

"""Huey in `scripts/bench/lanes.py`: 8 threads or one. It takes a job off its list before it runs it."""

import sys
import time
from typing import Any

from bench_job import BATCH, RESULTS, URL, report, report_results, rows, run, stored
from huey import RedisHuey


class Told(RedisHuey):
    """Tells which results it stored."""

    def put_result(self, key: str, data: Any) -> None:
        """Store it, then tell."""
        super().put_result(key, data)
        if isinstance(data, int):
            stored(data)


app = Told("bench", url=URL, results=RESULTS)
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

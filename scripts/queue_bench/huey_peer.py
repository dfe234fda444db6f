"""Huey in `scripts/bench_queue.py`: 8 threads or one; results off. It takes a job off its list before it runs it."""

import sys
import time

from bench_job import BATCH, URL, report, rows, run
from huey import RedisHuey

app = RedisHuey("bench", url=URL, results=False)
task = app.task(name="run")(run)

if sys.argv[1] == "enqueue":
    waiting = rows()
    began = time.perf_counter()
    for n, payload in waiting:
        task(n, payload)
    report(time.perf_counter() - began)
else:
    app.create_consumer(workers=min(BATCH, 8), periodic=False, initial_delay=0.001, max_delay=0.01).run()

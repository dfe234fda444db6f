"""The job of every peer in `scripts/bench_queue.py`, and what the bench asks for. Runs in the peers' environments.

It does nothing but count. The first and the last run are timed; in the kill test each run is written to a log instead;
where jobs come at a rate, each carries when it was enqueued, and tells how long it waited.
"""

import asyncio
import base64
import itertools
import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

URL = os.environ["BENCH_URL"]
JOBS = int(os.environ["BENCH_JOBS"])
BYTES = int(os.environ["BENCH_BYTES"])
BATCH = int(os.environ.get("BENCH_BATCH", "64"))
HELD = max(BATCH, 2)
"""How many jobs a worker may have in hand, of those that fetch ahead: where it runs one at a time it may hold the next."""
JOB_S = float(os.environ.get("BENCH_JOB_S", "0"))
LOG = os.environ.get("BENCH_LOG", "")
DURABLE = os.environ.get("BENCH_DURABLE", "") == "1"
RATE = float(os.environ.get("BENCH_RATE", "0"))
REDELIVER_S = 5
"""After how long a durable setting gives a dead worker's jobs to another, where it can be told."""

_runs = itertools.count(1)
_began = [0.0]
_waits: list[float] = []
_file = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT) if LOG else None


def run(n: int, payload: str) -> None:
    """One job."""
    if RATE:
        waited(float(payload))
        return
    if _file is not None:
        time.sleep(JOB_S)
        os.write(_file, b"%d\n" % n)  # its result: what a killed job leaves undone
        return
    count = next(_runs)
    if count == 1:
        _began[0] = time.perf_counter()
    if count == JOBS:
        report(time.perf_counter() - _began[0])


async def arun(n: int, payload: str) -> None:
    """The same, for those that want a coroutine. In the kill test it waits, as a coroutine should."""
    if _file is not None:
        await asyncio.sleep(JOB_S)
        os.write(_file, b"%d\n" % n)
        return
    run(n, payload)


def waited(since: float) -> None:
    """One more job that waited; after the last, tell the bench. The first half is left out: the worker was starting."""
    _waits.append(time.time() - since)
    if len(_waits) == JOBS:
        late = sorted(_waits[JOBS // 2 :])
        Path(os.environ["BENCH_RESULT"]).write_text(json.dumps({"p99_s": late[len(late) * 99 // 100]}))


def report(seconds: float) -> None:
    """Tell the bench how long it took."""
    Path(os.environ["BENCH_RESULT"]).write_text(json.dumps({"seconds": seconds}))


def rows() -> Iterator[tuple[int, str]]:
    """The arguments of each job, made before the clock starts; or as time passes, where they come at a rate."""
    if RATE:
        return _paced()
    return iter([(n, text(n)) for n in range(JOBS)])


def _paced() -> Iterator[tuple[int, str]]:
    began = time.perf_counter()
    for n in range(JOBS):
        time.sleep(max(began + n / RATE - time.perf_counter(), 0))
        yield n, repr(time.time()).ljust(BYTES)


def text(n: int) -> str:
    """Letters by chance, since some peers compress what they are given."""
    return base64.b64encode(random.Random(n).randbytes(BYTES))[:BYTES].decode()

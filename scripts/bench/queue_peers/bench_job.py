"""The job of every peer in `scripts/bench/lanes.py`, and what the bench asks for. Runs in the peers' environments.

It does nothing but count. The first and the last run are timed; where jobs come at a rate, each carries when it was
enqueued, and tells how long it waited. While workers are broken each run takes its time and is written down, results are
kept in the peer's own store, and each that it took is written down too.
"""

import asyncio
import base64
import itertools
import json
import os
import random
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

URL = os.environ["BENCH_URL"]
JOBS = int(os.environ["BENCH_JOBS"])
BYTES = int(os.environ["BENCH_BYTES"])
BATCH = int(os.environ.get("BENCH_BATCH", "64"))
HELD = max(BATCH, 2)
"""How many jobs a worker may have in hand, of those that fetch ahead: where it runs one at a time it may hold the next."""
JOB_S = float(os.environ.get("BENCH_JOB_S", "0"))
LOG = os.environ.get("BENCH_LOG", "")
RESULTS = os.environ.get("BENCH_RESULTS", "") == "1"
"""Whether results are kept."""
FIRST = int(os.environ.get("BENCH_FIRST", "0"))
"""The number of the first job that is enqueued."""
DIE_AFTER = int(os.environ.get("BENCH_DIE_AFTER", "0"))
"""With the how-manieth result that was stored this process ends, if with any."""
DURABLE = os.environ.get("BENCH_DURABLE", "") == "1"
RATE = float(os.environ.get("BENCH_RATE", "0"))
REDELIVER_S = 5
"""After how long a durable setting gives a dead worker's jobs to another, where it can be told."""

_runs = itertools.count(1)
_began = [0.0]
_waits: list[float] = []
_results = itertools.count(1)
_ran, _stored = (
    os.open(f"{LOG}.{kind}", os.O_WRONLY | os.O_APPEND | os.O_CREAT) if LOG else -1 for kind in ("ran", "stored")
)


def run(n: int, payload: str) -> "int | None":
    """One job. Where results are kept its number is its result."""
    if LOG:
        time.sleep(JOB_S)
        return ran(n)
    if RATE:
        waited(float(payload))
        return None
    count = next(_runs)
    if count == 1:
        _began[0] = time.perf_counter()
    if count == JOBS:
        report(time.perf_counter() - _began[0])
    return None


async def arun(n: int, payload: str) -> "int | None":
    """The same, for those that want a coroutine: it waits as a coroutine should."""
    if LOG:
        await asyncio.sleep(JOB_S)
        return ran(n)
    return run(n, payload)


def ran(n: int) -> int:
    """The effect of a job, and the last that its body does."""
    os.write(_ran, b"%d\n" % n)
    return n


def stored(*numbers: int) -> None:
    """The results of these jobs were stored; the worker may be told to die of it, which none outlives."""
    os.write(_stored, b"".join(b"%d\n" % n for n in numbers))
    if DIE_AFTER in [next(_results) for _ in numbers]:
        os.kill(os.getpid(), signal.SIGKILL)


def job_id(n: int) -> str:
    """The name under which its result is found again."""
    return f"job-{n}"


def report_results(numbers: "Iterable[int]") -> None:
    """Tell the bench which jobs have a result of success in the store, once for each result that is there."""
    Path(os.environ["BENCH_RESULT"]).write_text(json.dumps({"good": list(numbers)}))


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
    return iter([(n, text(n)) for n in range(FIRST, FIRST + JOBS)])


def _paced() -> Iterator[tuple[int, str]]:
    began = time.perf_counter()
    for n in range(JOBS):
        time.sleep(max(began + n / RATE - time.perf_counter(), 0))
        yield n, repr(time.time()).ljust(BYTES)


def text(n: int) -> str:
    """Letters by chance, since some peers compress what they are given."""
    return base64.b64encode(random.Random(n).randbytes(BYTES))[:BYTES].decode()

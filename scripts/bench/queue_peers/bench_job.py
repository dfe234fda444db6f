"""The job of every peer in `scripts/bench/lanes.py`, and the settings of the bench. This module runs in the peers' environments.

The job does one of three things:

- By default, the job only counts its runs. The time from the first run to the last is reported.
- If jobs come at a rate (BENCH_RATE), each payload is the time at which its job was enqueued, and the job's wait is measured.
- If workers are broken (BENCH_LOG), each run takes BENCH_JOB_S seconds, and is written to a log. Results are kept in the peer's
  own store, and each result that the store has accepted is written to a second log.
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
"""A worker that fetches jobs ahead may hold at most this many. A worker that runs one job at a time may hold the next job too."""
JOB_S = float(os.environ.get("BENCH_JOB_S", "0"))
LOG = os.environ.get("BENCH_LOG", "")
RESULTS = os.environ.get("BENCH_RESULTS", "") == "1"
"""Whether the peer keeps the results of jobs in its store."""
FIRST = int(os.environ.get("BENCH_FIRST", "0"))
"""The number of the first job that is enqueued."""
DIE_AFTER = int(os.environ.get("BENCH_DIE_AFTER", "0"))
"""The process kills itself after it has stored this many results; 0: never."""
DURABLE = os.environ.get("BENCH_DURABLE", "") == "1"
RATE = float(os.environ.get("BENCH_RATE", "0"))
REDELIVER_S = 5
"""Seconds after which a dead worker's jobs go to another worker, if the peer has a setting for that."""

_runs = itertools.count(1)
_began = [0.0]
_waits: list[float] = []
_results = itertools.count(1)
_ran, _stored = (
    os.open(f"{LOG}.{kind}", os.O_WRONLY | os.O_APPEND | os.O_CREAT) if LOG else -1 for kind in ("ran", "stored")
)


def run(n: int, payload: str) -> "int | None":
    """Run one job. Returns the job's number if workers are broken (BENCH_LOG), else None."""
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
    """Run one job as a coroutine, for the peers that need a coroutine. Returns what `run` returns."""
    if LOG:
        await asyncio.sleep(JOB_S)
        return ran(n)
    return run(n, payload)


def ran(n: int) -> int:
    """Log that job `n` ran, and return `n`. The log line is the last act of the job's body, and the job's only effect."""
    os.write(_ran, b"%d\n" % n)
    return n


def stored(*numbers: int) -> None:
    """Log that the results of these jobs were stored. Kills the process if one of them is its result number DIE_AFTER."""
    os.write(_stored, b"".join(b"%d\n" % n for n in numbers))
    if DIE_AFTER in [next(_results) for _ in numbers]:
        os.kill(os.getpid(), signal.SIGKILL)


def job_id(n: int) -> str:
    """Return the id of a job, under which its result is looked up later."""
    return f"job-{n}"


def report_results(numbers: "Iterable[int]") -> None:
    """Report the numbers of the jobs that have a successful result in the store. A job with two results is reported twice."""
    Path(os.environ["BENCH_RESULT"]).write_text(json.dumps({"good": list(numbers)}))


def waited(since: float) -> None:
    """Note the wait of a job that was enqueued at `since`. After the last job, report p99 of the waits of the second half of the
    jobs. The first half is left out, because the worker was still starting.
    """
    _waits.append(time.time() - since)
    if len(_waits) == JOBS:
        late = sorted(_waits[JOBS // 2 :])
        Path(os.environ["BENCH_RESULT"]).write_text(json.dumps({"p99_s": late[len(late) * 99 // 100]}))


def report(seconds: float) -> None:
    """Report how many seconds the step took."""
    Path(os.environ["BENCH_RESULT"]).write_text(json.dumps({"seconds": seconds}))


def rows() -> Iterator[tuple[int, str]]:
    """Return an iterator over the arguments of each job. They are made in advance, so that making them is not timed.

    If jobs come at a rate (BENCH_RATE), the iterator makes the arguments of each job when the job is due.
    """
    if RATE:
        return _paced()
    return iter([(n, text(n)) for n in range(FIRST, FIRST + JOBS)])


def _paced() -> Iterator[tuple[int, str]]:
    began = time.perf_counter()
    for n in range(JOBS):
        time.sleep(max(began + n / RATE - time.perf_counter(), 0))
        yield n, repr(time.time()).ljust(BYTES)


def text(n: int) -> str:
    """Return random letters, because some peers compress the payload."""
    return base64.b64encode(random.Random(n).randbytes(BYTES))[:BYTES].decode()

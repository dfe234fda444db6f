"""Runs Nightpress for `scripts/bench/lanes.py`. Like the programs of the peers, this program runs one step and ends.

    python ours.py enqueue | feed | claims | drain | feed_paced | claim_paced | work | results

The settings come from environment variables BENCH_*. The result is written as JSON to the file that BENCH_RESULT names.
"""

import base64
import hashlib
import io
import json
import os
import random
import secrets
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from jobs.batches.batch import BatchPaths, Done
from jobs.batches.open_batches import OpenBatches
from jobs.batches.published import read_published
from jobs.batches.rounds import list_batches
from jobs.batches.segments.head import parse_heads
from jobs.generation import Completion, GenerationRequest
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.lanes.job import ClaimId
from jobs.lanes.protocol import FeedRow, Settlement, WorkerRecord
from jobs.lanes.redis_queue import RedisQueue
from jobs.lanes.requests import load_request
from jobs.logs import configure
from jobs.publishing.publish import publish
from jobs.settings import Settings
from jobs.store.local import LocalStore
from jobs.store.opening import open_store
from workers.engines.protocol import EngineStats
from workers.worker.context import WorkerContext
from workers.worker.runner import Runner

LANE: Final = "stub"
LEASE_MS: Final = 60_000
THREADS: Final = 2
POLL_S: Final = 0.005


def env(name: str, default: str = "") -> str:
    """Return a setting of the bench: the environment variable BENCH_<name>."""
    return os.environ.get(f"BENCH_{name}", default)


class NoOp:
    """An engine that answers each request at once, or after `job_s` seconds. It logs each row that it ran if `log` is not empty.

    After `last` answers, the engine stops the runner.
    """

    def __init__(self, slots: int, last: int, log: str, job_s: float) -> None:
        self._slots, self._last, self._job_s = slots, last, job_s
        self._log = os.open(f"{log}.ran", os.O_WRONLY | os.O_APPEND | os.O_CREAT) if log else None
        self._waiting: list[GenerationRequest] = []
        self._answered = 0
        self.runner: Runner | None = None

    def submit(self, request: GenerationRequest) -> None:
        self._waiting.append(request)

    def cancel(self, request_id: str) -> None:
        del request_id

    def step(self) -> Sequence[Completion]:
        """Answer all waiting requests, or only the first of them if a job takes time (`job_s`)."""
        taken = self._waiting[:1] if self._job_s else self._waiting
        self._waiting = self._waiting[len(taken) :]
        for request in taken:
            if self._job_s:
                time.sleep(self._job_s)
            if self._log is not None:  # the log line is the last act of a job's body, and its only effect
                os.write(self._log, request.request_id.partition("#")[0].rpartition("/")[2].encode() + b"\n")
        self._answered += len(taken)
        if self._answered >= self._last and self.runner is not None:
            self.runner.stop(60)
        return [Completion(request.request_id, "done", "stop") for request in taken]

    def stats(self) -> EngineStats:
        return EngineStats("cpu", self._slots, len(self._waiting), 0, 0, 0, 0, 0, 0, 0)

    def close(self) -> None:
        self._waiting.clear()


class RecordingStore(LocalStore):
    """A store that logs the rows whose completed outcomes it has stored. A worker settles the rows after that.

    After `die_after` logged rows (0: never) the store kills the process, before the last of these rows are settled.
    """

    def __init__(self, folder: str, log: str, die_after: int) -> None:
        super().__init__(folder)
        self._log = os.open(f"{log}.stored", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._die_after, self._stored = die_after, 0

    def create(self, path: str, data: bytes) -> bool:
        """Create the file, and log its completed rows if it is a segment. Returns whether the file was created."""
        created = super().create(path, data)
        if "/segments/" in path:
            heads = parse_heads(data.partition(b"\n")[0], path)
            rows = [row.row for head in heads for row in head.rows if row.status == "c"]
            os.write(self._log, b"".join(b"%d\n" % row for row in rows))
            self._stored += len(rows)
            if 0 < self._die_after <= self._stored:
                os.kill(os.getpid(), signal.SIGKILL)
        return created


def context_of(settings: Settings, slots: int) -> WorkerContext:
    """Return the context of a worker whose engine has `slots` slots. If BENCH_LOG is set, the store is a RecordingStore."""
    log = env("LOG")
    store = (
        RecordingStore(settings.store_url, log, int(env("DIE_AFTER", "0"))) if log else open_store(settings.store_url)
    )
    queue = RedisQueue.from_settings(settings, store)
    batches = OpenBatches(store, batch_scan_s=settings.batch_scan_s)
    return WorkerContext.over(
        store, queue, batches, settings, worker=f"w-{os.getpid()}", node="bench", model=LANE, kinds=load_kinds(),
        stats=EngineStats("cpu", slots, 0, 0, 0, 0, 0, 0, 0, 0), identity={"engine": "stub"},
    )  # fmt: skip


def text(n: int, size: int) -> str:
    """Return `size` random letters, which depend only on `n`. The payloads of the peers are made in the same way."""
    return base64.b64encode(random.Random(n).randbytes(size))[:size].decode()


def enqueue(context: WorkerContext, jobs: int, size: int) -> dict[str, Any]:
    """Accept a file of rows, as `nightpress enqueue` does. Returns the seconds, and the bytes of the stored input."""
    rows = (json.dumps({"kind": "completion", "prompt": text(n, size)}).encode() for n in range(jobs))
    file = io.BytesIO(b"\n".join(rows))
    began = time.perf_counter()
    accepted = accept(
        context.store, file, IntakeOptions(model=LANE), kinds=context.kinds, settings=context.settings, run_key="bench"
    )
    took = time.perf_counter() - began
    stored = accepted.batch.lanes[LANE].bytes
    return {"seconds": took, "stored_bytes": stored}


def feed(context: WorkerContext) -> dict[str, Any]:
    """Put as many rows on the lane as its window can take. Returns the seconds, and the number of rows."""
    context.batches.scan()
    began = time.perf_counter()
    rows = context.feeder.top_up(LANE)
    return {"seconds": time.perf_counter() - began, "rows": rows}


class Drain:
    """Drains the lane: claims `n` jobs at a time, reads their requests and settles the jobs, until `jobs` jobs are settled.

    Two threads do this: one waits for the queue while the other reads requests, so the jobs of at most two claims are leased at a
    time. With `feeds`, the first thread also feeds the lane from the input in storage after each claim, as a worker's claimer
    does.
    """

    def __init__(self, context: WorkerContext, jobs: int, n: int, feeds: bool) -> None:
        self._context, self._jobs, self._n, self._feeds = context, jobs, n, feeds
        self._settled: list[int] = []
        self._lost = 0

    def run(self) -> dict[str, Any]:
        """Drain the lane. Returns the seconds. Ends the benchmark if a lease was lost or a job was not settled."""
        threads = [threading.Thread(target=self._drain, args=(place,)) for place in range(THREADS)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - began
        if self._lost or sum(self._settled) != self._jobs:
            sys.exit(f"{self._lost} leases were lost, and {sum(self._settled)} of {self._jobs} jobs were settled")
        return {"seconds": took}

    def _drain(self, place: int) -> None:
        context = self._context
        me = WorkerRecord(f"w-{place}", os.getpid(), "bench", LANE, 0)
        incarnation, claims = secrets.token_hex(4), 0
        while sum(self._settled) < self._jobs:
            claim_id = str(ClaimId(me.worker, incarnation, claims))
            reply = context.schedule.claim(LANE, claim_id, self._n, LEASE_MS, me)
            claims += 1
            for job in reply.jobs:
                load_request(context.store, job.key.batch_id, LANE, job)
            self._lost += len(context.schedule.settle(LANE, [Settlement(job.lease) for job in reply.jobs]))
            self._settled.append(len(reply.jobs))
            if self._feeds and place == 0:
                context.batches.scan()
                context.feeder.top_up(LANE, reply.ready, hungry=len(reply.jobs) < self._n)


def feed_paced(context: WorkerContext, jobs: int, rate: float) -> dict[str, Any]:
    """Put `rate` rows a second on the lane, each with the current time in place of its request. Returns the seconds."""
    began = time.perf_counter()
    for n in range(jobs):
        time.sleep(max(began + n / rate - time.perf_counter(), 0))
        row = FeedRow(n, repr(time.time()).encode(), 1, 4, "default")
        context.schedule.feed(LANE, "paced", 1, n, n + 1, n + 1 == jobs, [row])
    return {"seconds": time.perf_counter() - began}


def claim_paced(context: WorkerContext, jobs: int, n: int) -> dict[str, Any]:
    """Claim and settle the rows of `feed_paced`. Returns a wait in seconds, `p99_s`: 99 % of the rows did not wait longer.

    As with the peers, only the second half of the rows counts, because the worker is still starting during the first half.
    """
    me, waits, claims = WorkerRecord("w-1", os.getpid(), "bench", LANE, 0), list[float](), 0
    while len(waits) < jobs:
        reply = context.schedule.claim(LANE, str(ClaimId("w-1", "paced", claims)), n, LEASE_MS, me)
        claims += 1
        waits += [time.time() - float(job.payload) for job in reply.jobs if isinstance(job.payload, bytes)]
        context.schedule.settle(LANE, [Settlement(job.lease) for job in reply.jobs])
        if not reply.jobs:
            time.sleep(POLL_S)
    late = sorted(waits[jobs // 2 :])
    return {"p99_s": late[len(late) * 99 // 100]}


def work(context: WorkerContext, jobs: int) -> dict[str, Any]:
    """Run a whole worker around the engine `NoOp`, until all jobs are durable and settled. Returns the seconds."""
    engine = NoOp(context.slots, jobs, env("LOG"), float(env("JOB_S", "0")))
    engine.runner = Runner(context, engine)
    began = time.perf_counter()
    engine.runner.run()
    return {"seconds": time.perf_counter() - began}


def results(context: WorkerContext) -> dict[str, Any]:
    """Publish all batches that are complete. Returns two values: the rows in the published outputs, and a digest of these outputs
    and of the markers `done`.
    """
    good, digest = list[int](), hashlib.sha256()
    for batch_id in list_batches(context.store):
        done = publish(context.store, batch_id, prices=context.settings.prices)
        if isinstance(done, Done):
            digest.update(context.store.read(BatchPaths(batch_id).done(done.round)))
            for values in read_published(context.store, done, batch_id, "output.jsonl"):
                good.append(values["row"])
                digest.update(repr(values).encode())
    return {"good": good, "digest": digest.hexdigest()}


def main() -> None:
    """Run the step that argv[1] names."""
    configure("warning", "json")
    jobs, n = int(env("JOBS")), int(env("BATCH", "64"))
    window = int(env("WINDOW", "4096"))
    settings = Settings.model_validate(
        {
            "redis_url": env("URL"),
            "store_url": str(Path(env("FOLDER")) / "store"),
            "window_rows": window,
            "window_bytes": max(64 << 20, window * 4096),
            "lease_s": float(env("LEASE_S", "60")),
        }
    )
    here = context_of(settings, n // 2)
    steps = {
        "enqueue": lambda: enqueue(here, jobs, int(env("BYTES"))),
        "feed": lambda: feed(here),
        "claims": lambda: Drain(here, jobs, n, feeds=False).run(),
        "drain": lambda: Drain(here, jobs, n, feeds=True).run(),
        "feed_paced": lambda: feed_paced(here, jobs, float(env("RATE"))),
        "claim_paced": lambda: claim_paced(here, jobs, n),
        "work": lambda: work(here, jobs),
        "results": lambda: results(here),
    }
    Path(env("RESULT")).write_text(json.dumps(steps[sys.argv[1]]()))


if __name__ == "__main__":
    main()

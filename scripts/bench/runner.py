"""Measures how well the runner feeds its engine: the percentage of the time that is spent in steps with requests for all slots.

The script uses a real redis-server, a local store and the stub engine with steps of 20 ms, 64 slots and rows of 30 to 360 tokens.
The measurement begins with the first full step, and ends with the step in which the engine has all rows. In the rest of the time
the runner claims rows, composes requests and checks answers, or slots are empty.

    python scripts/bench/runner.py --rows 400
"""

import argparse
import io
import json
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jobs import logs
from jobs.batches.open_batches import OpenBatches
from jobs.errors import QueueUnavailable
from jobs.generation import Completion, GenerationRequest
from jobs.intake.accept import IntakeOptions, accept
from jobs.kinds.registry import load_kinds
from jobs.lanes.redis_queue import RedisQueue
from jobs.settings import Settings
from jobs.store.opening import open_store
from workers.engines.protocol import EngineStats
from workers.engines.stub.engine import StubEngine, StubOptions
from workers.worker.context import WorkerContext
from workers.worker.runner import Runner


@dataclass
class Watched:
    """The stub engine with a stopwatch. `rows` is the number of requests that will be submitted.

    `began` is the start of the first step with requests for all slots, and `end` is the end of the first step after the last
    request was submitted, as times of the monotonic clock. `full_s` is the seconds that full steps took between the two.
    """

    engine: StubEngine
    rows: int
    submitted: int = 0
    answered: int = 0
    began: float = 0.0
    last_began: float = 0.0
    full_s: float = 0.0
    end: float = 0.0

    def submit(self, request: GenerationRequest) -> None:
        self.submitted += 1
        # Without min_tokens the stub would write fewer than max_tokens words.
        params = replace(request.prompt.params, min_tokens=request.prompt.params.max_tokens)
        self.engine.submit(replace(request, prompt=replace(request.prompt, params=params)))

    def step(self) -> Sequence[Completion]:
        began = time.monotonic()
        stats = self.engine.stats()
        done = self.engine.step()
        full = stats.running + stats.waiting >= stats.slots
        self.answered += len(done)
        if full and not self.began:
            self.began = began
        if self.began and not self.end:
            self.full_s += (time.monotonic() - began) * full
            if self.submitted == self.rows:
                self.end = time.monotonic()
        return done

    def cancel(self, request_id: str) -> None:
        self.engine.cancel(request_id)

    def stats(self) -> EngineStats:
        return self.engine.stats()

    def close(self) -> None:
        self.engine.close()


def _server(folder: str) -> tuple[subprocess.Popen[bytes], str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    binary = shutil.which("redis-server") or sys.exit("redis-server is not installed")
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder)
    return subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL), f"redis://127.0.0.1:{port}/0"


def _answering(url: str) -> RedisQueue:
    queue = RedisQueue.from_url(url)
    until = time.monotonic() + 20
    while True:
        try:
            queue.ping()
        except QueueUnavailable:
            if time.monotonic() > until:
                raise
        else:
            return queue


def _measure(folder: str, url: str, rows: int, seed: int, store_url: str) -> Watched:
    settings = Settings(model="stub", flush_s=0.5)
    store, queue, kinds = open_store(store_url), _answering(url), load_kinds()
    chance = random.Random(seed)
    sizes = [chance.randint(30, 360) for _ in range(rows)]
    lines = [{"kind": "chat", "prompt": f"Row {n}.", "max_tokens": k} for n, k in enumerate(sizes)]
    data = io.BytesIO("".join(json.dumps(line) + "\n" for line in lines).encode())
    refused = accept(
        store, data, IntakeOptions(model="stub"), kinds=kinds, settings=settings, run_key="b"
    ).batch.refused
    if refused:
        sys.exit(f"{refused} rows were refused")
    batches = OpenBatches(store)
    engine = Watched(StubEngine(StubOptions(step_s=0.02, slots=64)), rows)
    context = WorkerContext.over(
        store, queue, batches, settings, worker="bench", node=folder[-4:], model="stub", stats=engine.stats(), kinds=kinds,
        identity={"engine": "stub", "model_revision": "stub"},
    )  # fmt: skip
    runner = Runner(context, engine)
    thread = threading.Thread(target=runner.run)
    thread.start()
    while engine.answered < rows and thread.is_alive():
        time.sleep(0.1)
    runner.stop(5.0)
    thread.join()
    return engine


def main() -> None:
    """Run the rows, and print the percentage in one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    logs.configure("error")
    with tempfile.TemporaryDirectory() as folder:
        server, url = _server(folder)
        try:
            engine = _measure(folder, url, args.rows, args.seed, str(Path(folder) / "store"))
        finally:
            server.terminate()
            server.wait()
    wall_s = engine.end - engine.began
    print(f"inside step() with full slots: {engine.full_s / wall_s:.1%} of {wall_s:.1f} s, {args.rows} rows")


if __name__ == "__main__":
    main()
